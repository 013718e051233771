"""Step `cohort`: what is refused before a table is read, and on whom models of features are fitted."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pytest

from mgrisk.cohort.select import DEVELOPMENT, HELD_OUT
from mgrisk.config.pipeline_file import load
from mgrisk.errors import MgRiskError
from mgrisk.features import compute
from mgrisk.nhanes.store import Store
from mgrisk.pipeline import cohort
from mgrisk.pipeline.workspace import Workspace

NHANES = Path(__file__).parents[3] / "pipelines" / "nhanes.toml"


def workspace(*overrides: str, folder: Path = Path("runs")) -> Workspace:
    return Workspace(load(NHANES, overrides=overrides), folder)


def test_a_feature_that_leaks_is_refused_before_anything_is_read() -> None:
    with pytest.raises(MgRiskError) as caught:
        cohort.refuse_misuse(workspace('model.features=["age_years", "hba1c_percent"]'))
    assert caught.value.code.startswith("leakage.")


def test_a_break_between_cycles_is_refused_unless_the_pipeline_file_accepts_it() -> None:
    accepted = cohort.refuse_misuse(workspace())
    assert {each.name for each in accepted} == {"race-2011", "sleep-2015", "glucose-2015"}
    with pytest.raises(MgRiskError) as caught:
        cohort.refuse_misuse(workspace("cohort.across_breaks=[]"))
    assert caught.value.code == "eras.not_comparable"


def test_synthetic_tables_are_not_taken_for_nhanes(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(cohort, "gather", lambda *_, **__: SimpleNamespace(synthetic=True))
    with pytest.raises(MgRiskError) as caught:
        cohort.make_cohort(workspace(folder=tmp_path), Store(source=str(tmp_path), cache=tmp_path, offline=True))
    assert caught.value.code == "cohort.synthetic_source"
    assert list(tmp_path.iterdir()) == []


def test_models_of_features_are_fitted_on_the_weighted_development_people(monkeypatch: pytest.MonkeyPatch) -> None:
    sets = np.array([DEVELOPMENT, HELD_OUT] * 6)
    frame = pd.DataFrame(
        {
            "SEQN": np.arange(12), "cycle": "2007-2008", "set": sets, "stratum": np.arange(12) // 4,
            "psu": np.arange(12) // 2 % 2 + 1, "weight": np.arange(1.0, 13.0), "outcome": 0.0,
            "analysis": np.arange(12) < 8,
        }
    )  # fmt: skip
    seen: dict[str, Any] = {}

    def fit(computed: pd.DataFrame, design: Any, chosen: Any) -> compute.Models:
        seen.update(computed=computed, design=design)
        return {}

    monkeypatch.setattr(compute, "fit", fit)
    people: Any = SimpleNamespace(frame=frame, level="exam")
    cohort.fit_features(workspace(), people, pd.DataFrame({"x": np.arange(12.0)}))
    assert seen["computed"]["x"].tolist() == [0.0, 2.0, 4.0, 6.0, 8.0, 10.0]
    np.testing.assert_array_equal(seen["design"].analysis_weight, [1.0, 3.0, 5.0, 7.0, 0.0, 0.0])

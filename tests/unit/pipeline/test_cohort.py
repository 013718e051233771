"""Step `cohort`: settings refused before tables are read, and the people to whom fitted features are fitted."""

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
from mgrisk.nhanes.codebook import VARIABLES
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
    assert {each.name for each in accepted} == {"bmi-2011", "race-2011", "sleep-2015", "glucose-2015"}
    with pytest.raises(MgRiskError) as caught:
        cohort.refuse_misuse(workspace("cohort.across_breaks=[]"))
    assert caught.value.code == "eras.not_comparable"


def test_a_break_whose_older_values_are_converted_needs_no_acceptance_besides() -> None:
    others = 'cohort.across_breaks=["race-2011", "sleep-2015"]'
    crossed = cohort.refuse_misuse(workspace(others, 'cohort.crosswalks=["glucose-2015"]'))
    assert {each.name for each in crossed} == {"bmi-2011", "race-2011", "sleep-2015", "glucose-2015"}


def test_what_an_equation_is_computed_from_is_read_where_it_is_named() -> None:
    named = cohort.selection_variables(workspace('cohort.crosswalks=["bmi-2011"]'))
    assert set(named) - set(cohort.selection_variables(workspace())) == {"BMXWT", "BMXHT"}


@pytest.mark.parametrize(("crosswalks", "case", "glucose"), [("[]", 0.0, 99.0), ('["glucose-2015"]', 1.0, 100.7662)])
def test_outcome_and_targets_are_of_the_converted_values(
    crosswalks: str, case: float, glucose: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    """99 mg/dL of 2013-2014 is -0.5108 + 1.023 x 99 = 100.7662 on the scale of 2015-2016; prediabetes begins at 100."""
    asked = workspace(
        f"cohort.crosswalks={crosswalks}",
        'cohort.outcome="dysglycaemia"',
        'model.features=["age_years"]',
        'model.sums={splines=["spline_logistic", "spline_linear:glucose_mg_dl"]}',
        "model.spline_linear={}",
    )
    person = {
        "SEQN": 1, "RIDAGEYR": 50.0, "RIDSTATR": 2.0, "RIDEXPRG": 2.0, "SDMVSTRA": 1.0, "SDMVPSU": 1.0, "DIQ010": 2.0,
        "WTSAF2YR": 1.0, "LBXGH": 5.0, "LBXGLU": 99.0,
    }  # fmt: skip
    raw = pd.DataFrame({name: [person.get(name, np.nan)] * 2 for name in (*person, *VARIABLES)})
    raw = raw.assign(SEQN=[1, 2], cycle=["2013-2014", "2015-2016"])
    read = SimpleNamespace(frame=raw, synthetic=False, tables=[], absent=[])
    monkeypatch.setattr(cohort, "gather", lambda *_, **__: read)
    monkeypatch.setattr(cohort, "fit_features", lambda *_: {})
    monkeypatch.setattr(cohort, "from_nhanes", lambda raw, *_, **__: raw[["RIDAGEYR"]].copy())
    written: dict[str, Any] = {}
    monkeypatch.setattr(cohort, "write_cohort", lambda _, found, *__, **more: written.update(found=found, **more) or "")
    cohort.make_cohort(asked, Store(source="", cache=Path(), offline=True))
    assert written["found"].frame["outcome"].tolist() == [case, 0.0]
    np.testing.assert_allclose(np.exp(written["behind"]["value"]), [glucose, 99.0])
    said = {each["name"]: each["crosswalk"] for each in written["about"]["breaks"]}
    assert ("applied to" in said["glucose-2015"]) is (crosswalks != "[]")


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


@pytest.mark.parametrize(("second_days", "fitted"), [(400, ["usual_magnesium"]), (0, [])])
def test_usual_magnesium_is_fitted_where_people_have_second_recalls_and_else_the_run_goes_on(
    second_days: int, fitted: list[str]
) -> None:
    n, random = 800, np.random.default_rng(3)
    frame = pd.DataFrame(
        {
            "SEQN": np.arange(n), "cycle": "2007-2008", "set": DEVELOPMENT, "stratum": np.arange(n) % 8,
            "psu": np.arange(n) // 8 % 2 + 1, "weight": 1.0, "outcome": 0.0, "analysis": True,
        }
    )  # fmt: skip
    days = np.exp(random.normal(5.6, 0.3, (n, 1)) + random.normal(0.0, 0.3, (n, 2)))
    days[second_days:, 1] = np.nan
    computed = pd.DataFrame({"sex": random.choice(["female", "male"], n), "age_years": random.uniform(20, 80, n)})
    for day in (0, 1):
        computed[f"magnesium_food_day_{day + 1}_mg"] = days[:, day]
        weekend = random.choice(["no", "yes"], n).astype(object)
        computed[f"recall_day_{day + 1}_weekend"] = np.where(np.isnan(days[:, day]), None, weekend)
    people: Any = SimpleNamespace(frame=frame, level="exam")
    reads = workspace("model.features=['age_years', 'magnesium_food_mg']")
    assert list(cohort.fit_features(reads, people, computed)) == fitted
    assert not workspace("model.features=['age_years', 'sex']").usual_magnesium

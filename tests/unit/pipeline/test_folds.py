"""Step `folds`: whole PSUs of the development people, by the settings of the pipeline file."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from mgrisk.cohort.select import DEVELOPMENT, HELD_OUT
from mgrisk.config.pipeline_file import load
from mgrisk.errors import MgRiskError
from mgrisk.pipeline import folds
from mgrisk.pipeline.workspace import Workspace

NHANES = Path(__file__).parents[3] / "pipelines" / "nhanes.toml"
N = 480


@pytest.fixture
def people(tmp_path: Path) -> pd.DataFrame:
    place = np.arange(N)
    sets = np.where(place < 400, DEVELOPMENT, HELD_OUT)
    frame = pd.DataFrame({"SEQN": place, "stratum": place // 20, "psu": place // 10 % 2, "set": sets})
    frame.to_parquet(tmp_path / "cohort.parquet")
    return frame


def dealt(folder: Path, *overrides: str) -> pd.DataFrame:
    folds.make_folds(Workspace(load(NHANES, overrides=overrides), folder))
    return pd.read_parquet(folder / "folds.parquet")


def test_development_people_alone_are_assigned_by_whole_psus(people: pd.DataFrame, tmp_path: Path) -> None:
    found = dealt(tmp_path, "cohort.folds=4")
    assert found["SEQN"].tolist() == people.loc[people["set"] == DEVELOPMENT, "SEQN"].tolist()
    assert set(found["fold"]) == {0, 1, 2, 3}
    assert (found.groupby(["stratum", "psu"])["fold"].nunique() == 1).all()


def test_another_seed_assigns_otherwise_and_the_same_seed_the_same(people: pd.DataFrame, tmp_path: Path) -> None:
    one, again, other = (dealt(tmp_path, f"cohort.seed={seed}")["fold"] for seed in (1, 1, 2))
    assert one.equals(again)
    assert not one.equals(other)


def test_psus_in_two_folds_are_not_written(
    people: pd.DataFrame, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def by_person(frame: pd.DataFrame, **_: int) -> pd.DataFrame:
        chosen = frame.loc[frame["set"] == DEVELOPMENT, ["SEQN", "stratum", "psu"]]
        return chosen.assign(fold=np.arange(len(chosen)) % 3)

    monkeypatch.setattr(folds, "assign_folds", by_person)
    with pytest.raises(MgRiskError) as caught:
        dealt(tmp_path)
    assert caught.value.code == "split.psu_in_two_folds"
    assert not (tmp_path / "folds.parquet").exists()

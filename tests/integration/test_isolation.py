"""No held-out person is in tuning, calibration or imputation, no PSU in two folds, and these checks can fail."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from mgrisk.cohort import select
from mgrisk.config.pipeline_file import load
from mgrisk.errors import MgRiskError
from mgrisk.pipeline import folds as folding
from mgrisk.pipeline import train
from mgrisk.pipeline import workspace as of_run
from mgrisk.pipeline.workspace import Workspace
from mgrisk.storage.files import sha256


def learned(folder: Path) -> tuple[str, str]:
    """Train again in a run folder; return the digests of everything learned: bundles, and out-of-fold margins."""
    workspace = Workspace(load(folder / "resolved.toml"), folder)
    train.make_model(workspace)
    return sha256(folder / "trained"), sha256(folder / "oof.parquet")


def poison_held_out_people(folder: Path) -> None:
    """Turn every held-out person's outcome and features into something absurd."""
    cohort, features = pd.read_parquet(folder / "cohort.parquet"), pd.read_parquet(folder / "features.parquet")
    held_out = (cohort["set"] == select.HELD_OUT).to_numpy()
    assert held_out.sum() > 1000
    cohort.loc[held_out, "outcome"] = 1 - cohort.loc[held_out, "outcome"]
    cohort.loc[held_out, "weight"] *= 50
    numbers = features.select_dtypes("float64").columns
    features.loc[held_out, numbers] = features.loc[held_out, numbers] * -1000 + 7
    features.loc[held_out, "smoking"] = "current"
    cohort.to_parquet(folder / "cohort.parquet")
    features.to_parquet(folder / "features.parquet")


def leaky_design(*args: object, **kwargs: object) -> object:
    """The design of one set with everybody in it: the fault that the tests below must notice."""
    frame = args[0]
    assert isinstance(frame, pd.DataFrame)
    return select_design(frame.assign(set=kwargs["set_name"]), **kwargs)  # type: ignore[arg-type]


select_design = select.design


def test_nothing_learned_depends_on_held_out_people(run_copy: Path) -> None:
    before = learned(run_copy)
    poison_held_out_people(run_copy)
    assert learned(run_copy) == before


def test_the_poison_is_noticed_when_held_out_people_are_let_in(run_copy: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Broken on purpose: with every set in the development design the same comparison must differ."""
    folds = pd.read_parquet(run_copy / "folds.parquet")
    cohort = pd.read_parquet(run_copy / "cohort.parquet")
    everybody = cohort[["SEQN", "stratum", "psu"]].merge(folds[["SEQN", "fold"]], on="SEQN", how="left")
    everybody["fold"] = everybody["fold"].fillna(0)
    everybody.to_parquet(run_copy / "folds.parquet")
    monkeypatch.setattr(select, "design", leaky_design)
    monkeypatch.setattr(of_run, "check_folds", lambda *_: None)
    before = learned(run_copy)
    poison_held_out_people(run_copy)
    assert learned(run_copy) != before


def test_training_stops_when_a_held_out_person_is_in_the_folds(run_copy: Path) -> None:
    folds = pd.read_parquet(run_copy / "folds.parquet")
    cohort = pd.read_parquet(run_copy / "cohort.parquet")
    stranger = cohort[cohort["set"] == select.HELD_OUT].iloc[[0]]
    smuggled = pd.concat([folds, stranger[["SEQN", "stratum", "psu"]].assign(fold=0)], ignore_index=True)
    smuggled.to_parquet(run_copy / "folds.parquet")
    with pytest.raises(MgRiskError, match="held-out") as caught:
        train.make_model(Workspace(load(run_copy / "resolved.toml"), run_copy))
    assert caught.value.code == "split.held_out_in_folds"


def test_person_wise_folds_stop_the_run(run_copy: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def person_wise(frame: pd.DataFrame, *, folds: int, seed: int) -> pd.DataFrame:
        people = frame.loc[frame["set"] == select.DEVELOPMENT, ["SEQN", "stratum", "psu"]]
        return people.assign(fold=np.random.default_rng(seed).integers(0, folds, len(people)))

    monkeypatch.setattr(folding, "assign_folds", person_wise)
    with pytest.raises(MgRiskError) as caught:
        folding.make_folds(Workspace(load(run_copy / "resolved.toml"), run_copy))
    assert caught.value.code == "split.psu_in_two_folds"


def test_out_of_fold_margins_of_a_fold_do_not_depend_on_its_outcomes(run_copy: Path) -> None:
    learned(run_copy)
    before = pd.read_parquet(run_copy / "oof.parquet")
    cohort = pd.read_parquet(run_copy / "cohort.parquet")
    in_fold = cohort["SEQN"].isin(before.loc[before["fold"] == 1, "SEQN"])
    cohort.loc[in_fold, "outcome"] = 1 - cohort.loc[in_fold, "outcome"]
    cohort.to_parquet(run_copy / "cohort.parquet")
    learned(run_copy)
    after = pd.read_parquet(run_copy / "oof.parquet")
    margin = "spline_logistic_margin"
    own, others = before["fold"] == 1, before["fold"] != 1
    np.testing.assert_array_equal(before.loc[own, margin], after.loc[own, margin])
    assert (before.loc[others, margin] != after.loc[others, margin]).all()

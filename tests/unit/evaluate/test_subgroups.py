"""Groups are domains of the whole design; whoever has no value, and whatever has no people, is there all the same."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest

from mgrisk.evaluate.intervals import with_intervals
from mgrisk.evaluate.subgroups import METRICS, groupings, subgroups
from mgrisk.features.registry import FEATURES
from mgrisk.survey.design import SurveyDesign


@pytest.fixture
def people(toy: pd.DataFrame) -> pd.DataFrame:
    random = np.random.default_rng(1)
    levels = ["white", "black", "asian"]
    return pd.DataFrame(
        {
            "sex": pd.Categorical(np.where(toy["x2"] == 1, "male", "female"), categories=["female", "male"]),
            "age_years": np.where(np.arange(len(toy)) % 2, 44.0, 45.0),
            "race_ethnicity": pd.Categorical(random.choice(levels[:2], len(toy)), categories=levels),
            "bmi_kg_m2": np.where(np.arange(len(toy)) % 5, 27.0, np.nan),
        }
    )


def found(toy: pd.DataFrame, design: SurveyDesign, frame: pd.DataFrame) -> list[dict[str, Any]]:
    risk = toy["risk"].to_numpy()
    return subgroups(
        toy["y"].to_numpy(dtype=float), {"m": risk}, {"points": np.floor(10 * risk)}, design, frame,
        outcome="undiagnosed", set_name="2017-2018",
    )  # fmt: skip


def test_a_group_is_a_domain_of_the_whole_design(toy: pd.DataFrame, full: SurveyDesign, people: pd.DataFrame) -> None:
    women = [r for r in found(toy, full, people) if (r["model"], r["group"], r["level"]) == ("m", "sex", "female")]
    expected = with_intervals(toy["y"], {"m": toy["risk"]}, full.where(toy["x2"] == 0), metrics=METRICS)
    assert [{key: record[key] for key in expected[0]} for record in women] == expected
    assert {(record["outcome"], record["set"]) for record in women} == {("undiagnosed", "2017-2018")}


def test_a_score_that_only_ranks_has_only_its_rank_metric(
    toy: pd.DataFrame, full: SurveyDesign, people: pd.DataFrame
) -> None:
    assert {r["metric"] for r in found(toy, full, people) if r["model"] == "points"} == {"auroc"}


def test_a_bound_belongs_to_the_group_above_it(toy: pd.DataFrame, full: SurveyDesign, people: pd.DataFrame) -> None:
    ages = {r["level"]: r["n"] for r in found(toy, full, people) if r["group"] == "age"}
    assert list(ages) == ["below 45 years", "45 to 64 years", "65 years and older"]
    inside = full.analysis_weight > 0
    assert ages["below 45 years"] == int((inside & (people["age_years"] == 44)).sum())
    assert ages["45 to 64 years"] == int((inside & (people["age_years"] == 45)).sum())


def test_nobody_vanishes(toy: pd.DataFrame, full: SurveyDesign, people: pd.DataFrame) -> None:
    records = found(toy, full, people)
    bmi = {r["level"]: r["n"] for r in records if r["group"] == "bmi"}
    assert sum(bmi.values()) == full.n
    assert bmi["missing"] > 0
    (empty,) = (r for r in records if (r["model"], r["group"], r["level"]) == ("m", "race_ethnicity", "asian"))
    assert (empty["n"], empty["problem"], empty["presentation"]) == (0, "metric.empty", "suppress:effective_size")
    absent = [r for r in records if r["group"] == "income"]
    assert {(r["model"], r["level"], r["problem"]) for r in absent} == {
        ("m", "all", "subgroup.absent"), ("points", "all", "subgroup.absent"),
    }  # fmt: skip


def test_groups_are_made_of_features_of_the_registry() -> None:
    for each in groupings():
        feature = FEATURES[each.feature]
        assert (feature.kind == "number") is bool(each.bounds)
        assert len(each.levels) == (len(each.bounds) + 1 if each.bounds else 0)
        assert list(each.bounds) == sorted(each.bounds)
    assert [each.name for each in groupings()] == ["sex", "age", "race_ethnicity", "income", "bmi"]

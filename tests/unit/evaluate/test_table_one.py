"""Table 1 describes the population, with missing values and rows for numbers that cannot be estimated."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from mgrisk.evaluate.table_one import table_one
from mgrisk.survey import estimates

if TYPE_CHECKING:
    import pandas as pd
    from tests.conftest import ToyPeople

Records = dict[tuple[str, str, str | None], dict[str, Any]]


def table(toy_people: ToyPeople, *, frame: pd.DataFrame | None = None, y: np.ndarray | None = None) -> Records:
    records = table_one(
        toy_people.frame if frame is None else frame,
        toy_people.y if y is None else y,
        toy_people.design,
        chosen=toy_people.features,
        set_name="development",
    )
    assert {record["set"] for record in records} == {"development"}
    found = {(record["group"], record["variable"], record["level"]): record for record in records}
    assert len(found) == len(records)
    return found


def test_a_number_has_its_weighted_mean_among_those_whose_value_is_known(toy_people: ToyPeople) -> None:
    row = table(toy_people)["all", "bmi_kg_m2", None]
    values = toy_people.frame["bmi_kg_m2"].to_numpy()[toy_people.inside]
    known = np.isfinite(values)
    assert row["estimate"] == pytest.approx(np.average(values[known], weights=toy_people.weight[known]))
    assert (row["statistic"], row["unit"], row["n"]) == ("mean", "kg/m2", known.sum())
    assert row["missing"] == pytest.approx(toy_people.weight[~known].sum() / toy_people.weight.sum())
    inside = toy_people.design.where(toy_people.frame["bmi_kg_m2"].notna().to_numpy())
    expected = estimates.mean(toy_people.frame["bmi_kg_m2"].to_numpy(), inside)
    assert (row["se"], row["low"], row["high"]) == (expected.se, expected.low, expected.high)


def test_the_shares_of_the_levels_of_a_category_add_up_to_one_in_each_group(toy_people: ToyPeople) -> None:
    found = table(toy_people)
    for group in ("all", "case", "other"):
        for feature in (item for item in toy_people.features if item.kind == "category"):
            rows = [found[group, feature.name, level] for level in feature.levels]
            assert sum(row["estimate"] for row in rows) == pytest.approx(1)
            assert {row["statistic"] for row in rows} == {"proportion"}


def test_cases_and_others_are_the_outcome_within_the_analysis(toy_people: ToyPeople) -> None:
    found = table(toy_people)
    for group, value in (("case", 1), ("other", 0)):
        chosen = toy_people.case == value
        ages = toy_people.frame["age_years"].to_numpy()[toy_people.inside][chosen]
        row = found[group, "age_years", None]
        assert (row["n"], row["missing"]) == (chosen.sum(), 0)
        assert row["estimate"] == pytest.approx(np.average(ages, weights=toy_people.weight[chosen]))


def test_people_outside_the_analysis_change_nothing(toy_people: ToyPeople) -> None:
    outside = toy_people.design.analysis_weight == 0
    frame = toy_people.frame.copy()
    frame.loc[outside, ["age_years", "bmi_kg_m2"]] = -1e6
    frame.loc[outside, "sex"] = np.nan
    assert repr(table(toy_people, frame=frame, y=np.where(outside, 1.0, toy_people.y))) == repr(table(toy_people))


def test_a_feature_that_nobody_has_keeps_its_row_and_says_that_all_is_missing(toy_people: ToyPeople) -> None:
    found = table(toy_people, frame=toy_people.frame.assign(bmi_kg_m2=np.nan))
    row = found["case", "bmi_kg_m2", None]
    assert (row["n"], row["missing"]) == (0, pytest.approx(1))
    assert np.isnan([row["estimate"], row["se"], row["low"], row["high"]]).all()
    assert found.keys() == table(toy_people).keys()


def test_a_group_without_people_keeps_its_rows(toy_people: ToyPeople) -> None:
    found = table(toy_people, y=np.zeros(len(toy_people.y)))
    assert found.keys() == table(toy_people).keys()
    assert found["case", "sex", "male"]["n"] == 0
    assert np.isnan(found["case", "sex", "male"]["missing"])

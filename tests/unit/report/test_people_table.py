from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import pytest

from mgrisk.features.compute import typed
from mgrisk.features.registry import features
from mgrisk.report import people_table as module
from mgrisk.report.people_table import RECALL, PeopleShown, compact_values, explorer, reference_value, shown_value

AGE, SEX = features(["age_years", "sex"])


@pytest.mark.parametrize(("value", "shown"), [(43.0, "45"), (np.nan, "missing")])
def test_a_number_is_rounded_by_its_unit_or_missing(value: float, shown: str) -> None:
    assert shown_value(value, AGE) == shown


@pytest.mark.parametrize(("value", "shown"), [("male", "male"), (None, "missing"), (np.nan, "missing")])
def test_a_category_is_its_level_or_missing(value: object, shown: str) -> None:
    assert shown_value(value, SEX) == shown


def test_the_population_is_a_median_or_the_most_frequent_level() -> None:
    assert reference_value(AGE, {"quantiles": {"0.5": 46.2}}) == ("median 46", {"median": 46.2})
    shares = {"female": 0.52, "male": 0.48}
    assert reference_value(SEX, {"shares": shares}) == ("female 52\u00a0%", {"shares": shares})
    assert reference_value(AGE, {"quantiles": {}})[0] == "not known"


def test_strangers_are_rounded_and_one_s_own_people_are_not() -> None:
    ages = pd.Series([43.0, np.nan, 41.5])
    assert compact_values(ages, AGE, coarse=True) == [45, None, 40]
    assert compact_values(ages, AGE, coarse=False) == [43, None, 41.5]
    (steps,) = features(["activity_met_min_week"])
    assert compact_values(pd.Series([12345.6]), steps, coarse=False) == [12346]


def test_a_category_is_the_place_of_its_level() -> None:
    sexes = pd.Series(pd.Categorical(["male", None, "female"], categories=list(SEX.levels)))
    assert compact_values(sexes, SEX, coarse=True) == [1, None, 0]


FEATURES = features(["age_years", "sex"])


@pytest.fixture
def people() -> PeopleShown:
    data = typed(
        pd.DataFrame({"age_years": [19.0, 39.9, np.nan, 60.0], "sex": ["male", "female", None, "male"]}), FEATURES
    )
    contributions = np.array([[0.12345, -1.0], [0.0, 0.5], [2.0, -0.00004], [0.3, 0.3]])
    base = np.array([-2.0, -2.0, -1.5, -1.2345678])  # by what is absent of each
    risk = 1 / (1 + np.exp(-(base + contributions.sum(axis=1))))
    return PeopleShown(
        id_label="SEQN", ids=["1", "2", "3", "4"], features=FEATURES, data=data, contributions=contributions,
        base_values=base, risk=risk, low=risk / 2, high=risk * 1.5, in_domain=np.array([True, True, False, True]),
        low_inputs=np.array([*risk[:3] / 3, np.nan]), high_inputs=np.array([*risk[:3] * 2, np.nan]),
        reference={"age_years": {"quantiles": {"0.5": 46.0}}, "sex": {"shares": {"female": 0.5, "male": 0.5}}},
        weight=np.array([10.4, 20.0, 30.0, 40.0]), case=np.array([False, True, False, False]),
    )  # fmt: skip


def test_the_columns_are_plain_numbers_that_give_the_reported_risk_back(people: PeopleShown) -> None:
    data = explorer(people, "All.")["data"]
    assert json.loads(json.dumps(data, allow_nan=False)) == data
    assert data["base"] == [-2.0, -2.0, -1.5, -1.23457]
    log_odds = data["base"] + np.array(data["contributions"]).sum(axis=0) / data["scale"]
    np.testing.assert_allclose(1 / (1 + np.exp(-log_odds)), people.risk, atol=1e-4)
    np.testing.assert_allclose(data["risk"], people.risk, rtol=1e-3)
    # Of a model that cannot tell, nothing is said.
    assert data["lowInputs"][-1] is data["highInputs"][-1] is None
    np.testing.assert_allclose(data["highInputs"][:3], people.risk[:3] * 2, rtol=1e-3)
    assert data["weight"] == [10, 20, 30, 40]
    assert data["values"] == [[20, 40, None, 60], [1, 0, None, 1]]


def told(people: PeopleShown) -> dict[str, dict[str, Any]]:
    return {each["label"]: each for each in explorer(people, "All.")["data"]["told"]}


def test_people_can_be_chosen_by_outcome_age_group_and_training_distribution(people: PeopleShown) -> None:
    found = told(people)
    assert list(found) == ["Outcome", "Age group, years", "Training distribution"]
    assert found["Outcome"]["of"] == [0, 1, 0, 0]
    assert found["Age group, years"]["of"] == [0, 1, None, 3]  # of the age itself, not of the rounded one
    assert found["Training distribution"]["of"] == [0, 0, 1, 0]
    # An opened person says what is not among the values.
    assert [label for label, each in found.items() if each["said"]] == ["Outcome", "Training distribution"]


def test_people_can_be_chosen_by_how_firm_their_first_reason_is(people: PeopleShown) -> None:
    found = told(replace(people, firmness=np.array([1.0, 0.9, 0.51, 0.5])))["Largest contribution over refits"]
    assert [found["levels"][place] for place in found["of"]] == [
        "same feature in 90 % of refits or more", "same feature in 90 % of refits or more",
        "same feature in more than half", "same feature in half or fewer",
    ]  # fmt: skip
    assert found["said"]


def test_people_can_be_chosen_by_what_recall_error_would_add_to_their_interval(people: PeopleShown) -> None:
    found = told(replace(people, recall_share=np.array([0.3, 0.05, 0.01, np.nan])))[RECALL]
    assert found["of"] == [0, 1, 2, None]
    assert found["said"]
    assert RECALL not in told(replace(people, recall_share=np.full(4, np.nan)))


def test_what_is_not_known_is_not_offered(people: PeopleShown) -> None:
    unknown = replace(people, weight=None, case=None)
    assert explorer(unknown, "All.")["data"]["weight"] is None
    assert list(told(unknown)) == ["Age group, years", "Training distribution"]


def test_of_too_many_people_those_of_highest_risk_are_kept_in_order_and_that_is_said(
    people: PeopleShown, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "MOST_PEOPLE", 2)
    block = explorer(people, "All.")
    assert block["data"]["ids"] == ["3", "4"]
    assert block["data"]["base"] == [-1.5, -1.23457]
    assert block["caption"] == "All. Shown are the 2 of highest risk of 4."

"""Fitted features: fitted once, saved as plain values, and the same in scoring as in fitting.

Computing features: one type for each kind; given values have precedence, others are derived or missing.
"""

from __future__ import annotations

import json
import sys
from dataclasses import dataclass
from types import ModuleType
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mgrisk.errors import ExitStatus, MgRiskError
from mgrisk.features import compute
from mgrisk.features.compute import complete, from_nhanes, typed
from mgrisk.features.registry import FEATURES, Feature, features, with_ancestors
from mgrisk.nhanes.codebook import VARIABLES
from mgrisk.survey.design import SurveyDesign, WeightLevel

NAN = float("nan")


@dataclass(frozen=True)
class Centred:
    """Weight less the weighted mean of the people of the fit."""

    mean: float

    def predict(self, parents: pd.DataFrame) -> pd.DataFrame:
        return pd.DataFrame({"weight_centred_kg": parents["weight_kg"] - self.mean})

    def to_dict(self) -> dict[str, Any]:
        return {"mean": self.mean}


@pytest.fixture
def centred(monkeypatch: pytest.MonkeyPatch) -> Feature:
    """Return a feature whose model a module of features would fit."""
    module = ModuleType("mgrisk.features.toy_centred")

    def fit(people: pd.DataFrame, design: SurveyDesign) -> Centred:
        known = people["weight_kg"].notna().to_numpy()
        weights = design.analysis_weight[known]
        return Centred(float(np.average(people["weight_kg"][known], weights=weights)))

    vars(module).update(fit=fit, from_dict=lambda content: Centred(**content))
    monkeypatch.setitem(sys.modules, module.__name__, module)
    row = {"name": "weight_centred_kg", "fitted": "toy_centred", "derived_from": ("weight_kg",), "sources": ()}
    return FEATURES["weight_kg"].model_copy(update=row)


@pytest.fixture
def models(centred: Feature) -> compute.Models:
    people = pd.DataFrame({"weight_kg": [50.0, 80.0, NAN, 500.0]})
    design = SurveyDesign([1.0, 2.0, 5.0, 9.0], [1, 1, 2, 2], [1, 2, 1, 2], WeightLevel.EXAM)
    domain = design.where(np.array([True, True, True, False]))
    return compute.fit(people, domain, [centred, centred, FEATURES["age_years"]])


def test_a_model_is_fitted_once_with_the_weights_of_the_domain(models: compute.Models) -> None:
    assert compute.to_dict(models) == {"toy_centred": {"mean": 70.0}}


def test_a_model_comes_back_from_its_file_and_predicts_the_same(models: compute.Models, centred: Feature) -> None:
    back = compute.from_dict(json.loads(json.dumps(compute.to_dict(models))), [centred])
    given = pd.DataFrame({"weight_kg": [71.0, NAN]}, index=[9, 4])
    family = with_ancestors([centred])
    values = complete(given, family, models=back)["weight_centred_kg"]
    assert values.index.tolist() == [9, 4]
    np.testing.assert_array_equal(values, [1.0, NAN])
    pd.testing.assert_series_equal(values, complete(given, family, models=models)["weight_centred_kg"])


def test_a_given_value_wins_over_the_predicted_one(models: compute.Models, centred: Feature) -> None:
    given = pd.DataFrame({"weight_kg": [71.0, 71.0], "weight_centred_kg": [5.0, NAN]})
    assert complete(given, with_ancestors([centred]), models=models)["weight_centred_kg"].tolist() == [5.0, 1.0]


def test_without_its_model_a_feature_is_missing(centred: Feature) -> None:
    assert complete(pd.DataFrame({"weight_kg": [71.0]}), with_ancestors([centred]))["weight_centred_kg"].isna().all()


def test_a_bundle_that_lacks_a_model_is_refused_by_its_name(centred: Feature) -> None:
    with pytest.raises(MgRiskError) as refused:
        compute.from_dict({}, [centred])
    assert refused.value.code == "fitted.missing"
    assert refused.value.status == ExitStatus.BUNDLE
    assert "toy_centred" in refused.value.message


def test_features_without_a_model_need_none() -> None:
    assert compute.from_dict({}, [FEATURES["age_years"]]) == {}


def test_a_model_that_is_carried_beside_is_read_and_an_unknown_one_is_not_looked_at() -> None:
    content = {"energy_adjusted": {"slope": "none"}}
    with pytest.raises(MgRiskError) as refused:
        compute.from_dict(content, [FEATURES["age_years"]])
    assert refused.value.status == ExitStatus.BUNDLE
    unknown = {"os": {}, "": {}, "magnesium": {}}
    assert compute.from_dict(unknown, [FEATURES["age_years"]]) == {}


CHOSEN = with_ancestors(features(["age_years", "sex", "race_ethnicity", "bmi_kg_m2", "magnesium_total_mg"]))


def people(**columns: list[object]) -> pd.DataFrame:
    return typed(pd.DataFrame(columns), [feature for feature in CHOSEN if feature.name in columns])


def completed(**columns: list[object]) -> pd.DataFrame:
    return complete(people(**columns), CHOSEN)


def test_every_feature_can_be_computed_from_people_who_answered_nothing() -> None:
    summed = [feature.name for feature in FEATURES.values() if feature.summary]
    raw = pd.DataFrame(NAN, index=[7, 3], columns=[*VARIABLES, *summed]).assign(cycle="2017-2018")
    frame = from_nhanes(raw, list(FEATURES.values()))
    assert list(frame) == list(FEATURES)
    assert frame.index.tolist() == [7, 3]
    answered = frame.columns[frame.notna().any()].tolist()
    assert answered == []


def test_numbers_are_float64_and_categories_have_the_levels_of_the_registry_whoever_is_there() -> None:
    raw = pd.DataFrame({"RIDAGEYR": [40.0], "RIAGENDR": [1.0], "RIDRETH1": [3.0], "RIDRETH3": [3.0]})
    frame = from_nhanes(raw.assign(cycle="2017-2018"), features(["race_ethnicity", "age_years", "sex"]))
    assert frame["age_years"].dtype == np.float64
    assert tuple(frame["sex"].cat.categories) == ("female", "male")
    assert tuple(frame["race_ethnicity"].cat.categories) == FEATURES["race_ethnicity"].levels


def test_a_value_of_nhanes_above_the_cap_of_its_feature_counts_as_the_cap() -> None:
    # SLD012 of 2015 on goes up to 14 hours and more, SLD010H before it ended at 12.
    raw = pd.DataFrame({"SLD012": [11.5, 12.0, 14.5, NAN]}).assign(cycle="2017-2018")
    np.testing.assert_array_equal(from_nhanes(raw, features(["sleep_hours"]))["sleep_hours"], [11.5, 12.0, 12.0, NAN])


def test_a_feature_that_is_a_variable_is_that_variable_as_it_stands() -> None:
    raw = pd.DataFrame({"PAD680": [0.0, NAN, 600.0], "BMXHT": [170.5, 181.0, NAN]}).assign(cycle="2017-2018")
    frame = from_nhanes(raw, features(["height_cm", "sedentary_min_day"]))
    np.testing.assert_array_equal(frame["sedentary_min_day"], raw["PAD680"])
    np.testing.assert_array_equal(frame["height_cm"], raw["BMXHT"])


@pytest.mark.parametrize(
    "changed",
    [
        {"name": "bmi_squared"},
        {"derived_from": ("weight_kg", "height_in")},
        {"name": "bmi_squared", "module": "no_such_module"},
        {"fitted": "no_such_model"},
        {"fitted": "background"},
    ],
    ids=str,
)
def test_a_feature_without_function_parent_or_model_in_this_version_cannot_be_derived(changed: dict[str, Any]) -> None:
    bmi = FEATURES["bmi_kg_m2"]
    assert compute.underivable([bmi.model_copy(update=changed), bmi]) == (changed.get("name", "bmi_kg_m2"),)


def test_every_feature_of_the_registry_can_be_derived_and_one_that_is_only_given_needs_nothing() -> None:
    assert compute.underivable(FEATURES.values()) == ()
    only_given = FEATURES["height_cm"].model_copy(update={"name": "cholesterol_score", "module": "gone"})
    assert compute.underivable([only_given]) == ()


@pytest.mark.parametrize(
    ("name", "cycle", "expected"),
    [
        ("gestational_diabetes", "2007-2008", "no"),
        ("gestational_diabetes", "2005-2006", None),
        ("gestational_diabetes", "2021-2023", None),
        ("magnesium_supplement_mg", "2017-2020", 0.0),
        ("magnesium_supplement_mg", "2003-2004", None),
    ],
)
def test_what_a_cycle_did_not_ask_is_missing_and_neither_no_nor_zero(name: str, cycle: str, expected: object) -> None:
    raw = pd.DataFrame(NAN, index=[0], columns=list(VARIABLES)).assign(cycle=cycle, RIAGENDR=1.0, DSD010=1.0)
    (value,) = from_nhanes(raw, features([name]))[name].astype(object).where(lambda column: column.notna(), None)
    assert value == expected


def test_a_feature_without_a_column_is_missing() -> None:
    frame = completed(age_years=[50])
    assert list(frame) == [feature.name for feature in CHOSEN]
    assert frame.drop(columns="age_years").isna().all(axis=None)
    assert frame["sex"].dtype == "category"


def test_a_derived_feature_is_filled_only_where_it_was_not_given() -> None:
    frame = completed(
        bmi_kg_m2=[31.0, NAN, NAN, NAN], weight_kg=[80.0, 80.0, NAN, 80.0], height_cm=[200.0, 200.0, 200.0, NAN]
    )
    np.testing.assert_array_equal(frame["bmi_kg_m2"], [31.0, 20.0, NAN, NAN])


def test_total_magnesium_is_food_and_supplements_and_missing_where_either_is() -> None:
    frame = completed(magnesium_food_mg=[300.0, 300.0, NAN], magnesium_supplement_mg=[50.0, NAN, 50.0])
    np.testing.assert_array_equal(frame["magnesium_total_mg"], [350.0, NAN, NAN])


def test_a_value_above_the_top_code_means_the_top_code_and_one_below_it_is_kept() -> None:
    frame = completed(age_years=[80.0, 95.0, 79.5, NAN])
    np.testing.assert_array_equal(frame["age_years"], [80.0, 80.0, 79.5, NAN])


def test_what_is_given_is_not_changed_in_place() -> None:
    given_frame = people(age_years=[95.0], bmi_kg_m2=[NAN], weight_kg=[80.0], height_cm=[200.0])
    before = given_frame.copy()
    complete(given_frame, CHOSEN)
    pd.testing.assert_frame_equal(given_frame, before)


maybe = st.none() | st.floats(0, 300)


@given(rows=st.lists(st.tuples(maybe, maybe, maybe, maybe), min_size=1, max_size=6), cut=st.integers(0, 6))
def test_a_row_is_completed_alike_whatever_stands_around_it_and_completing_twice_changes_nothing(
    rows: list[tuple[float | None, ...]], cut: int
) -> None:
    names = ["age_years", "bmi_kg_m2", "weight_kg", "height_cm"]
    frame = pd.DataFrame(rows, columns=names).astype("float64").assign(height_cm=lambda f: f["height_cm"] + 1)
    whole = complete(frame, CHOSEN)
    parts = pd.concat([complete(part, CHOSEN) for part in (frame.iloc[:cut], frame.iloc[cut:])])
    pd.testing.assert_frame_equal(parts, whole)
    pd.testing.assert_frame_equal(complete(whole, CHOSEN), whole)

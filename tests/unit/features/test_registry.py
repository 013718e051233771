"""Every row of the registry has its function, its sources and a possible range.

The provenance of a feature: NHANES variables, with range, sample, cycles and breaks.
"""

from __future__ import annotations

from importlib import import_module

import pytest

from mgrisk.errors import ExitStatus, MgRiskError
from mgrisk.features.registry import FEATURES, SAMPLES, VARIABLE_OF, Feature, features, lineage, with_ancestors
from mgrisk.features.summary import summary_of
from mgrisk.nhanes.codebook import VARIABLES
from mgrisk.nhanes.cycles import CYCLES
from mgrisk.survey.design import WeightLevel

every_feature = pytest.mark.parametrize("feature", FEATURES.values(), ids=lambda feature: feature.name)


@every_feature
def test_a_feature_is_computed_by_the_function_of_its_name_in_its_module(feature: Feature) -> None:
    module = import_module(f"mgrisk.features.{feature.module}")
    as_it_stands = feature.name in VARIABLE_OF
    assert hasattr(module, feature.name) == (bool(feature.sources) and not feature.summary and not as_it_stands)
    assert hasattr(module, f"derive_{feature.name}") == (bool(feature.derived_from) and not feature.fitted)


def test_a_feature_that_is_a_variable_has_it_as_its_only_source() -> None:
    assert VARIABLE_OF["height_cm"] == "BMXHT"
    assert {name: FEATURES[name].sources for name in VARIABLE_OF} == {name: (it,) for name, it in VARIABLE_OF.items()}


@every_feature
def test_a_feature_is_made_in_one_way(feature: Feature) -> None:
    several = {name for name in feature.sources if VARIABLES[name].records}
    patterns = summary_of(feature.summary).patterns if feature.summary else ()
    assert bool(feature.summary) == bool(several or patterns)
    if feature.summary:
        assert {VARIABLES[name].table for name in several} <= set(summary_of(feature.summary).records)
    if feature.fitted:
        assert feature.derived_from
        assert not feature.sources
        module = import_module(f"mgrisk.features.{feature.fitted}")
        assert callable(module.fit)
        assert callable(module.from_dict)


@every_feature
def test_a_feature_comes_from_known_variables_over_known_cycles(feature: Feature) -> None:
    assert feature.sources or feature.derived_from
    assert set(feature.sources) <= VARIABLES.keys()
    assert set(feature.derived_from) <= FEATURES.keys()
    first, last = feature.comparable
    years = [cycle.years for cycle in CYCLES]
    assert years.index(first) <= years.index(last)


@every_feature
def test_a_feature_needs_the_smallest_subsample_of_its_sources(feature: Feature) -> None:
    # The second recall helps where it is there; who has one recall has a value.
    parents = () if feature.sources else features(feature.derived_from)
    needed = [VARIABLES[name].level for name in feature.sources] + [parent.level for parent in parents]
    needed = [WeightLevel.RECALL1 if level == WeightLevel.RECALL2 else level for level in needed]
    assert feature.level == max(needed, key=lambda level: level.rank)


@every_feature
def test_a_number_has_unit_and_range_and_a_category_has_levels(feature: Feature) -> None:
    if feature.kind == "number":
        assert feature.unit
        assert not feature.levels
        assert feature.minimum is not None
        assert feature.maximum is not None
        assert feature.minimum < (feature.cap or feature.maximum) <= feature.maximum
    else:
        assert len(set(feature.levels)) == len(feature.levels) >= 2
        assert (feature.unit, feature.minimum, feature.maximum, feature.cap) == ("", None, None, None)


@pytest.mark.parametrize(
    ("name", "comparable", "breaks"),
    [
        ("age_years", ("1999-2000", "2021-2023"), ()),
        ("family_history_diabetes", ("1999-2000", "2017-2020"), ("2005-2006",)),
        ("gestational_diabetes", ("2007-2008", "2017-2020"), ()),
        ("race_ethnicity", ("1999-2000", "2021-2023"), ("2011-2012",)),
        ("sleep_hours", ("2005-2006", "2021-2023"), ("2015-2016",)),
        ("pulse_bpm", ("1999-2000", "2021-2023"), ("2017-2020",)),
        ("upper_leg_length_cm", ("1999-2000", "2021-2023"), ("2005-2006",)),
        ("activity_met_min_week", ("2007-2008", "2017-2020"), ()),
        ("magnesium_total_mg", ("2007-2008", "2021-2023"), ("2021-2023",)),
    ],
)
def test_the_cycles_and_breaks_of_a_feature_follow_from_codebook_and_eras(
    name: str, comparable: tuple[str, str], breaks: tuple[str, ...]
) -> None:
    assert (FEATURES[name].comparable, FEATURES[name].breaks) == (comparable, breaks)


def test_a_cycle_that_lacks_a_feature_between_others_that_have_it_is_a_gap() -> None:
    assert FEATURES["triglycerides_mg_dl"].gaps == ("2003-2004",)
    assert FEATURES["waist_cm"].gaps == ()


def test_only_age_and_sex_are_required() -> None:
    assert {name for name, feature in FEATURES.items() if feature.required} == {"age_years", "sex"}


def test_features_come_in_the_order_asked_for() -> None:
    assert [feature.name for feature in features(["waist_cm", "age_years"])] == ["waist_cm", "age_years"]


def test_an_unknown_feature_is_refused_with_the_nearest_known_one() -> None:
    with pytest.raises(MgRiskError) as caught:
        features(["age_years", "magnesium_mg_total"])
    assert caught.value.code == "features.unknown"
    assert caught.value.status == ExitStatus.USAGE
    assert caught.value.hint == "did you mean magnesium_total_mg?"


def test_ancestors_stand_before_what_derives_from_them_and_each_feature_stands_once() -> None:
    chosen = features(["magnesium_total_mg", "bmi_kg_m2", "magnesium_food_mg", "weight_kg"])
    names = [feature.name for feature in with_ancestors(chosen)]
    assert names == [
        "magnesium_food_mg", "magnesium_supplement_mg", "magnesium_total_mg", "height_cm", "weight_kg", "bmi_kg_m2",
    ]  # fmt: skip


def test_an_axis_shows_the_unit_only_where_there_is_one() -> None:
    labels = [feature.label_with_unit for feature in features(["waist_cm", "sex", "income_poverty_ratio"])]
    assert labels == ["Waist, cm", "Sex", "Ratio of family income to poverty threshold"]


@pytest.mark.parametrize("feature", FEATURES.values(), ids=lambda feature: feature.name)
def test_every_feature_is_traced_to_variables_and_leaves_no_field_empty(feature: Feature) -> None:
    found = lineage(feature)
    assert set(found.sources) >= set(feature.sources)
    assert found.sources
    assert set(found.sources) <= VARIABLES.keys()
    for name, told in found.to_dict().items():
        assert told or name in {"unit", "made_of", "breaks"}, name


def test_a_score_shows_its_parts_and_the_variables_behind_them() -> None:
    found = lineage(FEATURES["magnesium_depletion_score"])
    assert found.made_of == ("diuretic_use", "ppi_use", "egfr", "heavy_drinking")
    assert {"RXDDRGID", "LBXSCR", "ALQ130_FROM_2005", "RIDAGEYR", "RIAGENDR"} <= set(found.sources)
    assert len(set(found.sources)) == len(found.sources)
    assert found.sample == "blood sample"
    assert found.breaks == ("2017-2018",)


def test_a_cycle_between_the_first_and_the_last_that_lacks_a_feature_is_named() -> None:
    assert lineage(FEATURES["tyg"]).cycles == "1999-2000 to 2017-2020, not 2003-2004"
    assert lineage(FEATURES["magnesium_from_nuts_mg"]).cycles == "2007-2008 to 2021-2023, not 2017-2020"
    assert lineage(FEATURES["waist_cm"]).cycles == "1999-2000 to 2021-2023"


def test_values_are_a_range_with_its_unit_and_top_code_or_the_levels() -> None:
    assert lineage(FEATURES["age_years"]).allowed == "20 to 120 years, 80 or more counts as 80"
    assert lineage(FEATURES["waist_to_height"]).allowed == "0.2 to 2"
    assert lineage(FEATURES["smoking"]).allowed == "never, former, current"
    assert lineage(FEATURES["pulse_bpm"]).allowed == "20 to 250 beats/min"


def test_every_subsample_has_a_name() -> None:
    assert set(SAMPLES) == set(WeightLevel)

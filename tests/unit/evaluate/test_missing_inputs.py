"""Patterns of absent inputs are unique and never include a required input."""

from __future__ import annotations

import pytest

from mgrisk.config.toml import rows
from mgrisk.evaluate.missing_inputs import NOTHING, RANDOM, Pattern, patterns
from mgrisk.features.registry import FEATURES, features

MODEL = features(
    ["age_years", "sex", "family_history_diabetes", "waist_cm", "magnesium_total_mg", "fiber_g", "leisure_met_min_week"]
)


def named(name: str) -> Pattern:
    (found,) = (each for each in patterns(MODEL) if each.name == name)
    return found


def taken_by(pattern: Pattern) -> set[str]:
    return {MODEL[place].name for place in pattern.absent}


def test_every_name_and_group_is_of_the_registry() -> None:
    groups = {feature.group for feature in FEATURES.values()}
    for row in rows("mgrisk.evaluate", "missing_inputs.toml", "pattern"):
        assert set(row.get("features", ())) | set(row.get("only", ())) <= set(FEATURES)
        assert set(row.get("groups", ())) <= groups
        assert sum(name in row for name in ("features", "groups", "only")) == 1


@pytest.mark.parametrize(
    ("name", "taken"),
    [
        (NOTHING, set()),
        ("diet", {"magnesium_total_mg", "fiber_g"}),
        ("activity", {"leisure_met_min_week"}),
        ("measured", {"waist_cm"}),
        ("supplements", {"magnesium_total_mg"}),
        ("asked_no_more", {"family_history_diabetes", "leisure_met_min_week"}),
        ("fiber_g", {"fiber_g"}),
        ("age_sex", {feature.name for feature in MODEL} - {"age_years", "sex"}),
    ],
)
def test_a_pattern_takes_what_the_model_has_of_it(name: str, taken: set[str]) -> None:
    assert taken_by(named(name)) == taken


def test_what_is_left_is_named_only_where_the_model_has_all_of_it() -> None:
    assert "clinic" not in {each.name for each in patterns(MODEL)}
    more = features(
        [
            "age_years",
            "sex",
            "bmi_kg_m2",
            "height_cm",
            "systolic_mmhg",
            "diastolic_mmhg",
            "smoking",
            "waist_cm",
            "fiber_g",
        ]
    )
    (clinic,) = (each for each in patterns(more) if each.name == "clinic")
    assert [more[place].name for place in clinic.absent] == ["waist_cm", "fiber_g"]


def test_a_pattern_that_takes_nothing_is_none_and_two_that_take_the_same_are_one() -> None:
    assert [each.name for each in patterns(features(["age_years", "sex"]))] == [NOTHING]
    # Fibre is all of diet, and all but age and sex.
    assert [each.name for each in patterns(features(["age_years", "sex", "fiber_g"]))] == [NOTHING, "diet"]
    found = patterns(MODEL)
    assert len({tuple(each.absent) for each in found}) == len(found)
    assert len({each.name for each in found}) == len(found)


def test_every_input_is_taken_alone_unless_a_named_pattern_takes_just_that() -> None:
    alone = {tuple(each.absent) for each in patterns(MODEL) if len(each.absent) == 1}
    assert alone == {(place,) for place in range(2, len(MODEL))}
    assert {each.kind for each in patterns(MODEL)} == {"all", "set", "input", "random"}
    assert named("fiber_g").label == f"Absent: {FEATURES['fiber_g'].label}"


def test_what_is_required_of_everybody_is_never_absent() -> None:
    required = {feature.name for feature in MODEL if feature.required}
    assert required == {"age_years", "sex"}
    for each in patterns(MODEL):
        assert not required & taken_by(each)


def test_sets_at_random_are_the_same_every_time_and_say_how_many_are_left() -> None:
    many = tuple(feature for feature in FEATURES.values() if feature.given)[:20]
    many = features(["age_years", "sex", *(each.name for each in many if not each.required)])
    drawn = [each for each in patterns(many) if each.kind == "random"]
    assert len(drawn) == RANDOM
    again = [each for each in patterns(many) if each.kind == "random"]
    assert [each.absent.tolist() for each in again] == [each.absent.tolist() for each in drawn]
    sizes = {len(each.absent) for each in drawn}
    assert min(sizes) < 6
    assert max(sizes) > 12
    for each in drawn:
        assert each.label == f"{len(many) - len(each.absent)} inputs drawn at random"
        assert each.absent.tolist() == sorted(set(each.absent.tolist()))

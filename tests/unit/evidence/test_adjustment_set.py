from __future__ import annotations

import itertools

import pytest

from mgrisk.cohort.outcomes import OUTCOMES as BINARY
from mgrisk.errors import MgRiskError
from mgrisk.evidence.adjustment_set import DIET_QUALITY, MAIN, NUTRIENTS, OUTCOMES, SEQUENCE, TERMS, outcomes
from mgrisk.features.registry import FEATURES


def test_each_rung_holds_the_rungs_below_it_and_has_a_reason() -> None:
    for lower, upper in itertools.pairwise(SEQUENCE):
        assert upper.all_terms[: len(lower.all_terms)] == lower.all_terms
        assert upper.all_nutrients[: len(lower.all_nutrients)] == lower.all_nutrients
        assert upper.all_terms + upper.all_nutrients != lower.all_terms + lower.all_nutrients
    assert all(adjustment.reason.endswith(".") for adjustment in SEQUENCE)


def test_every_name_of_a_rung_is_known_and_every_row_is_used_once() -> None:
    assert (*SEQUENCE[-1].all_terms, *DIET_QUALITY.terms) == tuple(TERMS)
    assert SEQUENCE[-1].all_nutrients == tuple(NUTRIENTS)
    assert SEQUENCE[0].nutrients == ("magnesium",)


def test_diet_quality_adds_to_the_confounders_alone() -> None:
    assert DIET_QUALITY not in SEQUENCE
    assert DIET_QUALITY.all_terms == (*MAIN.all_terms, "diet_quality")
    assert DIET_QUALITY.all_nutrients == MAIN.all_nutrients


def test_body_size_comes_after_the_main_rung() -> None:
    assert not {"bmi", "waist"} & set(MAIN.all_terms)
    assert "over-adjusted" in SEQUENCE[[adjustment.name for adjustment in SEQUENCE].index("body")].reason


def test_every_outcome_is_an_outcome_of_the_cohort_or_a_marker() -> None:
    for each in OUTCOMES.values():
        assert each.binary == (each.scale == "odds ratio")
        assert each.of in BINARY or FEATURES[each.of].group == "marker"


def test_outcomes_of_people_told_of_diabetes_are_not_among_them() -> None:
    told = [each.of for each in OUTCOMES.values() if each.binary and not BINARY[each.of].eligible]
    assert told == []


def test_an_unknown_outcome_is_refused_by_name() -> None:
    with pytest.raises(MgRiskError, match="no outcome homa") as caught:
        outcomes(["homa"])
    assert caught.value.code == "evidence.unknown_outcome"
    assert "homa_ir" in caught.value.hint

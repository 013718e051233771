"""Comparability across cycles: pooling across a break is refused unless the break is named."""

from __future__ import annotations

import itertools
from decimal import ROUND_HALF_UP, Decimal
from pathlib import Path

import numpy as np
import pytest

from mgrisk.cohort.outcomes import OUTCOMES
from mgrisk.config import pipeline_file
from mgrisk.errors import ExitStatus, MgRiskError
from mgrisk.features.registry import FEATURES
from mgrisk.nhanes.codebook import VARIABLES
from mgrisk.nhanes.cycles import CYCLES
from mgrisk.nhanes.eras import CONCEPTS, Break, Concept, breaks, check_comparable, concepts, exists_in

every_concept = pytest.mark.parametrize("concept", CONCEPTS, ids=lambda concept: concept.name)
BREAKS = {each.name: each for concept in CONCEPTS for each in concept.breaks}
# Of BMI nothing is fitted: it is computed anew, and no equation leads back.
PUBLISHED = [each for each in BREAKS.values() if each.forward is not None and not each.forward.uses]
# Features of issues to come whose eras are known already.
NOT_YET = {"systolic_mmhg"}


@every_concept
def test_an_era_is_of_cycles_in_order_and_no_cycle_is_in_two(concept: Concept) -> None:
    order = [each.years for each in CYCLES]
    years = [each for era in concept.eras for each in era.cycles]
    assert years == sorted(set(years), key=order.index)
    assert len(concept.breaks) == len(concept.eras) - 1
    for each, (before, after) in zip(concept.breaks, itertools.pairwise(concept.eras), strict=True):
        assert (each.before, each.after) == (before.cycles[-1], after.cycles[0])


@every_concept
def test_eras_are_of_known_names_and_of_every_cycle_that_measured_the_variable(concept: Concept) -> None:
    for name in concept.of:
        assert name in VARIABLES or name in FEATURES or name in NOT_YET
        if name in VARIABLES:
            missed = [
                each.years for each in CYCLES if VARIABLES[name].name_in(each) and concept.era(each.years) is None
            ]
            assert missed == []


def test_a_feature_has_the_breaks_of_the_variables_that_it_is_computed_from() -> None:
    every = [each.years for each in CYCLES]
    for feature in FEATURES.values():
        inherited = {each.name for each in breaks(feature.sources, every)}
        assert inherited <= {each.name for each in breaks([feature.name], every)}, feature.name


def test_the_name_of_a_break_is_its_own() -> None:
    assert len(BREAKS) == sum(len(concept.breaks) for concept in CONCEPTS)


@pytest.mark.parametrize(
    ("name", "cycles", "crossed"),
    [
        ("LBXGLU", ["2007-2008", "2013-2014"], []),
        ("LBXGLU", ["2013-2014", "2015-2016"], ["glucose-2015"]),
        ("LBXGLU", ["2017-2018", "2005-2006"], ["glucose-2007", "glucose-2015"]),
        ("LBXGLU", ["2015-2016", "2017-2020"], []),
        ("LBXIN", ["2011-2012", "2013-2014"], ["insulin-2013"]),
        ("LBXIN", ["1999-2000", "2017-2020"], ["insulin-2003", "insulin-2005", "insulin-2011", "insulin-2013"]),
        ("LBXGH", ["2003-2004", "2005-2006"], []),
        ("LBXGH", ["2005-2006", "2007-2008"], ["hba1c-2007"]),
        ("activity_met_min_week", ["2005-2006", "2007-2008"], ["activity-2007"]),
        ("activity_met_min_week", ["2017-2018", "2021-2023"], ["activity-2021"]),
        ("activity_met_min_week", ["2007-2008", "2017-2018"], []),
        ("sleep_hours", ["2013-2014", "2015-2016"], ["sleep-2015"]),
        ("race_ethnicity", ["2009-2010", "2011-2012"], ["race-2011"]),
        ("magnesium_total_mg", ["2017-2018", "2021-2023"], ["recall-2021", "supplements-2021"]),
        ("systolic_mmhg", ["2017-2018", "2017-2020"], ["pressure-2017"]),
        ("pulse_bpm", ["1999-2000", "2017-2018"], []),
        ("pulse_bpm", ["2017-2018", "2021-2023"], ["pulse-2017"]),
        ("upper_leg_length_cm", ["2003-2004", "2005-2006"], ["leg-2005"]),
        ("BMXLEG", ["2005-2006", "2021-2023"], []),
        ("bmi_class", ["2009-2010", "2011-2012"], ["bmi-2011"]),
        ("age_years", ["1999-2000", "2021-2023"], []),
        # Not asked before 2007: nothing is there to be compared.
        ("gestational_diabetes", ["1999-2000", "2007-2008"], []),
    ],
)
def test_the_breaks_crossed_are_those_between_the_first_and_the_last_era(
    name: str, cycles: list[str], crossed: list[str]
) -> None:
    assert [each.name for each in breaks([name], cycles)] == crossed


def test_a_request_across_a_break_is_refused_with_variable_break_and_reason() -> None:
    with pytest.raises(MgRiskError) as refused:
        check_comparable(["age_years", "LBXGLU", "sleep_hours"], ["2013-2014", "2015-2016"])
    assert refused.value.code == "eras.not_comparable"
    assert refused.value.status is ExitStatus.USAGE
    for said in ("LBXGLU", "glucose-2015", "C501 to C311", "sleep_hours", "sleep-2015"):
        assert said in refused.value.message
    assert "age_years" not in refused.value.message
    assert "glucose-2015, sleep-2015" in refused.value.hint


def test_what_is_allowed_by_name_comes_back_and_the_rest_is_still_refused() -> None:
    names, cycles = ["LBXGLU", "sleep_hours"], ["2013-2014", "2015-2016"]
    allowed = check_comparable(names, cycles, across_breaks=frozenset({"glucose-2015", "sleep-2015"}))
    assert [each.name for each in allowed] == ["glucose-2015", "sleep-2015"]
    with pytest.raises(MgRiskError, match="sleep-2015"):
        check_comparable(names, cycles, across_breaks=frozenset({"glucose-2015"}))


def test_a_break_that_is_allowed_and_not_crossed_is_not_reported() -> None:
    assert check_comparable(["LBXGLU"], ["2015-2016"], across_breaks=frozenset({"glucose-2015"})) == ()


def test_a_misspelt_break_is_refused_with_the_known_ones() -> None:
    with pytest.raises(MgRiskError) as refused:
        check_comparable(["LBXGLU"], ["2015-2016"], across_breaks=frozenset({"glucose-2016"}))
    assert refused.value.code == "eras.unknown_break"
    assert "glucose-2015" in refused.value.hint


def test_a_break_whose_older_values_are_converted_is_allowed_and_reported() -> None:
    crossed = check_comparable(["LBXGLU"], ["2013-2014", "2015-2016"], crosswalks=frozenset({"glucose-2015"}))
    assert [each.name for each in crossed] == ["glucose-2015"]


@pytest.mark.parametrize(
    ("name", "code"),
    [
        ("glucose-2016", "eras.unknown_break"),
        ("hba1c-2007", "eras.no_equation"),
        # Its equation is for a feature that is computed from creatinine, not for the variable.
        ("creatinine-2017", "eras.no_equation"),
    ],
)
def test_a_break_without_an_equation_cannot_be_converted(name: str, code: str) -> None:
    with pytest.raises(MgRiskError) as refused:
        check_comparable(["LBXGLU"], ["2015-2016"], crosswalks=frozenset({name}))
    assert (refused.value.code, refused.value.where) == (code, "crosswalks")
    assert name in refused.value.message
    assert "glucose-2015" in refused.value.hint


def test_the_pipelines_of_2007_to_2018_cross_four_breaks() -> None:
    pipeline = pipeline_file.load(Path(__file__).parents[3] / "pipelines" / "nhanes.toml")
    names = [*pipeline.model.features, *OUTCOMES[pipeline.cohort.outcome].variables]
    cycles = [each.years for each in CYCLES if 2007 <= each.first <= 2017 and each.years != "2017-2020"]
    assert {each.name for each in breaks(names, cycles)} == {"bmi-2011", "race-2011", "sleep-2015", "glucose-2015"}


@pytest.mark.parametrize("each", PUBLISHED, ids=lambda each: each.name)
def test_equations_forward_and_backward_undo_each_other_within_their_errors(each: Break) -> None:
    """A slip of sign or of a coefficient would show; CDC fits the directions apart, so that they nearly cancel."""
    assert each.forward is not None
    assert each.backward is not None
    # Middle of the values of most people: mg/dL of glucose, uU/mL of insulin.
    values = np.linspace(85.0, 130.0, 10) if "LBXGLU" in each.of else np.linspace(12.0, 60.0, 10)
    np.testing.assert_allclose(each.backward.apply(each.forward.apply(values)), values, rtol=0.05)
    assert (np.diff(each.forward.apply(values)) > 0).all()


@pytest.mark.parametrize(
    ("name", "old", "new"),
    [
        ("glucose-2005", 100.0, 101.7207),
        ("glucose-2007", 100.0, 101.148),
        ("glucose-2015", 100.0, 101.7892),
        ("insulin-2003", 10.0, 7.7336),
        ("insulin-2005", 10.0, 10.99),
        ("insulin-2011", 10.0, 8.9036),
        ("insulin-2013", 10.0, 8.7862),
    ],
)
def test_an_equation_gives_the_value_worked_by_hand(name: str, old: float, new: float) -> None:
    """CDC's forward equations at a round value, worked with a desk calculator from the documentation."""
    forward = BREAKS[name].forward
    assert forward is not None
    assert forward.apply([old, np.nan])[0] == pytest.approx(new, rel=1e-4)
    assert np.isnan(forward.apply([np.nan])).all()


def test_cdcs_own_example_of_insulin_is_met() -> None:
    """INS_H: Tosoh geometric mean 9.20 of 2013-2014 becomes 10.46 on the Roche scale, median 8.89 becomes 10.12."""
    backward = BREAKS["insulin-2013"].backward
    assert backward is not None
    np.testing.assert_allclose(backward.apply([9.20, 8.89, 31.57]), [10.46, 10.12, 34.86], rtol=2e-3)


def test_bmi_to_one_decimal_is_rounded_once_and_half_up() -> None:
    """Against exact decimals: 29.946 is 29.9, though it is 29.95 to two decimals; 24.35 exactly is 24.4."""
    tenths = [
        (round(weight, 1), round(height, 1)) for weight in np.arange(40, 180, 0.7) for height in (150.0, 163.4, 200)
    ]
    body = [*tenths, (97.4, 200.0), (119.784, 200.0)]
    exact = [
        (Decimal(str(weight)) / (Decimal(str(height)) / 100) ** 2).quantize(Decimal("0.1"), ROUND_HALF_UP)
        for weight, height in body
    ]
    forward = BREAKS["bmi-2011"].forward
    assert forward is not None
    assert forward.apply(body)[:, 0] == pytest.approx([float(each) for each in exact], abs=1e-12)
    assert forward.apply([(97.4, 200.0), (119.784, 200.0)])[:, 0].tolist() == [24.4, 29.9]
    assert np.isnan(forward.apply([(np.nan, 170.0)])).all()


def test_a_break_that_is_accepted_is_reported_without_being_named_and_refuses_nothing() -> None:
    accepted = {each.name for each in BREAKS.values() if each.accepted}
    assert accepted == {"bmi-2011"}
    assert [each.name for each in check_comparable(["bmi_kg_m2"], ["2009-2010", "2011-2012"])] == ["bmi-2011"]


def test_the_record_of_a_break_says_whether_an_equation_exists_and_was_applied() -> None:
    assert BREAKS["glucose-2015"].to_dict()["crosswalk"] == "published, not applied"
    assert BREAKS["glucose-2015"].to_dict(applied=True)["crosswalk"] == "published, applied to the values before"
    assert BREAKS["hba1c-2007"].to_dict()["crosswalk"] == "none published"


def test_where_a_name_has_no_era_it_does_not_exist() -> None:
    assert not exists_in("magnesium_supplement_mg", "2005-2006")
    assert not exists_in("magnesium_total_mg", "1999-2000")
    assert exists_in("magnesium_food_mg", "1999-2000")
    assert list(concepts("age_years")) == []

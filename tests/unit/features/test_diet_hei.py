"""The index gives the points of NCI's macro, and each standard is applied correctly.

Drinks a day: never and not this year are 0, unknown is missing, and both questionnaires agree.

Energy needs by Schofield, credible energy intakes by Goldberg, and misreporting as published on NHANES.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from mgrisk.errors import MgRiskError
from mgrisk.features.diet import (
    COMPONENTS,
    ENERGY,
    FREQUENCIES,
    GOLDBERG,
    NUTRIENTS,
    PATTERNS,
    RATES,
    TOTAL,
    Component,
    derive_basal_metabolic_rate_kcal,
    derive_energy_report,
    derive_heavy_drinking,
    drinks_per_day,
    hei_2020,
)
from mgrisk.features.registry import FEATURES, features
from mgrisk.features.summary import gather
from mgrisk.nhanes.cycles import cycle
from mgrisk.nhanes.store import Store

GOLDEN = Path(__file__).parents[2] / "golden" / "hei.csv"
every_component = pytest.mark.parametrize("component", COMPONENTS, ids=lambda component: component.name)


def diet(**amounts: float) -> pd.DataFrame:
    columns = dict.fromkeys((name for component in COMPONENTS for name in component.columns()), 0.0)
    return pd.DataFrame([{**columns, ENERGY: 2000.0, **amounts}])


def with_value(component: Component, value: float) -> pd.DataFrame:
    """A diet of 2,000 kcal in which the component has this value."""
    amount = {"density": 2.0 * value, "energy": 20.0 * value / (component.kcal or 1.0), "ratio": 10.0 * value}
    rest = {component.over: 10.0} if component.over else {}
    return diet(**{component.of[0]: amount[component.kind]}, **rest)


def test_sample_days_have_the_points_that_the_macro_gave_them() -> None:
    known = pd.read_csv(GOLDEN, comment="#")
    found = hei_2020(known)
    assert len(known) == 6
    # The macro's scores are printed to ten digits.
    pd.testing.assert_frame_equal(found, known[found.columns], rtol=0, atol=1e-8, check_dtype=False)


def test_there_are_thirteen_components_and_a_hundred_points() -> None:
    assert len({component.name for component in COMPONENTS}) == 13
    assert sum(component.points for component in COMPONENTS) == 100


@every_component
def test_points_rise_in_proportion_from_none_to_full_and_stay_there(component: Component) -> None:
    step = component.full - component.none
    values = [component.none - 0.1 * step, component.none, component.none + step / 4, component.full]
    values = [value for value in [*values, component.full + 0.1 * step] if value >= 0]
    found = [hei_2020(with_value(component, value))[component.name].item() for value in values]
    wanted = [component.points * min(max((value - component.none) / step, 0.0), 1.0) for value in values]
    assert found == pytest.approx(wanted, abs=1e-9)
    assert {0.0, component.points} <= {round(each, 6) for each in found}


@pytest.mark.parametrize(("saturated", "other", "points"), [(0.0, 0.0, 0.0), (0.0, 5.0, 10.0), (5.0, 0.0, 0.0)])
def test_fat_without_saturated_fat_is_best_and_no_fat_earns_nothing(
    saturated: float, other: float, points: float
) -> None:
    assert hei_2020(diet(SFAT=saturated, MFAT=other))["fatty_acids"].item() == points


def test_nothing_eaten_earns_nothing_though_less_is_better_for_some() -> None:
    fasting = hei_2020(diet(KCAL=0.0))
    assert (fasting == 0).all(axis=None)
    assert hei_2020(diet(KCAL=2000.0))[TOTAL].item() == 40.0


def test_legumes_count_as_vegetables_and_as_protein_foods() -> None:
    found = hei_2020(diet(V_LEGUMES=0.2, PF_LEGUMES=0.8))
    names = ["total_vegetables", "greens_and_beans", "total_protein_foods", "seafood_and_plant_proteins"]
    assert found[names].iloc[0].tolist() == pytest.approx([5 * 0.1 / 1.1, 2.5, 5 * 0.4 / 2.5, 2.5])


def test_what_is_missing_makes_its_component_and_the_total_missing() -> None:
    found = hei_2020(diet(G_WHOLE=np.nan)).iloc[0]
    assert found.index[found.isna()].tolist() == ["whole_grains", TOTAL]
    assert hei_2020(diet(KCAL=np.nan))[TOTAL].isna().all()


def test_a_column_that_is_not_there_and_a_negative_amount_are_refused() -> None:
    with pytest.raises(MgRiskError) as caught:
        hei_2020(diet().drop(columns=["D_TOTAL", "SODI"]))
    assert (caught.value.code, caught.value.got) == ("hei.absent", "D_TOTAL, SODI")
    with pytest.raises(MgRiskError) as caught:
        hei_2020(diet(ADD_SUGARS=-1.0))
    assert (caught.value.code, caught.value.got) == ("hei.negative", "ADD_SUGARS")


@pytest.fixture
def days(put: Callable[..., Path], tmp_path: Path) -> pd.DataFrame:
    """Three people with recalls in a mirror and USDA's files: two days, one day, and a day that USDA does not have."""
    known = pd.read_csv(GOLDEN, comment="#")[[*PATTERNS, *NUTRIENTS]].iloc[:4]
    people = {1: [1, 2, 3], 2: [1, 2, 3]}
    amounts = {1: known.iloc[[0, 2, 3]], 2: known.iloc[[1, 0, 0]]}
    status = {1: [1, 1, 1], 2: [1, 5, 5]}
    put("2017-2018", "DEMO", SEQN=[1, 2, 3, 4])
    for day in (1, 2):
        nutrients = {f"DR{day}T{name}": amounts[day][name].tolist() for name in NUTRIENTS}
        put("2017-2018", f"DR{day}TOT", SEQN=people[day], **{f"DR{day}DRSTZ": status[day]}, **nutrients)
        patterns = amounts[day][list(PATTERNS)].add_prefix(f"DR{day}T_").assign(SEQN=people[day])
        patterns[patterns["SEQN"] != 3].to_csv(tmp_path / f"FPED_DR{day}TOT_1718.csv", index=False)
    return known


def test_a_person_is_scored_by_the_mean_of_the_reliable_days(days: pd.DataFrame, store: Store, tmp_path: Path) -> None:
    chosen, new = features(["healthy_eating_index"]), cycle("2017-2018")
    given = replace(store, food_patterns=tmp_path)
    found = gather(given, cycles=[new], chosen=chosen)
    both = hei_2020(days.iloc[[0, 1]].mean().to_frame().T)[TOTAL].item()
    one = hei_2020(days.iloc[[2]])[TOTAL].item()
    # XPT keeps 56 bits, CSV prints 17 digits.
    np.testing.assert_allclose(found.frame["healthy_eating_index"], [both, one, np.nan, np.nan], rtol=1e-9)
    assert {"FPED_DR1TOT_1718", "FPED_DR2TOT_1718"} <= {table.table for table in found.tables}


@pytest.mark.usefixtures("days")
def test_without_food_pattern_files_there_is_no_score_and_nothing_stops(store: Store) -> None:
    chosen, new = features(["healthy_eating_index"]), cycle("2017-2018")
    without = replace(store, food_patterns=None)
    assert gather(without, cycles=[new], chosen=chosen).frame["healthy_eating_index"].isna().all()


NAN = float("nan")


def drinks(**answers: float) -> float:
    return float(
        drinks_per_day(pd.DataFrame([dict.fromkeys(FEATURES["drinks_per_day"].sources, NAN) | answers])).iloc[0]
    )


@pytest.mark.parametrize(
    ("answers", "expected"),
    [
        ({"ALQ120Q": 3.0, "ALQ120U": 1.0, "ALQ130_FROM_2005": 2.0}, 3 * 52 * 2 / 365),
        ({"ALQ120Q": 2.0, "ALQ120U": 2.0, "ALQ130_TO_2004": 5.0}, 2 * 12 * 5 / 365),
        ({"ALQ120Q": 10.0, "ALQ120U": 3.0, "ALQ130_FROM_2005": 1.0}, 10 / 365),
        ({"ALQ110": 1.0, "ALQ120Q": 365.0, "ALQ120U": 3.0, "ALQ130_FROM_2005": 83.0}, 83.0),
        ({"ALQ111": 1.0, "ALQ121": 1.0, "ALQ130_FROM_2005": 2.0}, 2.0),
        ({"ALQ111": 1.0, "ALQ121": 10.0, "ALQ130_FROM_2005": 1.0}, 1.5 / 365),
    ],
)
def test_how_often_times_how_many(answers: dict[str, float], expected: float) -> None:
    assert drinks(**answers) == pytest.approx(expected)


@pytest.mark.parametrize(
    "answers",
    [
        {"ALQ110": 2.0},
        {"ALQ110": 1.0, "ALQ120Q": 0.0},
        {"ALQ120Q": 0.0},
        {"ALQ111": 2.0},
        {"ALQ111": 1.0, "ALQ121": 0.0},
    ],
)
def test_who_never_drank_or_not_this_year_has_none(answers: dict[str, float]) -> None:
    assert drinks(**answers) == 0


@pytest.mark.parametrize(
    "answers",
    [
        {},
        {"ALQ110": 1.0},
        {"ALQ120Q": 3.0, "ALQ120U": 1.0},
        {"ALQ120Q": 3.0, "ALQ130_FROM_2005": 2.0},
        {"ALQ111": 1.0, "ALQ130_FROM_2005": 2.0},
        {"ALQ111": 1.0, "ALQ121": 5.0},
    ],
)
def test_who_did_not_say_how_often_or_how_many_is_missing(answers: dict[str, float]) -> None:
    assert pd.isna(drinks(**answers))


def test_each_answer_how_often_is_fewer_days_than_the_one_before_it() -> None:
    drinking = [FREQUENCIES[float(code)] for code in range(1, 11)]
    assert drinking == sorted(drinking, reverse=True)
    assert FREQUENCIES[0.0] == 0


def test_heavy_is_above_one_drink_for_women_and_two_for_men_and_missing_where_either_is() -> None:
    given = pd.DataFrame(
        {
            "drinks_per_day": [1.0, 1.01, 2.0, 2.01, NAN, 5.0],
            "sex": pd.Categorical(["female", "female", "male", "male", "male", None]),
        }
    )
    assert derive_heavy_drinking(given).where(lambda found: found.notna(), None).tolist() == [
        "no",
        "yes",
        "no",
        "yes",
        None,
        None,
    ]


@pytest.mark.parametrize(
    ("sex", "age", "weight", "kcal"),
    # Schofield's equations as they are commonly printed in kcal: 15.057 x 70 + 692.2 and so on.
    [
        ("male", 20, 70, 15.057 * 70 + 692.2),
        ("male", 29.9, 70, 15.057 * 70 + 692.2),
        ("male", 30, 90, 11.472 * 90 + 873.1),
        ("male", 60, 80, 11.711 * 80 + 587.7),
        ("female", 25, 60, 14.818 * 60 + 486.6),
        ("female", 59, 75, 8.126 * 75 + 845.6),
        ("female", 80, 65, 9.082 * 65 + 658.5),
    ],
)
def test_the_basal_metabolic_rate_is_that_of_sex_age_and_weight(
    sex: str, age: float, weight: float, kcal: float
) -> None:
    given = pd.DataFrame({"sex": [sex], "age_years": [age], "weight_kg": [weight]})
    assert derive_basal_metabolic_rate_kcal(given).item() == pytest.approx(kcal, rel=1e-3)


def test_without_sex_age_or_weight_there_is_no_rate() -> None:
    given = pd.DataFrame(
        {"sex": [None, "male", "male", "male"], "age_years": [40, NAN, 40, 12], "weight_kg": [70, 70, NAN, 70]}
    )
    assert derive_basal_metabolic_rate_kcal(given).isna().all()


def test_ages_meet_without_gap_or_overlap() -> None:
    for sex in ("female", "male"):
        ages = sorted((rate.first, rate.below) for rate in RATES if rate.sex == sex)
        assert [first for first, _ in ages[1:]] == [below for _, below in ages[:-1]]


def test_limits_narrow_with_days_and_lie_evenly_about_the_level() -> None:
    low, high = GOLDBERG.bounds([1.0, 2.0, 7.0])
    assert (np.diff(low) > 0).all()
    assert (np.diff(high) < 0).all()
    np.testing.assert_allclose(low * high, 1.55**2)


def test_a_report_is_judged_by_its_number_of_days() -> None:
    given = pd.DataFrame(
        {
            "energy_kcal": [1350.0, 1350.0, 1350.0, 3900.0, 3900.0, NAN],
            "recall_days": [1.0, 2.0, NAN, 1.0, 2.0, 2.0],
            "basal_metabolic_rate_kcal": [1500.0] * 6,
        }
    )
    said = derive_energy_report(given)
    assert said.where(said.notna(), "").tolist() == ["plausible", "under", "plausible", "plausible", "over", ""]


@pytest.mark.nhanes
def test_shares_of_under_and_over_reporters_are_near_the_published_ones(people: Callable[..., pd.DataFrame]) -> None:
    """Murakami and Livingstone (2015): 25.1 %, 73.5 % and 1.4 % of 19,693 adults, NHANES 2003-2012, two recalls."""
    cycles = ["2003-2004", "2005-2006", "2007-2008", "2009-2010", "2011-2012"]
    frame = people(cycles, ["age_years", "recall_days", "pregnant", "energy_report"], ["WTDR2D"])
    two = (frame["age_years"] >= 20) & (frame["recall_days"] == 2) & (frame["pregnant"] != "yes")
    adults = frame[two & frame["energy_report"].notna()]
    assert len(adults) == 21354
    shares = [np.average(adults["energy_report"] == word, weights=adults["WTDR2D"]) for word in ("under", "over")]
    np.testing.assert_allclose(shares, [0.251, 0.014], atol=0.015)

"""Magnesium: from food, from supplements, together; nothing taken is zero, nothing said is missing."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pandas as pd
import pytest

from mgrisk.features import magnesium

NAN = float("nan")


def supplements(supplement: float, antacid: float, amount: float) -> float:
    raw = pd.DataFrame({"DSD010": [supplement], "DSD010AN": [antacid], "DSQTMAGN": [amount]})
    return float(magnesium.magnesium_supplement_mg(raw).iloc[0])


@pytest.mark.parametrize(("supplement", "antacid"), [(1, 2), (2, 1), (1, 1), (1, NAN), (NAN, 1)])
def test_who_took_something_has_the_amount_that_was_counted(supplement: float, antacid: float) -> None:
    assert supplements(supplement, antacid, 150.0) == 150.0


def test_who_took_nothing_has_exactly_zero() -> None:
    assert supplements(2, 2, NAN) == 0.0


def test_who_took_products_without_magnesium_has_exactly_zero() -> None:
    assert supplements(1, 2, NAN) == 0.0


@pytest.mark.parametrize(("supplement", "antacid"), [(NAN, NAN), (2, NAN), (NAN, 2)])
def test_who_did_not_say_whether_they_took_supplements_is_missing_not_zero(supplement: float, antacid: float) -> None:
    assert np.isnan(supplements(supplement, antacid, NAN))


def test_total_is_food_and_supplements_alike_from_nhanes_and_from_given_features() -> None:
    raw = pd.DataFrame(
        {
            "DR1DRSTZ": [1.0, 1.0, 5.0],
            "DR2DRSTZ": [1.0, 5.0, 5.0],
            "DR1TMAGN": [300.0, 250.0, NAN],
            "DR2TMAGN": [200.0, NAN, NAN],
            "DSD010": [1.0, NAN, 2.0],
            "DSD010AN": [2.0, NAN, 2.0],
            "DSQTMAGN": [100.0, NAN, NAN],
        }
    )
    np.testing.assert_array_equal(magnesium.magnesium_food_mg(raw), [250.0, 250.0, NAN])
    total = magnesium.magnesium_total_mg(raw)
    np.testing.assert_array_equal(total, [350.0, NAN, NAN])
    given = pd.DataFrame(
        {
            "magnesium_food_mg": magnesium.magnesium_food_mg(raw),
            "magnesium_supplement_mg": magnesium.magnesium_supplement_mg(raw),
        }
    )
    np.testing.assert_array_equal(magnesium.derive_magnesium_total_mg(given), total)


def test_a_day_counts_only_where_its_recall_is_reliable() -> None:
    raw = pd.DataFrame(
        {"DR1DRSTZ": [1.0, 2.0], "DR2DRSTZ": [5.0, 1.0], "DR1TMAGN": [300.0, 250.0], "DR2TMAGN": [90.0, 200.0]}
    )
    np.testing.assert_array_equal(magnesium.magnesium_food_day_1_mg(raw), [300.0, NAN])
    np.testing.assert_array_equal(magnesium.magnesium_food_day_2_mg(raw), [NAN, 200.0])


def test_supplements_of_recalled_days_are_averaged_over_days_on_which_they_were_asked() -> None:
    raw = pd.DataFrame(
        {
            "DR1DRSTZ": [1.0, 1.0, 1.0, 1.0, 2.0],
            "DR2DRSTZ": [1.0, 1.0, 5.0, 1.0, 1.0],
            "DS1DS": [1.0, 2.0, 1.0, NAN, 1.0],
            "DS1AN": [2.0, 2.0, 2.0, NAN, 2.0],
            "DS1TMAGN": [100.0, NAN, NAN, NAN, 500.0],
            "DS2DS": [2.0, 2.0, NAN, 2.0, 1.0],
            "DS2AN": [2.0, 1.0, NAN, 2.0, 2.0],
            "DS2TMAGN": [NAN, 60.0, NAN, NAN, 50.0],
        }
    )
    np.testing.assert_array_equal(magnesium.magnesium_supplement_recall_mg(raw), [50.0, 30.0, 0.0, 0.0, 50.0])


def test_density_and_ratio_are_missing_where_nothing_was_eaten() -> None:
    given = pd.DataFrame(
        {"magnesium_food_mg": [300.0, 0.0, NAN], "energy_kcal": [2000.0, 0.0, 1500.0], "calcium_mg": [900.0, 10.0, 5.0]}
    )
    np.testing.assert_array_equal(magnesium.derive_magnesium_density_mg_1000kcal(given), [150.0, NAN, NAN])
    np.testing.assert_array_equal(magnesium.derive_calcium_to_magnesium_ratio(given), [3.0, NAN, NAN])


def person(**known: object) -> pd.DataFrame:
    return pd.DataFrame([{"age_years": 40.0, "sex": "male", "pregnant": None, **known}])


@pytest.mark.parametrize(
    ("known", "requirement"),
    [
        ({}, 350.0),
        ({"age_years": 30.9}, 330.0),
        ({"age_years": 31.0}, 350.0),
        ({"sex": "female"}, 265.0),
        ({"sex": "female", "age_years": 30.0}, 255.0),
        ({"sex": "female", "age_years": 30.0, "pregnant": "yes"}, 290.0),
        ({"sex": "female", "pregnant": "yes"}, 300.0),
        ({"pregnant": "yes"}, 350.0),
    ],
)
def test_the_requirement_is_that_of_age_sex_and_pregnancy(known: dict[str, object], requirement: float) -> None:
    """Institute of Medicine 1997; a man who is said to be pregnant is a slip of the file, not a reason to stop."""
    below = magnesium.derive_magnesium_below_ear(person(usual_magnesium_total_mg=requirement - 0.1, **known))
    met = magnesium.derive_magnesium_below_ear(person(usual_magnesium_total_mg=requirement, **known))
    assert (below.item(), met.item()) == ("yes", "no")


def test_nobody_is_below_a_requirement_that_is_not_known_or_with_an_intake_that_is_not() -> None:
    for known in ({"usual_magnesium_total_mg": NAN}, {"usual_magnesium_total_mg": 100.0, "age_years": NAN}):
        assert magnesium.derive_magnesium_below_ear(person(**known)).isna().all()


def test_the_share_of_the_allowance_is_that_of_age_and_sex() -> None:
    given = person(magnesium_total_mg=210.0)
    assert magnesium.derive_magnesium_rda_share(given).item() == pytest.approx(0.5)


def test_the_upper_level_is_for_supplements_alone_and_is_not_passed_by_reaching_it() -> None:
    given = pd.concat([person(magnesium_supplement_mg=amount) for amount in (0.0, 350.0, 350.1, NAN)])
    marks = magnesium.derive_magnesium_supplement_above_ul(given)
    assert marks.where(marks.notna(), "").tolist() == ["no", "no", "yes", ""]


def test_pregnancy_is_no_for_men_and_missing_where_it_was_not_made_out() -> None:
    raw = pd.DataFrame({"RIDEXPRG": [1.0, 2.0, NAN, NAN], "RIAGENDR": [2.0, 2.0, 2.0, 1.0]})
    marks = magnesium.pregnant(raw)
    assert marks.where(marks.notna(), "").tolist() == ["yes", "no", "", "no"]


@pytest.mark.nhanes
@pytest.mark.parametrize(
    ("sex", "origin", "published"),
    [
        ("male", 3, 352),
        ("male", 4, 278),
        ("male", 1, 330),
        ("female", 3, 256),
        ("female", 4, 202),
        ("female", 1, 242),
    ],
)
def test_means_of_1999_2000_are_the_published_ones(
    people: Callable[..., pd.DataFrame], sex: str, origin: int, published: float
) -> None:
    """Ford and Mokdad (2003), J. Nutr. 133:2879, on 4,257 adults; the files of today have 4,239 of them."""
    frame = people(["1999-2000"], ["age_years", "sex", "magnesium_food_day_1_mg"], ["WTDRD1", "RIDRETH1"])
    adults = frame[(frame["age_years"] >= 20) & frame["magnesium_food_day_1_mg"].notna()]
    assert len(adults) == 4239
    group = adults[(adults["sex"] == sex) & (adults["RIDRETH1"] == origin)]
    mean = np.average(group["magnesium_food_day_1_mg"], weights=group["WTDRD1"])
    assert mean == pytest.approx(published, rel=0.02)

"""Magnesium: from food, from supplements, together; nothing taken is zero, nothing said is missing."""

from __future__ import annotations

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

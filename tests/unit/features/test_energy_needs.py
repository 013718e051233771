"""Energy needs by Schofield, credible energy intakes by Goldberg, and misreporting as published on NHANES."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pandas as pd
import pytest

from mgrisk.features import energy_needs
from mgrisk.features.energy_needs import GOLDBERG, RATES

NAN = float("nan")


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
    assert energy_needs.derive_basal_metabolic_rate_kcal(given).item() == pytest.approx(kcal, rel=1e-3)


def test_without_sex_age_or_weight_there_is_no_rate() -> None:
    given = pd.DataFrame(
        {"sex": [None, "male", "male", "male"], "age_years": [40, NAN, 40, 12], "weight_kg": [70, 70, NAN, 70]}
    )
    assert energy_needs.derive_basal_metabolic_rate_kcal(given).isna().all()


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
    said = energy_needs.derive_energy_report(given)
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

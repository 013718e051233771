"""Expected performance without labels equals that over all pairs, and over simulated outcomes."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.special import expit
from sklearn.metrics import roc_auc_score

from mgrisk.evaluate.thresholds import RISKS
from mgrisk.score.expected_performance import EDGES, STEP, RiskCounts
from mgrisk.types import Floats


def drawn(n: int, *, spread: float, centre: float = -3.0) -> Floats:
    risks: Floats = expit(np.random.default_rng(n).normal(centre, spread, n))
    return risks


def auroc_over_pairs(risk: Floats) -> float:
    """Expected pairs of a case and another person in the right order over all such pairs, each pair by itself."""
    weight = np.outer(risk, 1 - risk)
    np.fill_diagonal(weight, 0.0)
    right = (risk[:, None] > risk) + 0.5 * (risk[:, None] == risk)
    return float((weight * right).sum() / weight.sum())


@pytest.mark.parametrize("n", [2, 7, 60, 2000])
@pytest.mark.parametrize(("spread", "precision"), [(1.2, 2e-5), (3.0, 2e-4), (0.2, 2e-4)])
def test_the_auroc_is_that_over_all_pairs_of_people(n: int, spread: float, precision: float) -> None:
    risk = drawn(n, spread=spread)
    assert RiskCounts.of(risk).expected()["auroc"] == pytest.approx(auroc_over_pairs(risk), abs=precision)


@pytest.mark.parametrize("centre", [-11.0, -3.001, 0.0, 5.0])
@pytest.mark.parametrize("spread", [0.001, STEP / 4, STEP])
def test_risks_that_hardly_differ_cost_a_quarter_of_a_bin_at_most(centre: float, spread: float) -> None:
    risk = drawn(300, spread=spread, centre=centre)
    assert RiskCounts.of(risk).expected()["auroc"] == pytest.approx(auroc_over_pairs(risk), abs=STEP / 4)


def test_the_auroc_is_that_of_outcomes_drawn_from_the_risks() -> None:
    risk, random = drawn(2000, spread=1.2), np.random.default_rng(1)
    found = [roc_auc_score(random.random(len(risk)) < risk, risk) for _ in range(200)]
    error = np.std(found) / math.sqrt(len(found))
    assert RiskCounts.of(risk).expected()["auroc"] == pytest.approx(np.mean(found), abs=4 * error)
    assert error < 0.002


def test_people_of_one_risk_are_not_told_apart() -> None:
    assert RiskCounts.of(np.full(40, 0.07)).expected()["auroc"] == pytest.approx(0.5)


def test_shares_at_a_threshold_are_those_of_the_people_at_or_above_it() -> None:
    # Some exactly at a threshold, and some just below.
    risk = np.concatenate([drawn(500, spread=1.3), RISKS, np.nextafter(RISKS, 0.0)])
    expected = RiskCounts.of(risk).expected()
    assert expected["cases"] == pytest.approx(risk.sum(), abs=1e-6)
    assert [at["threshold"] for at in expected["thresholds"]] == list(RISKS)
    for at in expected["thresholds"]:
        positive = risk >= at["threshold"]
        assert at["flagged"] == positive.mean()
        assert at["ppv"] == pytest.approx(risk[positive].mean(), abs=1e-8)
        assert at["sensitivity"] == pytest.approx(risk[positive].sum() / risk.sum(), abs=1e-8)
        assert at["specificity"] == pytest.approx((1 - risk[~positive]).sum() / (1 - risk).sum(), abs=1e-8)


@given(st.lists(st.floats(0.0, 1.0) | st.just(math.nan), max_size=60), st.integers(0, 60))
def test_blocks_add_up_to_the_whole_exactly_also_through_a_journal(risks: list[float], cut: int) -> None:
    risk = np.array(risks, dtype=np.float64)
    parts = RiskCounts.of(risk[cut:]) + RiskCounts.from_dict(
        json.loads(json.dumps(RiskCounts.of(risk[:cut]).to_dict()))
    )
    whole = RiskCounts.of(risk)
    np.testing.assert_array_equal(parts.people, whole.people)
    np.testing.assert_array_equal(parts.risk, whole.risk)
    assert parts.expected() == whole.expected()


def test_who_has_no_risk_does_not_count() -> None:
    risk = drawn(50, spread=1.0)
    gaps = np.full(100, np.nan)
    gaps[::2] = risk
    assert RiskCounts.of(gaps).expected() == RiskCounts.of(risk).expected()


def test_nobody_has_no_performance() -> None:
    expected = RiskCounts.empty().expected()
    assert (expected["people"], expected["cases"], expected["auroc"]) == (0, 0.0, None)
    assert {at[name] for at in expected["thresholds"] for name in ("flagged", "sensitivity", "specificity", "ppv")} == {
        None
    }


def test_one_person_makes_no_pair() -> None:
    assert RiskCounts.of(np.array([0.3])).expected()["auroc"] is None


def test_certain_risks_are_perfect() -> None:
    expected = RiskCounts.of(np.array([0.0, 0.0, 1.0])).expected()
    assert (expected["auroc"], expected["cases"]) == (1.0, 1.0)
    assert (np.diff(EDGES) > 0).all()


def test_it_says_what_it_cannot_see() -> None:
    assert "miscalibration cannot be seen" in RiskCounts.empty().expected()["assumes"]

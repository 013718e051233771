"""Absent columns are integrated out as conditional normal theory says, and moments come from incomplete rows.

Lines approximate the mean of the logistic over absent inputs with hardly any loss.
"""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.integrate import quad
from scipy.special import expit, logit
from scipy.stats import norm

from mgrisk.model import missing_inputs
from mgrisk.model.missing_inputs import RIDGE, Lines, Moments, fit_moments

P = 6
GROUPS = [np.array([0]), np.array([1, 2]), np.array([3]), np.array([4, 5])]


def moments(seed: int = 0, p: int = P) -> Moments:
    random = np.random.default_rng(seed)
    root = random.normal(size=(p, p)) * random.uniform(0.1, 30, p)[:, None]
    covariance = root @ root.T
    return Moments(random.normal(size=p) * 10, (covariance + covariance.T) / 2)


def conditional(of: Moments, absent: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return slope and covariance of the absent columns given the others, by the textbook."""
    S, there = of.covariance, ~absent
    own = S[np.ix_(there, there)] + RIDGE * np.diag(np.diag(S)[there])
    slope = np.linalg.solve(own, S[np.ix_(there, absent)])
    return slope, S[np.ix_(absent, absent)] - S[np.ix_(absent, there)] @ slope


patterns = st.lists(st.booleans(), min_size=P, max_size=P).map(np.array)


@given(patterns, st.integers(0, 20))
def test_forms_are_those_of_the_conditional_normal_distribution(absent: np.ndarray, seed: int) -> None:
    of, weights = moments(seed), np.random.default_rng(seed + 100).normal(size=(P, 3))
    found, variance = of.forms(weights, absent)
    slope, left = conditional(of, absent)
    expected = np.zeros_like(weights)
    expected[~absent] = weights[~absent] + slope @ weights[absent]
    size = np.abs(weights * of.scale[:, None]).max() / of.scale[:, None]
    np.testing.assert_allclose(found / size, expected / size, rtol=0, atol=1e-9)
    unknown = np.einsum("im,ij,jm->m", weights[absent], left, weights[absent])
    np.testing.assert_allclose(variance, unknown, rtol=1e-7, atol=1e-9 * (weights**2).max() * of.covariance.max())


def test_with_nothing_absent_a_form_is_itself_and_with_all_absent_it_is_its_mean() -> None:
    of, weights = moments(), np.random.default_rng(1).normal(size=(P, 2))
    found, variance = of.forms(weights, np.zeros(P, dtype=np.bool_))
    np.testing.assert_array_equal(found, weights)
    assert not variance.any()
    found, variance = of.forms(weights, np.ones(P, dtype=np.bool_))
    assert not found.any()
    np.testing.assert_allclose(variance, [w @ of.covariance @ w for w in weights.T], rtol=1e-9)


def test_columns_are_in_any_unit() -> None:
    of, unit = moments(), np.array([1e-3, 1.0, 40.0, 1e4, 2.0, 0.5])
    other = Moments(of.mean * unit, of.covariance * np.outer(unit, unit))
    weights, absent = np.random.default_rng(2).normal(size=(P, 2)), np.arange(P) % 2 == 0
    one, other_way = of.forms(weights, absent), other.forms(weights / unit[:, None], absent)
    np.testing.assert_allclose(other_way[0] * unit[:, None], one[0], rtol=1e-9)
    np.testing.assert_allclose(other_way[1], one[1], rtol=1e-9)


@given(st.integers(0, 10))
def test_expected_columns_are_conditional_means_and_what_is_there_stays(seed: int) -> None:
    of, random = moments(seed), np.random.default_rng(seed)
    Z = random.normal(size=(40, P)) * of.scale + of.mean
    Z[random.random(Z.shape) < 0.4] = np.nan
    before = Z.copy()
    found = of.expected(Z)
    np.testing.assert_array_equal(Z, before)
    for row, full in zip(Z, found, strict=True):
        absent = np.isnan(row)
        slope, _ = conditional(of, absent)
        expected = of.mean[absent] + (row[~absent] - of.mean[~absent]) @ slope
        np.testing.assert_array_equal(full[~absent], row[~absent])
        np.testing.assert_allclose((full[absent] - expected) / of.scale[absent], 0, atol=1e-8)


def test_gains_are_what_the_variance_falls_by_were_the_columns_known() -> None:
    of, weights = moments(3), np.random.default_rng(4).normal(size=P)
    for absent in (
        np.array([1, 1, 1, 1, 1, 1]), np.array([0, 1, 1, 0, 1, 1]), np.array([1, 0, 0, 0, 1, 1]), np.zeros(P, dtype=int)
    ):  # fmt: skip
        lacks = absent.astype(np.bool_)
        unknown = of.forms(weights[:, None], lacks)[1][0]
        gains = of.gains(weights, lacks, GROUPS)
        for group, gain in zip(GROUPS, gains, strict=True):
            known = lacks.copy()
            known[group] = False
            fallen = unknown - of.forms(weights[:, None], known)[1][0]
            assert gain == pytest.approx(fallen, rel=1e-7, abs=1e-9 * (1 + unknown))
            assert gain >= 0.0


@given(patterns)
def test_expected_forms_are_those_of_each_row_and_of_what_is_taken_away(gone: np.ndarray) -> None:
    of, random = moments(5), np.random.default_rng(6)
    Z = random.normal(size=(25, P)) * of.scale + of.mean
    Z[random.random(Z.shape) < 0.3] = np.nan
    weights = random.normal(size=(P, 2))
    found, unknown = of.expected_forms(Z, gone, weights)
    for row, form, variance in zip(Z, found, unknown, strict=True):
        own, left = of.forms(weights, np.isnan(row) | gone)
        np.testing.assert_allclose(form, np.nan_to_num(row - of.mean) @ own, rtol=1e-9, atol=1e-9)
        assert variance == left[0]


def people(n: int = 20_000, seed: int = 1) -> tuple[np.ndarray, np.ndarray]:
    """Return complete normal rows of a known population, and weights."""
    truth, random = moments(7, p=4), np.random.default_rng(seed)
    return random.multivariate_normal(truth.mean, truth.covariance, size=n), random.uniform(0.5, 4, n)


def test_moments_of_complete_rows_are_their_weighted_mean_and_covariance() -> None:
    Z, weight = people(500)
    found = fit_moments(Z, weight)
    np.testing.assert_allclose(found.mean, np.average(Z, axis=0, weights=weight), rtol=1e-9)
    np.testing.assert_allclose(found.covariance, np.cov(Z.T, aweights=weight, ddof=0), rtol=1e-8)
    np.testing.assert_array_equal(found.covariance, found.covariance.T)
    again = fit_moments(Z, 1e5 * weight)
    np.testing.assert_allclose(again.covariance, found.covariance, rtol=1e-9)


def test_what_is_missing_at_random_given_the_rest_leads_to_the_truth() -> None:
    Z, weight = people()
    truth, scale = moments(7, p=4), moments(7, p=4).scale
    random = np.random.default_rng(2)
    high = (Z[:, 0] - truth.mean[0]) / scale[0]
    incomplete = Z.copy()
    # Who is high in the first lacks the others more often: means of those who have them are far off.
    for column in (1, 2, 3):
        incomplete[random.random(len(Z)) < expit(1.5 * high - 0.5), column] = np.nan
    naive = np.nanmean(incomplete, axis=0)
    assert (np.abs((naive - truth.mean) / scale)[1:] > 0.2).any()
    found = fit_moments(incomplete, weight)
    np.testing.assert_allclose((found.mean - truth.mean) / scale, 0, atol=0.05)
    units = np.outer(scale, scale)
    np.testing.assert_allclose((found.covariance - truth.covariance) / units, 0, atol=0.07)
    np.testing.assert_array_equal(found.covariance, found.covariance.T)


def test_weights_count_as_people_and_those_of_nothing_not_at_all() -> None:
    Z, _ = people(300)
    Z[::3, 1] = np.nan
    Z[1::4, 2:] = np.nan
    times = np.random.default_rng(3).integers(0, 4, len(Z))
    weighted = fit_moments(Z, times.astype(float))
    repeated = fit_moments(np.repeat(Z, times, axis=0), np.ones(times.sum()))
    np.testing.assert_allclose(weighted.mean, repeated.mean, rtol=1e-9)
    np.testing.assert_allclose(weighted.covariance, repeated.covariance, rtol=1e-8, atol=1e-9)


def test_another_start_leads_to_the_same() -> None:
    Z, weight = people(2000)
    Z[::3, 1] = np.nan
    Z[1::4, 2:] = np.nan
    plain, near = fit_moments(Z, weight), fit_moments(Z, weight, start=fit_moments(Z[:1000], weight[:1000]))
    np.testing.assert_allclose((near.mean - plain.mean) / plain.scale, 0, atol=2e-3)
    units = np.outer(plain.scale, plain.scale)
    np.testing.assert_allclose((near.covariance - plain.covariance) / units, 0, atol=5e-3)


@pytest.mark.parametrize("value", [np.nan, 0.0, 0.1, 1.0, 28.1, 170.3, -1e6])
@pytest.mark.parametrize("gaps", [0.0, 0.3])
def test_a_column_that_is_constant_or_that_nobody_has_tells_nothing(value: float, gaps: float) -> None:
    Z, weight = people(200)
    random = np.random.default_rng(4)
    Z[:, 1] = np.where(random.random(len(Z)) < gaps, np.nan, value)
    Z[random.random(len(Z)) < 0.2, 2] = np.nan
    others = np.array([0, 2, 3])
    for start in (None, fit_moments(people(200)[0], weight)):
        found = fit_moments(Z, weight / 3, start=start)
        assert not found.covariance[1].any()
        assert found.scale[1] == 1.0
        assert found.mean[1] == pytest.approx(np.nan_to_num(value), rel=1e-12)
        alone = fit_moments(Z[:, others], weight / 3)
        units = np.outer(alone.scale, alone.scale)
        left = found.covariance[np.ix_(others, others)]
        np.testing.assert_allclose((left - alone.covariance) / units, 0, atol=5e-3)
        # A person who has another value of it is not another person for that.
        row = np.array([[Z[0, 0], 1e3, np.nan, np.nan]])
        unlike = np.array([[Z[0, 0], np.nan, np.nan, np.nan]])
        np.testing.assert_allclose(found.expected(row)[:, 2:], found.expected(unlike)[:, 2:], rtol=1e-12)


def test_levels_that_add_up_to_one_and_fewer_people_than_columns_are_no_obstacle() -> None:
    random = np.random.default_rng(5)
    level = random.integers(0, 5, 200)
    Z = np.column_stack([np.eye(5)[level], random.normal(size=(200, 2)), level == 2])
    Z[random.random(200) < 0.2, :5] = np.nan
    found = fit_moments(Z, np.ones(200))
    row = np.full((1, 8), np.nan)
    row[0, 7] = 1.0
    assert found.expected(row)[0, 2] == pytest.approx(1.0, abs=0.03)
    assert found.expected(row)[0, [0, 1, 3, 4]] == pytest.approx(0.0, abs=0.03)
    few = fit_moments(random.normal(size=(10, 30)), np.ones(10))
    weights, lacks = random.normal(size=(30, 1)), np.arange(30) % 3 == 0
    form, variance = few.forms(weights, lacks)
    assert np.isfinite(form).all()
    assert 0.0 <= variance[0] <= (weights.T @ few.covariance @ weights)[0, 0]


@pytest.fixture(scope="module")
def log_odds() -> np.ndarray:
    """Quantiles of a skewed population, as rare diseases have."""
    points = (np.arange(41) + 0.5) / 41
    return -3.0 + 1.4 * norm.ppf(points) - 0.15 * norm.ppf(points) ** 2


@pytest.fixture(scope="module")
def lines(log_odds: np.ndarray) -> Lines:
    return Lines.fit(log_odds)


def expected_risk(eta: float, s: float) -> float:
    """Return the mean of the logistic over a normal, by adaptive integration."""
    return quad(lambda e: expit(eta + s * e) * norm.pdf(e), -10, 10, epsabs=1e-12)[0]


@pytest.mark.parametrize("share", [0.1, 0.3, 0.6, 0.9])
def test_a_line_costs_next_to_no_log_loss_and_no_level(lines: Lines, log_odds: np.ndarray, share: float) -> None:
    spread, centre = log_odds.std(), log_odds.mean()
    s = share * spread
    slope, intercept = (float(each[0]) for each in lines.at(np.array([s])))
    eta = centre + np.sqrt(1 - share**2) * (log_odds - centre)
    truth = np.array([expected_risk(each, s) for each in eta])
    said = expit(slope * eta + intercept)
    loss = -(truth * np.log(said) + (1 - truth) * np.log1p(-said)).mean()
    least = -(truth * np.log(truth) + (1 - truth) * np.log1p(-truth)).mean()
    assert 0.0 <= loss - least < 1e-4
    assert said.mean() == pytest.approx(truth.mean(), rel=1e-3)
    # Without it the risk is too low by far.
    assert expit(eta).mean() < truth.mean()
    assert slope < 1.0


def test_lines_lead_from_the_risk_itself_on_without_a_step(lines: Lines) -> None:
    slope, intercept = lines.at(np.array([0.0]))
    assert (slope[0], intercept[0]) == (1.0, 0.0)
    assert (np.diff(lines.slope) < 0).all()
    assert (np.diff(lines.intercept) > -1).all()
    # Between two points of the grid, and beyond the last.
    middle = (lines.s[3] + lines.s[4]) / 2
    assert lines.at(np.array([middle]))[0][0] == pytest.approx((lines.slope[3] + lines.slope[4]) / 2)
    assert lines.at(np.array([1e6]))[0][0] == lines.slope[-1]


def test_a_fitted_line_has_the_mean_risk_that_it_was_fitted_to(lines: Lines, log_odds: np.ndarray) -> None:
    risk = expit(0.8 * log_odds + 0.3)
    assert missing_inputs._line(log_odds, risk, 1.0, 0.0) == pytest.approx((0.8, 0.3), abs=1e-9)


@pytest.mark.parametrize("spread", [0.0, 1e-12, 1e-6, 2e-3, 0.05])
def test_a_population_of_one_risk_has_lines_too(spread: float) -> None:
    quantiles = logit(0.1) + spread * np.linspace(-1, 1, 41)
    lines = Lines.fit(quantiles)
    slope, intercept = lines.at(np.array([0.0, quantiles.std()]))
    np.testing.assert_allclose(slope, 1.0, atol=0.01)
    np.testing.assert_allclose(slope * logit(0.1) + intercept, logit(0.1), atol=0.01)


def test_no_lines_change_nothing() -> None:
    slope, intercept = Lines.none().at(np.array([0.0, 0.5, 4.0]))
    assert slope.tolist() == [1.0, 1.0, 1.0]
    assert intercept.tolist() == [0.0, 0.0, 0.0]

"""A refit on fewer columns equals scikit-learn on these columns: logistic, linear and stacked parts."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.special import expit
from sklearn.linear_model import LogisticRegression, Ridge

from mgrisk.features.registry import features
from mgrisk.model.candidates import Part
from mgrisk.model.fewer_inputs import FewerInputs
from mgrisk.model.fits import Fits
from mgrisk.model.learners import OUTCOME, Encoder, Target
from mgrisk.model.splines import SplineLearner, SplineSpace
from mgrisk.model.stacking import Scales
from mgrisk.survey.design import SurveyDesign, WeightLevel

COLUMNS = Encoder(features(["age_years", "sex", "bmi_kg_m2", "waist_cm"])).columns
N = 900


class People:
    """People whose outcome follows from their columns as strongly as is asked for."""

    def __init__(self, strength: float = 1.0, n: int = N) -> None:
        random = np.random.default_rng(5)
        age, bmi = random.uniform(20, 80, n), random.normal(28, 5, n)
        X = np.column_stack([age, random.integers(0, 2, n), bmi, 2 * bmi + 40 + random.normal(0, 5, n)])
        eta = strength * ((age - 50) / 15 + (bmi - 28) / 5)
        self.y = (random.random(n) < expit(eta - 1.0)).astype(float)
        X[random.random(X.shape) < 0.15] = np.nan
        self.X = X.astype(np.float32)
        self.weight = random.uniform(1, 9, n)
        self.who = random.random(n) < 0.8
        self.weight[::17] = 0.0
        design = SurveyDesign(self.weight, np.zeros(n, int), np.arange(n), WeightLevel.EXAM)
        self.space = SplineSpace.fit(COLUMNS, self.X, np.maximum(self.weight, 0.1), knots=4)
        self.outcome = Target(OUTCOME, "binary", self.y, design)
        self.marker = Target("hba1c_percent", "continuous", 5.0 + eta + random.normal(0, 0.5, n), design)

    @property
    def rows(self) -> np.ndarray:
        return self.who & (self.weight > 0)

    def fits(self, c: tuple[float, ...], *, scales: Scales | None) -> tuple[Fits, FewerInputs]:
        """Fit the outcome, and the marker where there are two settings, to whom counts; and what fits fewer columns."""
        made = (
            Part(SplineLearner(self.space, c=c[:1]), self.outcome),
            Part(SplineLearner(self.space, c=c[1:], kind="continuous"), self.marker),
        )[: len(c)]
        settings = [{"c": each} for each in c]
        factor = np.where(self.who, 1.0, 0.0)
        fitted = tuple(part.fit(self.X, each, factor=factor) for part, each in zip(made, settings, strict=True))
        fits = Fits(made, fitted, scales)
        return fits, FewerInputs(fits, settings, self.X, self.who)

    def by_scikit_learn(self, kept: np.ndarray, c: float, *, kind: str) -> tuple[float, np.ndarray]:
        Z = self.space.expected(self.X)[self.rows][:, kept]
        weight = self.weight[self.rows] / self.weight[self.rows].mean()
        coefficients = np.zeros(len(kept))
        if kind == "binary":
            fit = LogisticRegression(C=c, tol=1e-10, max_iter=5000).fit(Z, self.y[self.rows], sample_weight=weight)
            coefficients[kept] = fit.coef_[0]
            return float(fit.intercept_[0]), coefficients
        linear = Ridge(alpha=1.0 / c).fit(Z, self.marker.value[self.rows], sample_weight=weight)
        coefficients[kept] = linear.coef_
        return float(linear.intercept_), coefficients


def kept_sets(p: int) -> list[np.ndarray]:
    random = np.random.default_rng(1)
    return [np.ones(p, dtype=bool), np.arange(p) < 1, *(random.random(p) < 0.5 for _ in range(4))]


@pytest.fixture(scope="module")
def people() -> People:
    return People()


@pytest.mark.parametrize("c", [0.003, 0.1, 3.0])
def test_a_logistic_part_is_fitted_again_to_what_is_kept(people: People, c: float) -> None:
    fits, fewer = people.fits((c,), scales=None)
    for kept in kept_sets(len(people.space.moments.mean)):
        intercept, coefficients = fewer.fit(kept)
        expected = people.by_scikit_learn(kept, c, kind="binary")
        assert intercept == pytest.approx(expected[0], abs=1e-4)
        np.testing.assert_allclose(coefficients, expected[1], atol=1e-4)
        assert not coefficients[~kept].any()
    whole = fewer.fit(np.ones(len(people.space.moments.mean), dtype=bool))
    np.testing.assert_allclose(whole[1], fits.fits[0].coefficients, atol=1e-4)


def test_a_sum_is_fitted_again_with_its_scales(people: People) -> None:
    scales = Scales(-6.0, (0.7, 0.9))
    _, fewer = people.fits((0.1, 0.02), scales=scales)
    for kept in kept_sets(len(people.space.moments.mean)):
        intercept, coefficients = fewer.fit(kept)
        label = people.by_scikit_learn(kept, 0.1, kind="binary")
        marker = people.by_scikit_learn(kept, 0.02, kind="continuous")
        assert intercept == pytest.approx(-6.0 + 0.7 * label[0] + 0.9 * marker[0], abs=2e-4)
        np.testing.assert_allclose(coefficients, 0.7 * label[1] + 0.9 * marker[1], atol=2e-4)


def test_who_does_not_count_changes_nothing() -> None:
    plain, poisoned = People(), People()
    poisoned.outcome.value[~poisoned.who] = 1.0
    kept = np.arange(len(plain.space.moments.mean)) % 2 == 0
    one, other = (each.fits((0.1,), scales=None)[1].fit(kept) for each in (plain, poisoned))
    assert one[0] == other[0]
    np.testing.assert_array_equal(one[1], other[1])


@pytest.mark.parametrize("c", [0.1, 30.0])
def test_where_what_is_gone_told_the_outcome_almost_surely_the_fit_is_found_all_the_same(c: float) -> None:
    # The second derivatives where risks are nearly 0 or 1 are far from those without what makes them so.
    people = People(strength=12.0, n=200)
    _, fewer = people.fits((c,), scales=None)
    for kept in (np.arange(len(people.space.moments.mean)) == 3, *kept_sets(len(people.space.moments.mean))[1:4]):
        intercept, coefficients = fewer.fit(kept)
        expected = people.by_scikit_learn(kept, c, kind="binary")
        assert intercept == pytest.approx(expected[0], abs=1e-3)
        np.testing.assert_allclose(coefficients, expected[1], atol=1e-3)

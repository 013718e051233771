"""Spline parts of a stacked ensemble become one calibrated additive model; trees stay parts."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest

from mgrisk.model.additive import Additive
from mgrisk.model.calibration import Calibrator
from mgrisk.model.candidates import Part
from mgrisk.model.fits import Fits
from mgrisk.model.learners import OUTCOME, Target
from mgrisk.model.missing_inputs import Lines
from mgrisk.model.splines import SplineLearner, SplineSpace
from mgrisk.model.stacking import FittedSum, Scales
from mgrisk.model.trees.learners import BoostedTreesLearner

if TYPE_CHECKING:
    from tests.conftest import ToyPeople

CALIBRATOR = Calibrator(-0.4, 0.8, np.array([[0.02, 0.005], [0.005, 0.01]]), 20)


@pytest.fixture(scope="module")
def parts(toy_people: ToyPeople) -> dict[str, Part]:
    """A spline part on the outcome, one on a marker in another unit, and trees."""
    columns, X = toy_people.encoder.columns, toy_people.matrix
    space = SplineSpace.fit(columns, X, toy_people.weight, knots=4)
    outcome = Target(OUTCOME, "binary", toy_people.y, toy_people.design)
    age = np.nan_to_num(toy_people.frame["age_years"].to_numpy(dtype=float))
    marker = Target("hba1c_percent", "continuous", 5.0 + age / 100, toy_people.design)
    trees = BoostedTreesLearner(
        columns=columns,
        depth=(2,),
        learning_rate=(0.2,),
        min_child_weight=(2.0,),
        l2=(1.0,),
        trees=(10,),
        subsample=1.0,
        columns_per_tree=1.0,
        seed=1,
        threads=1,
    )
    return {
        "label": Part(SplineLearner(space, c=(0.1,)), outcome),
        "marker": Part(SplineLearner(space, c=(0.1,), kind="continuous"), marker),
        "trees": Part(trees, outcome),
    }


def fits_of(toy_people: ToyPeople, parts: dict[str, Part], names: tuple[str, ...], scales: Scales | None) -> Fits:
    X = everybody(toy_people)
    chosen = tuple(parts[name] for name in names)
    return Fits(chosen, tuple(part.fit(X, part.learner.candidates()[0]) for part in chosen), scales)


def everybody(toy_people: ToyPeople) -> np.ndarray:
    return toy_people.data.matrix(toy_people.encoder)


def modelled(toy_people: ToyPeople, fits: Fits) -> tuple[object, Calibrator]:
    return fits.model(toy_people.encoder.owners, CALIBRATOR, everybody(toy_people), toy_people.design.analysis_weight)


def test_a_margin_is_the_scaled_sum_of_those_of_its_parts(toy_people: ToyPeople, parts: dict[str, Part]) -> None:
    X, rows = everybody(toy_people), toy_people.inside[10:60]
    fits = fits_of(toy_people, parts, ("label", "marker", "trees"), Scales(-3.0, (0.6, 0.5, 0.3)))
    each = [part.margin(fit, X, rows) for part, fit in zip(fits.parts, fits.fits, strict=True)]
    np.testing.assert_allclose(fits.margin(X, rows), -3.0 + 0.6 * each[0] + 0.5 * each[1] + 0.3 * each[2], rtol=1e-12)
    alone = fits_of(toy_people, parts, ("label",), None)
    np.testing.assert_array_equal(alone.margin(X, rows), each[0])


@pytest.mark.parametrize(
    ("names", "scales"),
    [(("label",), None), (("label", "marker"), Scales(-3.0, (0.6, 0.5))), (("marker",), Scales(-9.0, (1.5,)))],
    ids=["alone", "sum", "marker"],
)
def test_a_sum_of_splines_is_one_additive_model_with_the_calibration_taken_in(
    toy_people: ToyPeople, parts: dict[str, Part], names: tuple[str, ...], scales: Scales | None
) -> None:
    fits = fits_of(toy_people, parts, names, scales)
    fitted, calibrator = modelled(toy_people, fits)
    assert isinstance(fitted, Additive)
    X, rows = everybody(toy_people), toy_people.inside
    expected = CALIBRATOR.log_odds(fits.margin(X, rows))
    found = fitted.answer(X[rows])
    np.testing.assert_allclose(found.expected, expected, rtol=0, atol=1e-9)
    complete = np.isfinite(X[rows]).all(axis=1)
    assert complete.sum() > 100
    np.testing.assert_allclose(found.log_odds[complete], expected[complete], rtol=0, atol=1e-9)
    # The map is the identity with the error that it had: of the same people, the same.
    assert (calibrator.intercept, calibrator.slope) == (0.0, 1.0)
    np.testing.assert_allclose(calibrator.se(expected), CALIBRATOR.se(fits.margin(X, rows)), rtol=1e-9)
    np.testing.assert_array_equal(fitted.of_input, np.repeat(fitted.owners, [term.width for term in fitted.terms]))


def test_lines_are_fitted_to_the_weighted_population_of_the_analysis(
    toy_people: ToyPeople, parts: dict[str, Part]
) -> None:
    fits = fits_of(toy_people, parts, ("label",), None)
    fitted, _ = modelled(toy_people, fits)
    assert isinstance(fitted, Additive)
    rows, weight = toy_people.inside, toy_people.weight
    log_odds = CALIBRATOR.log_odds(fits.margin(everybody(toy_people), rows))
    centre = np.average(log_odds, weights=weight)
    spread = np.sqrt(np.average((log_odds - centre) ** 2, weights=weight))
    assert fitted.lines.s[0] == 0.0
    # Of 41 quantiles, the outermost of which are not the extremes.
    assert fitted.lines.s[-1] == pytest.approx(spread, rel=0.05)
    twice = np.where(np.isin(np.arange(len(toy_people.y)), rows[log_odds > centre]), 20.0, 1.0)
    other, _ = fits.model(
        toy_people.encoder.owners, CALIBRATOR, everybody(toy_people), twice * toy_people.design.analysis_weight
    )
    assert isinstance(other, Additive)
    assert abs(other.lines.s[-1] - fitted.lines.s[-1]) > 0.05


def test_beside_trees_the_spline_parts_are_one_additive_part_without_lines(
    toy_people: ToyPeople, parts: dict[str, Part]
) -> None:
    fits = fits_of(toy_people, parts, ("label", "trees", "marker"), Scales(-3.0, (0.6, 0.3, 0.5)))
    fitted, calibrator = modelled(toy_people, fits)
    assert isinstance(fitted, FittedSum)
    assert calibrator is CALIBRATOR
    additive, trees = fitted.parts
    assert isinstance(additive, Additive)
    assert trees is fits.fits[1]
    assert fitted.scales == Scales(-3.0, (1.0, 0.3))
    none = Lines.none()
    assert (additive.lines.s.tolist(), additive.lines.slope.tolist()) == (none.s.tolist(), none.slope.tolist())
    X, rows = everybody(toy_people), toy_people.inside
    np.testing.assert_allclose(fitted.margin(X[rows]), fits.margin(X, rows), rtol=0, atol=1e-9)


def test_trees_alone_are_bundled_as_they_are(toy_people: ToyPeople, parts: dict[str, Part]) -> None:
    alone = fits_of(toy_people, parts, ("trees",), None)
    assert modelled(toy_people, alone) == (alone.fits[0], CALIBRATOR)
    summed = fits_of(toy_people, parts, ("trees",), Scales(-0.5, (2.0,)))
    fitted, calibrator = modelled(toy_people, summed)
    assert isinstance(fitted, FittedSum)
    assert (fitted.scales, fitted.parts) == (Scales(-0.5, (2.0,)), summed.fits)
    assert calibrator is CALIBRATOR


def test_a_part_that_counts_nothing_leaves_a_model_of_one_risk(toy_people: ToyPeople, parts: dict[str, Part]) -> None:
    fits = fits_of(toy_people, parts, ("marker",), Scales(-2.0, (0.0,)))
    fitted, _ = modelled(toy_people, fits)
    assert isinstance(fitted, Additive)
    np.testing.assert_allclose(fitted.margin(toy_people.matrix), -0.4 + 0.8 * -2.0, atol=1e-12)


def test_the_design_columns_are_those_of_the_spline_parts(toy_people: ToyPeople, parts: dict[str, Part]) -> None:
    fits = fits_of(toy_people, parts, ("trees", "marker"), Scales(0.0, (1.0, 1.0)))
    learner = parts["label"].learner
    assert isinstance(learner, SplineLearner)
    assert fits.space is learner.space

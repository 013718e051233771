"""A recalibrated bundle has the level and slope of the new people, and names its original model."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
from scipy.special import expit

from mgrisk.errors import MgRiskError
from mgrisk.model.additive import Additive
from mgrisk.model.bundle import Bundle, read_bundle
from mgrisk.model.recalibration import recalibrate
from mgrisk.survey.design import SurveyDesign, WeightLevel
from mgrisk.survey.linear_models import fit_logistic

if TYPE_CHECKING:
    from tests.conftest import ToyPeople

    from mgrisk.model.bundle import Bundle
    from mgrisk.model.recalibration import Method

LEARNERS = pytest.mark.parametrize("learner", ["spline_logistic", "xgboost"])
ADDITIVE = "spline_logistic"
N = 800
CHANGES = {"parent": {"name": "toy", "sha256": "0" * 64}, "holds_for": "a clinic, 2022"}


@pytest.fixture
def parent(toy_bundles: dict[str, Bundle]) -> Bundle:
    bundle = toy_bundles[ADDITIVE]
    return replace(bundle, about={**bundle.about, "interval": "an interval"})


def without_refits(bundle: Bundle) -> Bundle:
    fitted = replace(bundle.fitted, sampling=None) if isinstance(bundle.fitted, Additive) else bundle.fitted
    return replace(bundle, fitted=fitted, uncertainty=None)


def new_people(parent: Bundle, *, level: float, slope: float) -> tuple[np.ndarray, np.ndarray, SurveyDesign]:
    random = np.random.default_rng(8)
    margin = random.normal(-1, 1, N)
    y = (random.random(N) < expit(level + slope * parent.calibrator.log_odds(margin))).astype(float)
    design = SurveyDesign(random.uniform(1, 4, N), np.zeros(N), np.arange(N) % 80, WeightLevel.INTERVIEW)
    return margin, y, design


def test_intercept_moves_the_level_alone_and_the_mean_risk_is_that_observed(parent: Bundle) -> None:
    margin, y, design = new_people(parent, level=0.7, slope=1.0)
    made = recalibrate(parent, margin, y, design, method="intercept", changes=CHANGES)
    assert made.calibrator.slope == parent.calibrator.slope
    assert made.calibrator.intercept - parent.calibrator.intercept == pytest.approx(0.7, abs=0.15)
    weight = design.analysis_weight
    observed = np.average(y, weights=weight)
    assert np.average(made.calibrator.risk(margin), weights=weight) == pytest.approx(observed, abs=1e-9)
    assert made.about["recalibration"]["prevalence"] == pytest.approx(observed)


def test_logistic_is_the_regression_on_the_log_odds_of_the_parent(parent: Bundle) -> None:
    margin, y, design = new_people(parent, level=-0.4, slope=0.6)
    made = recalibrate(parent, margin, y, design, method="logistic", changes=CHANGES)
    log_odds = parent.calibrator.log_odds(margin)
    fit = fit_logistic(np.column_stack([np.ones(N), log_odds]), y, design)
    change = made.about["recalibration"]
    assert (change["intercept_of_parent"], change["slope_of_parent"]) == pytest.approx(
        tuple(fit.coefficients), abs=1e-8
    )
    np.testing.assert_allclose(
        made.calibrator.log_odds(margin), fit.coefficients[0] + fit.coefficients[1] * log_odds, atol=1e-8
    )


def test_it_names_its_parent_and_for_whom_it_holds(parent: Bundle) -> None:
    made = recalibrate(parent, *new_people(parent, level=0.0, slope=1.0), method="intercept", changes=CHANGES)
    assert made.about["parent"] == CHANGES["parent"]
    assert made.about["holds_for"] == "a clinic, 2022"
    assert re.fullmatch("toy-recalibrated-[0-9a-f]{8}", made.about["name"])
    again = recalibrate(parent, *new_people(parent, level=0.0, slope=1.0), method="intercept", changes=CHANGES)
    other = recalibrate(parent, *new_people(parent, level=0.1, slope=1.0), method="intercept", changes=CHANGES)
    elsewhere = {**CHANGES, "holds_for": "another clinic"}
    told = recalibrate(parent, *new_people(parent, level=0.0, slope=1.0), method="intercept", changes=elsewhere)
    assert again.about["name"] == made.about["name"]
    assert len({made.about["name"], other.about["name"], told.about["name"]}) == 3
    assert isinstance(made.fitted, Additive)
    assert isinstance(parent.fitted, Additive)
    assert replace(made.fitted, sampling=None).to_files() == replace(parent.fitted, sampling=None).to_files()


@pytest.mark.parametrize("method", ["intercept", "logistic"])
@LEARNERS
def test_the_error_of_the_recalibration_is_added_to_that_of_the_parent(
    toy_bundles: dict[str, Bundle], toy_people: ToyPeople, learner: str, method: Method
) -> None:
    parent = replace(toy_bundles[learner], about={**toy_bundles[learner].about, "interval": "an interval"})
    made, X = parent, toy_people.matrix
    # Twice, the second time for others: the variance is added to that of the first.
    for level, slope in ((0.5, 0.7), (-0.2, 1.3)):
        margin, y, design = new_people(parent, level=level, slope=slope)
        again, made = made, recalibrate(made, margin, y, design, method=method, changes=CHANGES)
        stretch = made.about["recalibration"]["slope_of_parent"]
        added = np.average(made.calibrator.se(margin) ** 2, weights=design.analysis_weight)
        expected = np.sqrt((stretch * again.predict(X).se) ** 2 + added)
        np.testing.assert_allclose(made.predict(X).se, expected, rtol=1e-9)
    plain = recalibrate(without_refits(parent), margin, y, design, method=method, changes=CHANGES)
    np.testing.assert_array_equal(plain.predict(X).se, plain.calibrator.se(plain.fitted.margin(X)))


def test_a_line_after_a_line_moves_all_that_an_additive_model_says(parent: Bundle, toy_people: ToyPeople) -> None:
    made, X = parent, toy_people.matrix
    intercept, slope = 0.0, 1.0
    for level, steep in ((0.5, 0.7), (-0.3, 1.4)):
        made = recalibrate(made, *new_people(made, level=level, slope=steep), method="logistic", changes=CHANGES)
        change = made.about["recalibration"]
        intercept = change["intercept_of_parent"] + change["slope_of_parent"] * intercept
        slope *= change["slope_of_parent"]
    assert abs(slope - 1.0) > 0.02
    old, new = parent.predict(X), made.predict(X)
    for name in ("log_odds", "expected", "base"):
        np.testing.assert_allclose(getattr(new, name), intercept + slope * getattr(old, name), atol=1e-9, err_msg=name)
    for name in ("contributions", "unknown"):
        np.testing.assert_allclose(getattr(new, name), slope * getattr(old, name), atol=1e-9, err_msg=name)
    low, high = made.interval_of_inputs(new)
    lacks = np.isnan(X).any(axis=1)
    np.testing.assert_array_equal(low[~lacks], expit(new.log_odds[~lacks]))
    reach = 1.6448536269514722 * slope * old.unknown
    np.testing.assert_allclose(high[lacks], expit(intercept + slope * old.expected + reach)[lacks], rtol=1e-9)
    assert made.about["recalibration"]["slope_of_parent"] != pytest.approx(1.0, abs=0.1)


def test_a_recalibrated_bundle_is_written_and_read_with_its_refits(
    parent: Bundle, toy_people: ToyPeople, tmp_path: Path
) -> None:
    made = recalibrate(parent, *new_people(parent, level=0.4, slope=0.8), method="logistic", changes=CHANGES)
    made.write(tmp_path / "made")
    loaded = read_bundle(tmp_path / "made")
    assert loaded.refits == parent.refits == 20
    one, other = made.predict(toy_people.matrix), loaded.predict(toy_people.matrix)
    np.testing.assert_array_equal(other.log_odds, one.log_odds)
    np.testing.assert_array_equal(other.se, one.se)


def test_too_few_cases_are_refused_with_the_method_that_they_do_for(parent: Bundle) -> None:
    margin, y, design = new_people(parent, level=0.0, slope=1.0)
    few = np.zeros(N)
    few[np.flatnonzero(y)[:30]] = 1
    with pytest.raises(MgRiskError, match="30 cases") as caught:
        recalibrate(parent, margin, few, design, method="logistic", changes=CHANGES)
    assert caught.value.code == "recalibrate.too_few_events"
    assert caught.value.hint == "use --method intercept"
    few[np.flatnonzero(few)[:15]] = 0
    with pytest.raises(MgRiskError, match="15 cases") as caught:
        recalibrate(parent, margin, few, design, method="intercept", changes=CHANGES)
    assert "as it is" in caught.value.hint


@pytest.mark.parametrize("method", ["intercept", "logistic"])
def test_a_model_that_ranks_in_reverse_is_not_recalibrated(parent: Bundle, method: Method) -> None:
    margin, y, design = new_people(parent, level=0.0, slope=1.0)
    turned = replace(parent, calibrator=replace(parent.calibrator, slope=-parent.calibrator.slope))
    for bundle, outcome in ((parent, 1 - y), (turned, y)):
        with pytest.raises(MgRiskError) as caught:
            recalibrate(bundle, margin, outcome, design, method=method, changes=CHANGES)
        assert caught.value.code == "recalibrate.reversed"


@pytest.mark.parametrize("method", ["intercept", "logistic"])
def test_a_model_that_gives_everybody_the_same_risk_is_not_recalibrated(parent: Bundle, method: Method) -> None:
    _, y, design = new_people(parent, level=0.0, slope=1.0)
    with pytest.raises(MgRiskError) as caught:
        recalibrate(parent, np.zeros(N), y, design, method=method, changes=CHANGES)
    assert caught.value.code == "recalibrate.reversed"

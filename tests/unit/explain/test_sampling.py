"""Quadratic forms of the sampling error of contributions add up to that of the log-odds; they need refits."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from mgrisk.explain.sampling import ContributionErrors
from mgrisk.model.additive import Additive
from mgrisk.model.bundle import Bundle, read_bundle
from mgrisk.types import Singles


@pytest.fixture(scope="module")
def bundle(finished_run: Path) -> Bundle:
    return read_bundle(finished_run / "trained" / "spline_logistic")


@pytest.fixture(scope="module")
def people(bundle: Bundle) -> Singles:
    random = np.random.default_rng(5)
    X = random.normal(size=(40, len(bundle.encoder.columns))).astype(np.float32)
    scale = [abs(term.knots[-1]) if term.knots else 1.0 for term in bundle.fitted.terms]  # type: ignore[union-attr]
    return np.abs(X * np.array(scale, dtype=np.float32))


def test_forms_of_all_features_together_are_those_of_the_log_odds(bundle: Bundle, people: Singles) -> None:
    fitted = bundle.fitted
    assert isinstance(fitted, Additive)
    assert fitted.sampling is not None
    errors = ContributionErrors.of(bundle, people)
    assert errors is not None
    forms = errors.moved([feature.name for feature in bundle.features])
    forms += bundle.calibrator.slope * fitted.sampling.factor**0.5 * fitted.sampling.offset
    answered = bundle.calibrator.slope**2 * (fitted.answer(people).variance - fitted.sampling.base)
    assert (forms**2).sum(axis=1) == pytest.approx(answered, rel=1e-6)


def test_forms_of_features_add_up_and_an_absent_one_has_none(bundle: Bundle, people: Singles) -> None:
    first, second = (feature.name for feature in bundle.features[:2])
    absent = people.copy()
    absent[:, np.flatnonzero(bundle.encoder.owners == 0)] = np.nan
    whole, without = ContributionErrors.of(bundle, people), ContributionErrors.of(bundle, absent)
    assert whole is not None
    assert without is not None
    assert whole.moved([first, second]) == pytest.approx(whole.moved([first]) + whole.moved([second]))
    assert not without.moved([first]).any()
    assert without.moved([second]) == pytest.approx(whole.moved([second]))


def test_a_bundle_without_refits_has_no_errors(bundle: Bundle, people: Singles) -> None:
    assert isinstance(bundle.fitted, Additive)
    without = replace(bundle, fitted=replace(bundle.fitted, sampling=None))
    assert ContributionErrors.of(without, people) is None

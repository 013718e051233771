"""Venn-Abers with weights: two isotonic fits for each person, as scikit-learn and the package venn-abers make them."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.isotonic import IsotonicRegression

from mgrisk.model.venn_abers import fit_venn_abers

GOLDEN = Path(__file__).parents[2] / "golden" / "venn_abers.json"


def people(seed: int, n: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    random = np.random.default_rng(seed)
    margin = np.round(random.normal(size=n), 1)
    y = (random.random(n) < 1 / (1 + np.exp(0.5 - margin))).astype(float)
    return margin, y, random.uniform(1, 10, n)


@given(st.integers(0, 10_000), st.integers(2, 60), st.integers(-300, 300))
def test_the_bounds_are_isotonic_risks_with_the_person_added_as_no_case_and_as_a_case(
    seed: int, n: int, hundredths: int
) -> None:
    margin, y, weight = people(seed, n)
    own = hundredths / 100  # scikit-learn takes neighbours of 1e-233 for ties
    bounds = fit_venn_abers(margin, y, weight).bounds(np.array([own]))
    for label, bound in zip((0.0, 1.0), bounds, strict=True):
        joined = IsotonicRegression().fit(
            np.append(margin, own), np.append(y, label), sample_weight=np.append(weight, weight.mean())
        )
        assert bound[0] == pytest.approx(joined.predict([own])[0], abs=1e-9)


def test_equal_weights_give_the_numbers_of_the_package_venn_abers() -> None:
    golden = json.loads(GOLDEN.read_text("utf-8"))
    margin, y, asked = (np.array(golden[name]) for name in ("margin", "y", "asked"))
    fitted = fit_venn_abers(margin, y, np.full(len(y), 3.0))
    low, high = fitted.bounds(asked)
    np.testing.assert_allclose(low, golden["low"], atol=1e-12)
    np.testing.assert_allclose(high, golden["high"], atol=1e-12)
    np.testing.assert_allclose(fitted.risk(asked), golden["risk"], atol=1e-12)


def test_people_without_weight_do_not_count() -> None:
    margin, y, weight = people(1, 200)
    weight[::3] = 0.0
    poisoned = np.where(weight == 0, np.nan, margin)
    kept = weight > 0
    asked = np.linspace(-3, 3, 31)
    for one, other in zip(
        fit_venn_abers(poisoned, y, weight).bounds(asked),
        fit_venn_abers(margin[kept], y[kept], weight[kept]).bounds(asked),
        strict=True,
    ):
        np.testing.assert_array_equal(one, other)


def test_the_one_probability_lies_between_the_bounds() -> None:
    margin, y, weight = people(2, 300)
    fitted = fit_venn_abers(margin, y, weight)
    low, high = fitted.bounds(margin)
    risk = fitted.risk(margin)
    assert ((low <= risk) & (risk <= high) & (low < high)).all()

"""Stacked ensembles: scales are fitted with weights and never negative, and files restore the model.

Reading a model back: its files determine the kind, and ensembles are not nested.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import numpy as np
import pytest
from scipy.special import expit
from sklearn.linear_model import LogisticRegression

from mgrisk.errors import MgRiskError
from mgrisk.model.stacking import FILE, FittedSum, Scales, fit_scales, part_files, read_fitted
from mgrisk.survey.design import SurveyDesign, WeightLevel

if TYPE_CHECKING:
    from tests.conftest import ToyPeople

    from mgrisk.model.bundle import Bundle


def people(n: int = 4000) -> tuple[np.ndarray, np.ndarray, np.ndarray, SurveyDesign]:
    random = np.random.default_rng(7)
    one, two = random.normal(size=(2, n))
    y = (random.random(n) < expit(-2 + 0.8 * one + 0.3 * two)).astype(float)
    weight = random.integers(1, 5, n).astype(float)
    return one, two, y, SurveyDesign(weight, np.ones(n, int), np.arange(n), WeightLevel.EXAM)


def test_scales_are_those_of_scikit_learns_weighted_logistic_regression_where_none_is_negative() -> None:
    one, two, y, design = people()
    found = fit_scales([one, 10 * two], y, design)
    oracle = LogisticRegression(C=np.inf, tol=1e-10, max_iter=1000)
    oracle.fit(np.column_stack([one, 10 * two]), y, sample_weight=design.weight)
    np.testing.assert_allclose(found.scales, oracle.coef_[0], rtol=1e-4)
    assert found.intercept == pytest.approx(oracle.intercept_[0], rel=1e-4)


def test_a_part_that_would_count_negatively_counts_nothing() -> None:
    one, two, y, design = people()
    found = fit_scales([one, -two], y, design)
    assert found.scales[1] == 0.0
    alone = fit_scales([one], y, design)
    np.testing.assert_allclose([found.intercept, found.scales[0]], [alone.intercept, *alone.scales], rtol=1e-5)


def test_people_outside_the_domain_and_the_scale_of_weights_change_no_scale() -> None:
    one, two, y, design = people()
    domain = np.arange(len(y)) % 2 == 0
    inside = design.where(domain)
    poisoned = np.where(domain, one, np.nan)
    kept = SurveyDesign(1e3 * design.weight[domain], design.stratum[domain], design.psu[domain], design.level)
    part = fit_scales([poisoned, two], np.where(domain, y, np.nan), inside)
    whole = fit_scales([one[domain], two[domain]], y[domain], kept)
    np.testing.assert_allclose([part.intercept, *part.scales], [whole.intercept, *whole.scales], rtol=1e-5)


def test_the_margin_is_the_intercept_and_the_scaled_margins(
    toy_bundles: dict[str, Bundle], toy_people: ToyPeople
) -> None:
    blend = toy_bundles["blend"].fitted
    assert isinstance(blend, FittedSum)
    expected = -0.2 + sum(
        scale * part.margin(toy_people.matrix) for scale, part in zip(blend.scales.scales, blend.parts, strict=True)
    )
    np.testing.assert_allclose(blend.margin(toy_people.matrix), expected, rtol=1e-13)


def test_files_of_parts_come_back_under_their_own_names(toy_bundles: dict[str, Bundle]) -> None:
    blend = toy_bundles["blend"].fitted
    assert isinstance(blend, FittedSum)
    scales, parts = part_files(blend.to_files())
    # The spline part has taken its scale in.
    assert scales == Scales(-0.2, (1.0, 0.4, 2.0))
    assert parts == [part.to_files() for part in blend.parts]


@pytest.mark.parametrize(
    "content",
    [b"", b"[]", b"{}", b'{"intercept": 0, "scales": []}', b'{"intercept": 0, "scales": ["x"]}',
     json.dumps({"intercept": float("nan"), "scales": [1.0]}).encode()],
)  # fmt: skip
def test_a_damaged_sum_is_refused(content: bytes) -> None:
    with pytest.raises(MgRiskError) as caught:
        part_files({FILE: content})
    assert caught.value.code == "bundle.bad_model"


@pytest.mark.parametrize("name", ["spline_logistic", "xgboost", "shapes", "blend"])
def test_each_kind_gives_its_margins_back_bit_for_bit(
    toy_bundles: dict[str, Bundle], toy_people: ToyPeople, name: str
) -> None:
    fitted = toy_bundles[name].fitted
    back = read_fitted(fitted.to_files(), owners=toy_people.encoder.owners, threads=1)
    assert type(back) is type(fitted)
    np.testing.assert_array_equal(back.margin(toy_people.matrix), fitted.margin(toy_people.matrix))


def test_files_of_no_known_kind_are_refused() -> None:
    with pytest.raises(MgRiskError) as caught:
        read_fitted({"model.pkl": b"x"}, owners=np.zeros(1, dtype=np.int64), threads=1)
    assert caught.value.code == "bundle.bad_model"


def test_a_sum_within_a_sum_is_refused() -> None:
    scales = json.dumps({"intercept": 0.0, "scales": [1.0]}).encode()
    with pytest.raises(MgRiskError) as caught:
        read_fitted({"sum.json": scales, "part-0-sum.json": scales}, owners=np.zeros(1, dtype=np.int64), threads=1)
    assert caught.value.code == "bundle.bad_model"

"""Groups as players: Shapley values of the game between groups, by their definition, and additive in any case."""

from __future__ import annotations

import itertools
import math
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pytest

from mgrisk.explain.attributions import PART, Explainer, build
from mgrisk.explain.groups import grouped_values, mean_size, summarise_groups
from mgrisk.survey import estimates

if TYPE_CHECKING:
    from tests.conftest import ToyPeople

    from mgrisk.model.bundle import Bundle

LEARNERS = pytest.mark.parametrize(("learner", "exact"), [("spline_logistic", 1e-9), ("xgboost", 1e-5)])


@LEARNERS
def test_groups_add_up_to_the_calibrated_log_odds_either_way(
    toy_bundles: dict[str, Bundle], toy_people: ToyPeople, learner: str, exact: float
) -> None:
    bundle, X = toy_bundles[learner], toy_people.matrix
    found = grouped_values(bundle, X, toy_people.weight, X)
    log_odds = bundle.calibrator.log_odds(bundle.fitted.margin(X))
    base = Explainer(bundle).base_value
    np.testing.assert_allclose(base + found.values.sum(axis=1), log_odds, atol=exact)
    np.testing.assert_allclose(base + found.summed.sum(axis=1), log_odds, atol=exact)
    assert found.groups == ("background", "body", "magnesium")


@LEARNERS
def test_a_group_s_value_is_shapley_s_for_groups_that_join_whole(
    toy_bundles: dict[str, Bundle], toy_people: ToyPeople, learner: str, exact: float
) -> None:
    background, weight, people = toy_people.matrix[:7], toy_people.weight[:7], toy_people.matrix[40:43]
    whole, encoder = toy_bundles[learner], toy_people.encoder
    bundle = replace(whole, parts={PART: build(whole.fitted, encoder, background, weight)})
    found = grouped_values(bundle, background, weight, people)
    n = len(found.groups)
    owner = np.array([found.groups.index(bundle.features[place].group) for place in encoder.owners])

    def worth(person: np.ndarray, known: tuple[int, ...]) -> float:
        mixed = np.where(np.isin(owner, known), person, background).astype(np.float32)
        return float(np.average(bundle.calibrator.log_odds(bundle.fitted.margin(mixed)), weights=weight))

    for person, values in zip(people, found.values, strict=True):
        for group in range(n):
            others = [each for each in range(n) if each != group]
            shapley = sum(
                math.factorial(size) * math.factorial(n - size - 1) / math.factorial(n)
                * (worth(person, (*known, group)) - worth(person, known))
                for size in range(n)
                for known in itertools.combinations(others, size)
            )  # fmt: skip
            assert values[group] == pytest.approx(shapley, abs=exact)


def test_an_additive_model_has_no_interactions_so_that_groups_are_sums(
    toy_bundles: dict[str, Bundle], toy_people: ToyPeople
) -> None:
    X = toy_people.matrix
    spline = grouped_values(toy_bundles["spline_logistic"], X, toy_people.weight, X)
    np.testing.assert_allclose(spline.values, spline.summed, atol=1e-14)
    trees = grouped_values(toy_bundles["xgboost"], X, toy_people.weight, X)
    assert np.abs(trees.values - trees.summed).max() > 0.001


def test_the_summary_is_of_the_population_with_the_interval_of_the_design(
    toy_bundles: dict[str, Bundle], toy_people: ToyPeople
) -> None:
    X = toy_people.matrix
    found = grouped_values(toy_bundles["xgboost"], X, toy_people.weight, X)
    records = summarise_groups(found, toy_people.design)
    sizes = [record["importance"] for record in records]
    assert sizes == sorted(sizes, reverse=True)
    body = next(record for record in records if record["group"] == "body")
    size = np.zeros(len(toy_people.design))
    size[toy_people.inside] = np.abs(found.values[:, 1])
    expected = estimates.mean(size, toy_people.design)
    assert (body["importance"], body["low"], body["high"]) == (expected.estimate, expected.low, expected.high)
    assert body["summed"] == mean_size(found.summed[:, 1], toy_people.design).estimate

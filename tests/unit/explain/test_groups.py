"""Grouped Shapley values equal their definition and add up.

Interaction values equal their definition, those of shap for the same game, and 0 for stumps.
"""

from __future__ import annotations

import itertools
import math
from typing import TYPE_CHECKING

import numpy as np
import pytest
import xgboost as xgb

from mgrisk.errors import MgRiskError
from mgrisk.explain.attributions import Explainer
from mgrisk.explain.groups import grouped_values, interaction_values, mean_size, strongest_pairs, summarise_groups
from mgrisk.survey import estimates

if TYPE_CHECKING:
    from collections.abc import Callable

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
    base = Explainer(bundle).explain_encoded(*bundle.encode(toy_people.frame.iloc[toy_people.inside])).base_values
    np.testing.assert_allclose(base + found.values.sum(axis=1), log_odds, atol=exact)
    np.testing.assert_allclose(base + found.summed.sum(axis=1), log_odds, atol=exact)
    assert found.groups == ("background", "body", "magnesium")


@LEARNERS
def test_a_group_s_value_is_shapley_s_for_groups_that_join_whole(
    toy_bundles: dict[str, Bundle],
    toy_people: ToyPeople,
    complete: np.ndarray,
    among: Callable[..., Bundle],
    learner: str,
    exact: float,
) -> None:
    X, encoder = toy_people.matrix[complete], toy_people.encoder
    background, weight, people = X[:7], toy_people.weight[complete[:7]], X[40:43]
    bundle = among(toy_bundles[learner], background, weight)
    found = grouped_values(bundle, background, weight, people)
    n = len(found.groups)
    owner = np.array([found.groups.index(bundle.features[place].group) for place in encoder.owners])

    def worth(person: np.ndarray, known: tuple[int, ...]) -> float:
        mixed = np.where(np.isin(owner, known), person, background).astype(np.float32)
        return float(np.average(bundle.predict(mixed).log_odds, weights=weight))

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


COLUMNS = 5


def made(depth: int, *, trees: int = 6) -> tuple[xgb.Booster, np.ndarray]:
    random = np.random.default_rng(depth)
    X = random.normal(size=(400, COLUMNS)).astype(np.float32)
    X[random.random(X.shape) < 0.1] = np.nan
    signal = np.nan_to_num(X)
    y = (signal[:, 0] * signal[:, 1] + signal[:, 2] + 0.3 * signal[:, 3] * signal[:, 4] > 0).astype(float)
    settings = {"objective": "binary:logistic", "max_depth": depth, "eta": 0.5, "nthread": 1, "seed": 1}
    return xgb.train(settings, xgb.DMatrix(X, y), trees), X


def of(booster: xgb.Booster, X: np.ndarray, rows: np.ndarray, **given: object) -> np.ndarray:
    options = {
        "owners": np.arange(COLUMNS), "n_players": COLUMNS, "background": X, "weight": np.ones(len(X)), "X": rows,
    }  # fmt: skip
    return interaction_values(booster, **{**options, **given})  # type: ignore[arg-type]


@pytest.mark.parametrize("depth", [2, 3, 4])
def test_a_pair_s_value_is_half_its_interaction_index_by_definition(depth: int) -> None:
    booster, X = made(depth)
    background, weight, rows = X[:15], np.linspace(1, 3, 15), X[100:103]

    def worth(person: np.ndarray, known: tuple[int, ...]) -> float:
        mixed = np.where(np.isin(np.arange(COLUMNS), known), person, background).astype(np.float32)
        return float(np.average(booster.inplace_predict(mixed, predict_type="margin"), weights=weight))

    def index(person: np.ndarray, i: int, j: int) -> float:
        rest = [each for each in range(COLUMNS) if each not in {i, j}]
        return sum(
            math.factorial(size) * math.factorial(COLUMNS - size - 2) / math.factorial(COLUMNS - 1)
            * (worth(person, (*s, i, j)) - worth(person, (*s, i)) - worth(person, (*s, j)) + worth(person, s))
            for size in range(COLUMNS - 1)
            for s in itertools.combinations(rest, size)
        )  # fmt: skip

    for person, values in zip(rows, of(booster, X, rows, background=background, weight=weight), strict=True):
        for i, j in itertools.combinations(range(COLUMNS), 2):
            assert values[i, j] == pytest.approx(index(person, i, j) / 2, abs=1e-6)


def test_values_are_those_of_shap_where_its_game_is_the_same() -> None:
    """shap follows the trees' cover. On a full factorial, in a first tree, that is the background's distribution."""
    shap = pytest.importorskip("shap")
    X = np.array(list(itertools.product([0.0, 1.0], repeat=4)) * 4, dtype=np.float32)
    y = ((X[:, 0] * X[:, 1] + X[:, 2] * X[:, 3] + X[:, 0]) > 1).astype(float)
    settings = {"objective": "binary:logistic", "max_depth": 4, "eta": 1.0, "base_score": 0.5, "min_child_weight": 0}
    booster = xgb.train({**settings, "nthread": 1}, xgb.DMatrix(X, y), 1)
    theirs = shap.TreeExplainer(booster, feature_perturbation="tree_path_dependent").shap_interaction_values(X[:16])
    apart = ~np.eye(4, dtype=bool)
    mine = interaction_values(booster, owners=np.arange(4), n_players=4, background=X, weight=np.ones(len(X)), X=X[:16])
    assert np.abs(mine).max() > 0.05
    np.testing.assert_allclose(mine[:, apart], theirs[:, apart], atol=1e-5)


def test_halves_stand_at_both_places_of_a_pair_and_nothing_on_the_diagonal() -> None:
    booster, X = made(3)
    found = of(booster, X, X[:50])
    np.testing.assert_array_equal(found, found.transpose(0, 2, 1))
    assert not found[:, np.arange(COLUMNS), np.arange(COLUMNS)].any()
    assert np.abs(found[:, 0, 1]).max() > 0.01


def test_stumps_do_not_interact_nor_do_columns_of_one_player() -> None:
    booster, X = made(1)
    assert not of(booster, X, X[:50]).any()
    booster, X = made(3)
    merged = of(booster, X, X[:50], owners=np.array([0, 0, 1, 1, 1]), n_players=2)
    assert merged.shape == (50, 2, 2)
    assert not of(booster, X, X[:50], owners=np.zeros(COLUMNS, dtype=int), n_players=1).any()


def test_trees_that_are_too_deep_are_refused() -> None:
    random = np.random.default_rng(1)
    X = random.normal(size=(2000, 8)).astype(np.float32)
    y = (np.prod(np.sign(X), axis=1) > 0).astype(float)
    booster = xgb.train({"objective": "binary:logistic", "max_depth": 8, "nthread": 1}, xgb.DMatrix(X, y), 3)
    with pytest.raises(MgRiskError) as caught:
        interaction_values(booster, owners=np.arange(8), n_players=8, background=X, weight=np.ones(2000), X=X[:2])
    assert caught.value.code == "explain.too_many_players"


def test_the_strongest_pairs_come_first_with_both_halves_and_the_interval_of_the_design(toy_people: ToyPeople) -> None:
    n, k = len(toy_people.inside), len(toy_people.features)
    values = np.zeros((n, k, k))
    random = np.random.default_rng(2)
    values[:, 0, 4] = values[:, 4, 0] = random.normal(size=n)
    values[:, 1, 2] = values[:, 2, 1] = 0.1 * random.normal(size=n)
    first, second = strongest_pairs(values, toy_people.features, toy_people.design)
    assert (first["first"], first["second"]) == ("age_years", "bmi_kg_m2")
    assert (second["first"], second["second"]) == ("sex", "race_ethnicity")
    size = np.zeros(len(toy_people.design))
    size[toy_people.inside] = np.abs(2 * values[:, 0, 4])
    expected = estimates.mean(size, toy_people.design)
    assert (first["importance"], first["low"]) == (expected.estimate, expected.low)
    assert len(strongest_pairs(values, toy_people.features, toy_people.design, most=1)) == 1

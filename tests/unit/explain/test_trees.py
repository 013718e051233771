"""Shapley values of trees against shap, all coalitions, and their axioms."""

from __future__ import annotations

import io
import itertools
import json
import math
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import xgboost as xgb
from hypothesis import given, settings
from hypothesis import strategies as st

from mgrisk.errors import ExitStatus, MgRiskError
from mgrisk.explain import trees
from mgrisk.explain.trees import TreeTables
from mgrisk.model.trees.leaves import Ensemble, Groups, Leaf, Split, group_leaves, read_ensemble

Matrix = np.ndarray


def people(seed: int, *, n: int = 300, n_columns: int = 6, missing: float = 0.15) -> Matrix:
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(n, n_columns)).astype(np.float32)
    # Coarse values, so that many are equal to a threshold: `<` and `<=` differ.
    X[:, 1::2] = np.round(X[:, 1::2])
    X[rng.random(X.shape) < missing] = np.nan
    return X


def train(X: Matrix, *, seed: int = 0, depth: int = 3, rounds: int = 12, **more: object) -> xgb.Booster:
    rng = np.random.default_rng(seed)
    signal = np.nan_to_num(X, nan=0.7)
    logit = signal[:, 0] - signal[:, 1] * signal[:, 2] + 0.5 * signal[:, -1] ** 2
    y = (logit + rng.logistic(size=len(X)) > 0).astype(np.float32)
    parameters = {
        "objective": "binary:logistic",
        "max_depth": depth,
        "eta": 0.3,
        "min_child_weight": 0.5,
        "nthread": 1,
        "seed": seed,
        **more,
    }
    return xgb.train(parameters, xgb.DMatrix(X, y), num_boost_round=rounds)


def margin(booster: xgb.Booster, X: Matrix) -> Matrix:
    return booster.predict(xgb.DMatrix(X), output_margin=True).astype(np.float64)


def build(booster: xgb.Booster, background: Matrix, **more: Any) -> TreeTables:
    n_columns = background.shape[1]
    given_or_plain: dict[str, Any] = {
        "owners": np.arange(n_columns),
        "n_players": n_columns,
        "weight": np.ones(len(background)),
        **more,
    }
    return TreeTables.build(booster, background=background, **given_or_plain)


def shapley_by_definition(
    value: Callable[[Matrix], Matrix], x: Matrix, background: Matrix, weight: Matrix, owners: Matrix, n: int
) -> Matrix:
    """Sum over all coalitions, with nothing but predictions of mixed rows."""
    worth = {}
    for size in range(n + 1):
        for coalition in itertools.combinations(range(n), size):
            mixed = background.copy()
            own = np.isin(owners, coalition)
            mixed[:, own] = x[own]
            worth[frozenset(coalition)] = np.average(value(mixed), weights=weight)
    phi = np.zeros(n)
    for coalition, without in worth.items():
        s = len(coalition)
        share = math.factorial(s) * math.factorial(n - s - 1) / math.factorial(n) if s < n else 0.0
        for i in set(range(n)) - coalition:
            phi[i] += share * (worth[coalition | {i}] - without)
    return phi


@pytest.mark.parametrize("depth", [1, 3, 4, 6])
def test_values_equal_shaps_interventional_explainer(depth: int) -> None:
    X = people(1, n=400)
    booster = train(X, depth=depth)
    background = X[:80]
    with warnings.catch_warnings():
        # shap 0.51 draws its colour maps on import with calls that matplotlib will deprecate.
        warnings.filterwarnings(
            "ignore", message="The set_(bad|over|under) function", category=PendingDeprecationWarning
        )
        import shap
    explainer = shap.TreeExplainer(booster, data=background, feature_perturbation="interventional", model_output="raw")
    expected = explainer.shap_values(X[100:200])
    tables = build(booster, background)
    np.testing.assert_allclose(tables.values(X[100:200]), expected, atol=1e-5, rtol=0)
    assert tables.base == pytest.approx(float(explainer.expected_value), abs=1e-5)


@pytest.mark.parametrize("depth", [1, 3, 4, 6])
def test_path_dependent_values_equal_xgboosts_own(depth: int) -> None:
    X = people(4, n=600)
    booster = train(X, depth=depth)
    tables = TreeTables.path_dependent(booster, owners=np.arange(X.shape[1]), n_players=X.shape[1])
    expected = booster.predict(xgb.DMatrix(X), pred_contribs=True)
    np.testing.assert_allclose(tables.values(X), expected[:, :-1], atol=1e-5, rtol=0)
    assert tables.base == pytest.approx(float(expected[0, -1]), abs=1e-5)
    # It is another question than the one that a background answers.
    assert np.abs(build(booster, X).values(X) - tables.values(X)).max() > 1e-3


@pytest.mark.parametrize("owners", [[0, 1, 2, 3, 4, 5], [0, 0, 1, 1, 2, 2], [2, 0, 2, 1, 0, 3], [0, 0, 0, 0, 0, 0]])
def test_grouped_players_equal_the_sum_over_all_coalitions(owners: list[int]) -> None:
    X = people(2, n=200, missing=0.3)
    booster = train(X, depth=4, rounds=6)
    background, weight = X[:40], np.random.default_rng(3).gamma(1.0, size=40)
    owner, n = np.array(owners), max(owners) + 1
    tables = build(booster, background, owners=owner, n_players=n, weight=weight)
    rows = X[60:72]
    expected = [shapley_by_definition(lambda z: margin(booster, z), x, background, weight, owner, n) for x in rows]
    np.testing.assert_allclose(tables.values(rows), expected, atol=2e-6, rtol=0)


@pytest.mark.parametrize("depth", range(1, 9))
def test_values_add_up_to_the_margin(depth: int) -> None:
    X = people(depth, n=2000)
    booster = train(X, depth=depth, rounds=20)
    tables = build(booster, X, weight=np.random.default_rng(0).gamma(1.0, size=len(X)))
    total = tables.base + tables.values(X).sum(axis=1)
    np.testing.assert_allclose(total, margin(booster, X), atol=1e-5, rtol=0)


def test_values_add_up_to_the_leaves_far_beyond_float32() -> None:
    X = people(4, n=500)
    booster = train(X, depth=5, rounds=40)
    ensemble = read_ensemble(booster)
    exact = np.full(len(X), ensemble.base_margin)
    for leaf in itertools.chain.from_iterable(ensemble.trees):
        met = np.ones(len(X), dtype=bool)
        for split, left in leaf.path:
            x = X[:, split.column]
            goes_left = np.where(np.isnan(x), split.default_left, x < np.float32(split.threshold))
            met &= goes_left == left
        exact += met * leaf.value
    tables = build(booster, X)
    np.testing.assert_allclose(tables.base + tables.values(X).sum(axis=1), exact, atol=1e-12, rtol=0)


def test_base_is_the_weighted_mean_of_the_margin() -> None:
    X = people(5, n=3000)
    booster = train(X, depth=4)
    weight = np.random.default_rng(5).gamma(0.5, size=len(X))
    tables = build(booster, X, weight=weight)
    assert tables.base == pytest.approx(np.average(margin(booster, X), weights=weight), abs=1e-6)
    # The weighted mean of each player's values is zero: it is what the base already holds.
    np.testing.assert_allclose(weight @ tables.values(X) / weight.sum(), 0.0, atol=1e-12)


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), scale=st.floats(1e-6, 1e6))
def test_integer_weights_are_duplicated_rows_and_their_scale_is_free(seed: int, scale: float) -> None:
    X = people(6, n=150)
    booster = train(X, depth=4, rounds=5)
    count = np.random.default_rng(seed).integers(0, 4, size=len(X))
    count[0] = 1
    weighted = build(booster, X, weight=count * scale)
    duplicated = build(booster, np.repeat(X, count, axis=0))
    assert weighted.base == pytest.approx(duplicated.base, abs=1e-12)
    np.testing.assert_allclose(weighted.values(X), duplicated.values(X), atol=1e-12, rtol=0)


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), n_columns=st.integers(1, 7), depth=st.integers(1, 6))
def test_any_model_and_any_players_satisfy_efficiency_and_the_dummy_law(seed: int, n_columns: int, depth: int) -> None:
    rng = np.random.default_rng(seed)
    X = people(seed, n=120, n_columns=max(3, n_columns))
    booster = train(X, seed=seed % 1000, depth=depth, rounds=4)
    n_players = int(rng.integers(1, 9))
    owners = rng.integers(0, n_players, size=X.shape[1])
    tables = build(booster, X, owners=owners, n_players=n_players, weight=rng.gamma(1.0, size=len(X)))
    values = tables.values(X)
    np.testing.assert_allclose(tables.base + values.sum(axis=1), margin(booster, X), atol=1e-5, rtol=0)
    split_columns = [split.column for tree in read_ensemble(booster).trees for s in tree for split, _ in s.path]
    idle = set(range(n_players)) - set(owners[np.array(split_columns, dtype=int)].tolist())
    assert not values[:, sorted(idle)].any()


def test_two_columns_that_enter_alike_get_alike() -> None:
    X = people(7, n=200)
    booster = train(X, depth=4, rounds=5)
    model = json.loads(booster.save_raw("json"))
    ensemble = model["learner"]["gradient_booster"]["model"]
    # Each tree once more with columns 0 and 2 exchanged: the margin no longer tells them apart.
    for tree in ensemble["trees"][:]:
        twin = {**tree, "id": len(ensemble["trees"])}
        twin["split_indices"] = [{0: 2, 2: 0}.get(column, column) for column in tree["split_indices"]]
        ensemble["trees"].append(twin)
    n_trees = len(ensemble["trees"])
    ensemble["gbtree_model_param"]["num_trees"] = str(n_trees)
    ensemble["tree_info"] = [0] * n_trees
    ensemble["iteration_indptr"] = list(range(n_trees + 1))
    symmetric = xgb.Booster()
    symmetric.load_model(bytearray(json.dumps(model), "utf-8"))
    tables = build(symmetric, np.vstack([X, X[:, [2, 1, 0, 3, 4, 5]]]))
    rows = people(8, n=100)
    rows[:, 2] = rows[:, 0]
    values = tables.values(rows)
    np.testing.assert_allclose(values[:, 0], values[:, 2], atol=1e-12, rtol=0)
    assert np.abs(values[:, 0]).max() > 0.1


@given(names=st.permutations(range(4)))
@settings(max_examples=10, deadline=None)
def test_renaming_players_renames_their_values(names: list[int]) -> None:
    X = people(8)
    booster, owners = train(X, depth=4), np.array([2, 0, 2, 1, 0, 3])
    values = build(booster, X, owners=owners, n_players=4).values(X)
    renamed = build(booster, X, owners=np.array(names)[owners], n_players=4).values(X)
    np.testing.assert_allclose(renamed[:, names], values, atol=1e-13, rtol=0)


def test_features_repeated_on_a_path_are_one_player() -> None:
    X = people(9, n=1000, n_columns=3)
    X[:, 1:] = 0.0
    y = ((X[:, 0] > -0.5) & (X[:, 0] < 0.5)).astype(np.float32)
    parameters = {"objective": "binary:logistic", "max_depth": 6, "nthread": 1}
    booster = xgb.train(parameters, xgb.DMatrix(X, y), num_boost_round=5)
    assert any(len(leaf.path) > 2 for tree in read_ensemble(booster).trees for leaf in tree)
    tables = build(booster, X)
    values = tables.values(X)
    np.testing.assert_allclose(values[:, 0], margin(booster, X) - tables.base, atol=1e-5, rtol=0)
    assert not values[:, 1:].any()


def test_a_value_equal_to_the_threshold_goes_right_and_missing_goes_its_way() -> None:
    X = people(10, n=400)
    booster = train(X, depth=2, rounds=3)
    splits = {split for tree in read_ensemble(booster).trees for leaf in tree for split, _ in leaf.path}
    tables = build(booster, X)
    for split in splits:
        at = np.float32(split.threshold)
        rows = np.repeat(X[:1], 4, axis=0)
        rows[:, split.column] = [np.nextafter(at, np.float32(-np.inf)), at, np.inf, np.nan]
        expected = booster.inplace_predict(rows, predict_type="margin")
        np.testing.assert_allclose(tables.base + tables.values(rows).sum(axis=1), expected, atol=1e-6)


def test_base_score_and_trees_that_never_split_are_part_of_the_base() -> None:
    X = people(11)
    booster = train(X, depth=2, rounds=3, gamma=1e9, base_score=0.2)
    ensemble = read_ensemble(booster)
    assert all(len(tree) == 1 for tree in ensemble.trees)
    assert sum(tree[0].value for tree in ensemble.trees) != 0.0
    tables = build(booster, X)
    assert tables.table.size == 0
    assert tables.base == pytest.approx(margin(booster, X)[0], abs=1e-6)
    assert not tables.values(X).any()


@settings(max_examples=20, deadline=None)
@given(
    order=st.permutations(range(97)),
    cut=st.integers(0, 97),
    block=st.integers(1, 130),
    threads=st.integers(1, 4),
)
def test_order_chunks_blocks_and_threads_change_no_bit(order: list[int], cut: int, block: int, threads: int) -> None:
    X = people(12, n=97)
    tables = build(train(X, depth=4), X)
    expected = tables.values(X)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(trees, "BLOCK_ROWS", block)
        shuffled = X[order]
        values = np.vstack([tables.values(part, n_threads=threads) for part in (shuffled[:cut], shuffled[cut:])])
    np.testing.assert_array_equal(values, expected[order])


def test_any_memory_layout_gives_the_same_values() -> None:
    X = people(13)
    tables = build(train(X), X)
    expected = tables.values(X)
    np.testing.assert_array_equal(tables.values(np.asfortranarray(X)), expected)
    np.testing.assert_array_equal(tables.values(np.repeat(X, 2, axis=0)[::2]), expected)
    assert X.flags.writeable


def test_no_rows_give_no_values() -> None:
    X = people(14)
    tables = build(train(X), X)
    assert tables.values(X[:0], n_threads=3).shape == (0, 6)


def test_tables_survive_savez_without_pickle_bit_for_bit() -> None:
    X = people(15)
    tables = build(train(X, depth=5), X)
    file = io.BytesIO()
    np.savez(file, **tables.to_arrays())
    file.seek(0)
    with np.load(file, allow_pickle=False) as arrays:
        again = TreeTables.from_arrays(arrays)
    assert again.base == tables.base
    np.testing.assert_array_equal(again.values(X), tables.values(X))


def test_tables_cannot_be_changed_after_they_were_checked() -> None:
    X = people(16)
    arrays = build(train(X), X).to_arrays()
    tables = TreeTables.from_arrays({name: array.copy() for name, array in arrays.items()})
    with pytest.raises(ValueError, match="read-only"):
        tables.groups.player[0] = 99


def _set(name: str, index: int, value: float) -> Callable[[dict[str, np.ndarray]], None]:
    def damage(arrays: dict[str, np.ndarray]) -> None:
        arrays[name] = arrays[name].copy()
        arrays[name][index] = value

    return damage


def _put(name: str, make: Callable[[np.ndarray], object]) -> Callable[[dict[str, np.ndarray]], None]:
    def damage(arrays: dict[str, np.ndarray]) -> None:
        arrays[name] = np.asarray(make(arrays[name]))

    return damage


@pytest.mark.parametrize(
    "damage",
    [
        lambda arrays: arrays.pop("player"),
        lambda arrays: arrays.update(extra=np.zeros(1)),
        _set("split_column", 0, -1),
        _set("split_column", 0, 6),
        _set("player", 0, -1),
        _set("player", -1, 6),
        _set("split_start", 0, 1),
        _set("split_start", 1, 10**9),
        _set("split_start", 1, -(2**63)),
        _set("split_start", -1, 2**63 - 1),
        _set("player_start", 1, -1),
        _set("player_start", -1, 0),
        _set("split_threshold", 0, np.nan),
        _set("table", 5, np.inf),
        _put("table", lambda a: a[:-1]),
        _put("table", lambda a: a.astype(np.float32)),
        _put("table", lambda a: a.reshape(1, -1)),
        _put("table", lambda a: a.astype(object)),
        _put("split_threshold", lambda a: a[:-1]),
        _put("split_default_left", lambda a: a[:-1]),
        _put("split_default_left", lambda a: a.astype(np.int8)),
        _put("split_column", lambda a: a.astype(np.int64)),
        _put("split_start", lambda a: a[[0, -1]]),
        _put("split_start", lambda a: a[:0]),
        _put("player_start", lambda a: np.delete(a, 1)),
        _put("base", lambda a: np.nan),
        _put("base", lambda a: [1.0, 2.0]),
        _put("n_players", lambda a: 10**12),
        _put("n_players", lambda a: -1),
        _put("n_columns", lambda a: 5),
        _put("n_columns", lambda a: 6.0),
    ],
)
def test_damaged_or_forged_arrays_are_refused(damage: Callable[[dict[str, np.ndarray]], object]) -> None:
    X = people(17)
    arrays = build(train(X, depth=4), X).to_arrays()
    # The model uses its last column, so that one column fewer is out of bounds.
    assert arrays["split_column"].max() == 5
    damage(arrays)
    with pytest.raises(MgRiskError) as caught:
        TreeTables.from_arrays(arrays)
    assert caught.value.code == "explain.bad_tables"
    assert caught.value.status is ExitStatus.BUNDLE
    assert "\n" not in "".join(caught.value.lines())


@pytest.mark.parametrize(
    ("split_start", "n_entries"), [([0, 9], 512), ([0, 3, 1, 4], 16), ([0, 40], 0), ([0, 4, -60, 4], 16)]
)
def test_forged_offsets_are_refused_even_where_all_sizes_agree(split_start: list[int], n_entries: int) -> None:
    n_splits, n_groups = split_start[-1], len(split_start) - 1
    groups = Groups(
        split_start=np.array(split_start, dtype=np.int64),
        split_column=np.zeros(n_splits, dtype=np.int32),
        split_threshold=np.zeros(n_splits, dtype=np.float32),
        split_default_left=np.zeros(n_splits, dtype=np.bool_),
        player_start=np.arange(n_groups + 1, dtype=np.int64),
        player=np.zeros(n_groups, dtype=np.int32),
    )
    with pytest.raises(MgRiskError, match="damaged \\(split_start\\)"):
        TreeTables(base=0.0, n_players=1, n_columns=1, groups=groups, table=np.zeros(n_entries))


def test_pickled_arrays_in_the_file_are_refused() -> None:
    X = people(17)
    arrays = build(train(X), X).to_arrays()
    arrays["table"] = np.array([{"a": 1}], dtype=object)
    file = io.BytesIO()
    np.savez(file, allow_pickle=True, **arrays)
    file.seek(0)
    with np.load(file, allow_pickle=False) as loaded, pytest.raises(MgRiskError) as caught:
        TreeTables.from_arrays(loaded)
    assert caught.value.code == "explain.bad_tables"


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"owners": np.array([0, 1, 2])}, "explain.bad_owners"),
        ({"owners": np.array([0, 1, 2, 3, 4, 6])}, "explain.bad_owners"),
        ({"owners": np.array([0, 1, 2, 3, 4, -1])}, "explain.bad_owners"),
        ({"owners": np.arange(6.0)}, "explain.bad_owners"),
        ({"n_players": 2**40}, "explain.bad_owners"),
        ({"weight": np.ones(3)}, "explain.bad_weights"),
        ({"weight": np.full(300, -1.0)}, "explain.bad_weights"),
        ({"weight": np.full(300, np.nan)}, "explain.bad_weights"),
        ({"weight": np.zeros(300)}, "explain.bad_weights"),
        ({"background": np.zeros((300, 6))}, "explain.bad_matrix"),
        ({"background": np.zeros((300, 5), dtype=np.float32)}, "explain.bad_matrix"),
        ({"background": np.zeros((0, 6), dtype=np.float32), "weight": np.zeros(0)}, "explain.bad_weights"),
    ],
)
def test_what_does_not_fit_the_booster_is_refused(change: dict[str, Any], code: str) -> None:
    X = people(18)
    booster = train(X)
    plain = {"owners": np.arange(6), "n_players": 6, "background": X, "weight": np.ones(len(X))}
    with pytest.raises(MgRiskError) as caught:
        TreeTables.build(booster, **{**plain, **change})
    assert caught.value.code == code


def test_rows_in_float64_are_refused_rather_than_rounded() -> None:
    X = people(18)
    with pytest.raises(MgRiskError) as caught:
        build(train(X), X).values(X.astype(np.float64))
    assert caught.value.code == "explain.bad_matrix"


@pytest.mark.parametrize(
    ("more", "code"),
    [
        ({"depth": 9, "rounds": 1, "min_child_weight": 0.0}, "explain.tree_too_deep"),
        ({"objective": "count:poisson"}, "explain.unsupported_booster"),
        ({"booster": "dart"}, "explain.unsupported_booster"),
        ({"booster": "gblinear", "max_depth": None}, "explain.unsupported_booster"),
    ],
)
def test_boosters_that_cannot_be_explained_exactly_are_refused(more: dict[str, Any], code: str) -> None:
    X = people(19, n=2000)
    with warnings.catch_warnings():
        # xgboost says that gblinear does not use the parameters of trees.
        warnings.filterwarnings("ignore", category=UserWarning, module="xgboost")
        booster = train(X, **more)
    with pytest.raises(MgRiskError) as caught:
        build(booster, X)
    assert caught.value.code == code


def test_categorical_splits_are_refused() -> None:
    rng = np.random.default_rng(20)
    X = rng.integers(0, 8, size=(500, 2)).astype(np.float32)
    y = np.isin(X[:, 0], [1, 4, 6]).astype(np.float32)
    data = xgb.DMatrix(X, y, feature_types=["c", "c"], enable_categorical=True)
    booster = xgb.train({"objective": "binary:logistic", "max_cat_to_onehot": 1}, data, num_boost_round=2)
    with pytest.raises(MgRiskError) as caught:
        build(booster, X)
    assert caught.value.code == "explain.unsupported_booster"


def test_tables_too_large_for_memory_are_refused_before_they_are_made(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    X = people(21)
    monkeypatch.setattr(trees, "MAX_TABLE_ENTRIES", 100)
    with pytest.raises(MgRiskError) as caught:
        build(train(X), X)
    assert caught.value.code == "explain.tables_too_large"


def test_a_leaf_behind_contradictory_conditions_is_left_out() -> None:
    split = Split(column=0, threshold=0.5, default_left=False)
    paths = [[(split, True)], [(split, False), (split, True)], [(split, False), (split, False)]]
    tree = tuple(
        Leaf(value=float(number), path=tuple(path), cover=(0.5,) * len(path)) for number, path in enumerate(paths)
    )
    _, leaves = group_leaves(Ensemble(0.0, 1, (tree,)), owners=np.array([0]))
    assert leaves.value.tolist() == [0.0, 2.0]


@pytest.mark.parametrize(("depth", "groups_of_a_tree"), [(1, 1), (2, 1), (3, 1), (4, 2), (5, 8), (6, 16)])
def test_whole_subtrees_share_one_look_up(depth: int, groups_of_a_tree: int) -> None:
    rng = np.random.default_rng(22)
    X = rng.normal(size=(4000, 12)).astype(np.float32)
    booster = train(X, depth=depth, rounds=1, min_child_weight=0.0, reg_lambda=0.0)
    groups, leaves = group_leaves(read_ensemble(booster), owners=np.arange(12))
    assert len(groups.split_start) - 1 <= groups_of_a_tree
    assert np.diff(groups.split_start).max() <= 8
    assert leaves.value.size == sum(len(tree) for tree in read_ensemble(booster).trees)

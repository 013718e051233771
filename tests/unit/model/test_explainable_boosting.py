"""Shape functions: one entry of each table, a separate bin for missing, and files that restore them.

The explainable boosting machine: tables equal the library's predictions, and no row is held out.
"""

from __future__ import annotations

import json
import sys
import warnings
from typing import TYPE_CHECKING

import numpy as np
import pytest

from mgrisk.errors import MgRiskError
from mgrisk.model.explainable_boosting import FILE, ExplainableBoostingLearner, FittedShapes, Shape

if TYPE_CHECKING:
    from tests.conftest import ToyPeople

AGE = Shape((0,), (np.array([40.0, 60.0]),), np.array([9.0, 0.0, 1.0, 2.0]))
BOTH = Shape((0, 1), (np.array([50.0]), np.array([0.5])), np.arange(9.0).reshape(3, 3) * 100)
FITTED = FittedShapes(-1.0, (AGE, BOTH))


@pytest.mark.parametrize(
    ("person", "margin"),
    [
        ((39.9, 0.0), -1 + 0 + 400),
        ((40.0, 0.0), -1 + 1 + 400),  # a value at a cut lies above it
        ((60.0, 1.0), -1 + 2 + 800),
        ((np.nan, 1.0), -1 + 9 + 200),
        ((50.0, np.nan), -1 + 1 + 600),
        ((np.nan, np.nan), -1 + 9 + 0),
        ((1e30, -1e30), -1 + 2 + 700),
    ],
)
def test_the_margin_is_the_intercept_and_one_entry_of_each_table(person: tuple[float, float], margin: float) -> None:
    assert FITTED.margin(np.array([person], dtype=np.float32)).tolist() == [margin]


def test_files_give_the_same_margins_back() -> None:
    X = np.random.default_rng(1).normal(50, 20, (50, 2)).astype(np.float32)
    X[::7] = np.nan
    back = FittedShapes.from_files(FITTED.to_files(), n_columns=2)
    np.testing.assert_array_equal(back.margin(X), FITTED.margin(X))


def damaged(**change: object) -> bytes:
    content = json.loads(FITTED.to_files()[FILE])
    content["shapes"][0] |= change
    return json.dumps(content).encode()


@pytest.mark.parametrize(
    "content",
    [b"", b"[]", b"{}", damaged(columns=[2]), damaged(columns=[-1]), damaged(columns=[0, 1]), damaged(columns=[]),
     damaged(cuts=[[60.0, 40.0]]), damaged(cuts=[[40.0]]), damaged(scores=[9.0, 0.0, 1.0, float("nan")]),
     damaged(scores=[[9.0], [0.0], [1.0], [2.0]]), damaged(scores="x")],
)  # fmt: skip
def test_damaged_shapes_are_refused(content: bytes) -> None:
    with pytest.raises(MgRiskError) as caught:
        FittedShapes.from_files({FILE: content}, n_columns=2)
    assert caught.value.code == "bundle.bad_model"


PARAMS = {"rounds": 20, "interactions": 2}


@pytest.fixture
def machine(toy_people: ToyPeople) -> ExplainableBoostingLearner:
    return ExplainableBoostingLearner(
        columns=toy_people.encoder.columns, rounds=(5, 20), interactions=(0, 2), learning_rate=0.1, bins=32, seed=1
    )


def test_margins_are_the_librarys_own_log_odds(machine: ExplainableBoostingLearner, toy_people: ToyPeople) -> None:
    from interpret.glassbox import ExplainableBoostingClassifier

    X, y, weight = toy_people.matrix, toy_people.case, toy_people.weight
    theirs = ExplainableBoostingClassifier(
        feature_names=[column.name for column in machine.columns],
        feature_types=["continuous"] * len(machine.columns),
        interactions=2, max_rounds=20, learning_rate=0.1, max_bins=32, validation_size=0, outer_bags=1,
        early_stopping_rounds=0, n_jobs=1, random_state=1,
    )  # fmt: skip
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        theirs.fit(X.astype(float), y, sample_weight=weight / weight.mean())
    fitted = machine.fit(X, y, weight, PARAMS)
    assert {len(shape.columns) for shape in fitted.shapes} == {1, 2}
    np.testing.assert_allclose(fitted.margin(X), theirs.decision_function(X.astype(float)), atol=1e-12)


def test_a_continuous_target_is_predicted_in_its_own_unit(
    machine: ExplainableBoostingLearner, toy_people: ToyPeople
) -> None:
    X, weight = toy_people.matrix, toy_people.weight
    value = X[:, 0].astype(float) / 10
    linear = ExplainableBoostingLearner(
        columns=machine.columns, rounds=(50,), interactions=(0,), learning_rate=0.3, bins=64, seed=1, kind="continuous"
    )
    predicted = linear.fit(X, value, weight, {"rounds": 50, "interactions": 0}).margin(X)
    assert np.average((predicted - value) ** 2, weights=weight) < 0.05 * np.var(value)


def test_every_combination_is_a_candidate_and_the_same_seed_gives_the_same(
    machine: ExplainableBoostingLearner, toy_people: ToyPeople
) -> None:
    X, y, weight = toy_people.matrix, toy_people.case, toy_people.weight
    path = dict(enumerate(machine.fit_path(X, y, weight)))
    assert [params for params, _ in path.values()] == list(machine.candidates())
    assert len(path) == 4
    np.testing.assert_array_equal(path[3][1].margin(X), machine.fit(X, y, weight, PARAMS).margin(X))


def test_without_the_library_the_error_says_what_to_install(
    machine: ExplainableBoostingLearner, toy_people: ToyPeople, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "interpret.glassbox", None)
    with pytest.raises(MgRiskError) as caught:
        machine.fit(toy_people.matrix, toy_people.case, toy_people.weight, PARAMS)
    assert caught.value.code == "train.no_interpret"
    assert "mgrisk[ebm]" in caught.value.hint

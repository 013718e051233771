"""A model.ubj that differs from what xgboost writes is refused before xgboost reads it."""

from __future__ import annotations

import json
import struct
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import xgboost

from mgrisk.model.trees import document as tree_document
from mgrisk.model.trees.learners import OBJECTIVES

Change = Callable[[dict[str, Any]], object]


@pytest.fixture(scope="module")
def booster() -> xgboost.Booster:
    rng = np.random.default_rng(1)
    X = rng.normal(size=(200, 3)).astype(np.float32)
    y = (X.sum(axis=1) > 0).astype(np.float32)
    return xgboost.train({"objective": "binary:logistic", "max_depth": 2}, xgboost.DMatrix(X, label=y), 4)


@pytest.fixture(scope="module")
def document(booster: xgboost.Booster) -> bytes:
    return bytes(booster.save_raw("ubj"))


def check(content: bytes, n_columns: int = 3) -> None:
    tree_document.check(content, n_columns=n_columns, objectives=OBJECTIVES.values())


def encoded(value: Any, name: str = "") -> bytes:
    """Write UBJSON as xgboost does."""
    if isinstance(value, dict):
        keys = b"".join(_length(key.encode()) + key.encode() + encoded(item, key) for key, item in value.items())
        return b"{" + keys + b"}"
    if isinstance(value, str):
        return b"S" + _length(value.encode()) + value.encode()
    if isinstance(value, int):
        return b"i" + struct.pack(">b", value) if -128 <= value < 128 else b"l" + struct.pack(">i", value)
    kind = {"f": (b"d", ">f4"), "u": (b"U", ">u1")}.get(tree_document._OF_NODES.get(name, ""), (b"l", ">i4"))
    if name in tree_document._OF_NODES:
        sign, dtype = kind
        return b"[$" + sign + b"#" + _length(value) + np.array(value).astype(dtype).tobytes()
    return b"[#" + _length(value) + b"".join(encoded(item) for item in value)


def _length(content: Any) -> bytes:
    return b"L" + struct.pack(">q", len(content))


def test_what_xgboost_writes_is_taken(document: bytes, booster: xgboost.Booster) -> None:
    check(document)
    check(encoded(json.loads(bytes(booster.save_raw("json")))))


def test_every_beginning_is_refused(document: bytes) -> None:
    for size in range(len(document)):
        with pytest.raises(ValueError):  # noqa: PT011  # many things are wrong with them
            check(document[:size])
    with pytest.raises(ValueError, match="after its end"):
        check(document + b" ")


def first_tree(content: dict[str, Any]) -> dict[str, Any]:
    tree: dict[str, Any] = content["learner"]["gradient_booster"]["model"]["trees"][0]
    return tree


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda d: first_tree(d)["left_children"].__setitem__(0, 9_999), "not a tree"),
        (lambda d: first_tree(d)["left_children"].__setitem__(1, 0), "not a tree"),
        (lambda d: first_tree(d)["left_children"].__setitem__(0, -1), "one child"),
        (lambda d: first_tree(d)["parents"].__setitem__(1, 2), "parents"),
        (lambda d: first_tree(d)["split_indices"].__setitem__(0, 3), "one of the columns"),
        (lambda d: first_tree(d)["split_type"].__setitem__(0, 1), "one of the columns"),
        (lambda d: first_tree(d)["split_conditions"].__setitem__(0, float("nan")), "not finite"),
        (lambda d: first_tree(d)["base_weights"].pop(), "a number for each"),
        (lambda d: first_tree(d)["tree_param"].update(num_nodes="-7"), "not a whole number"),
        (lambda d: first_tree(d)["tree_param"].update(num_deleted="1"), "its number, columns or leaves"),
        (lambda d: first_tree(d).update(more=[]), "unexpected"),
        (lambda d: d["learner"]["gradient_booster"].update(name="dart"), "not a gradient-boosted"),
        (lambda d: d["learner"]["gradient_booster"]["model"]["trees"].pop(), "number of trees"),
        (lambda d: d["learner"]["gradient_booster"]["model"]["tree_info"].__setitem__(0, 1), "several classes"),
        (lambda d: d["learner"]["gradient_booster"]["model"]["iteration_indptr"].__setitem__(1, 3), "rounds"),
        (lambda d: d["learner"]["learner_model_param"].update(base_score="nan"), "not a finite number"),
        (lambda d: d["learner"]["learner_model_param"].update(base_score="1E0"), "not a probability"),
        (lambda d: d["learner"]["learner_model_param"].update(num_class="3"), "not predict one number"),
        (lambda d: d["learner"]["objective"].update(name="multi:softprob"), "objective"),
        (lambda d: d["learner"].update(feature_names=["a"]), "feature_names"),
        (lambda d: d["learner"].pop("objective"), "lacks"),
        (lambda d: d.update(version=[99999, 0, 0]), "version"),
    ],
)
def test_what_is_no_forest_of_these_columns_is_refused(booster: xgboost.Booster, change: Change, said: str) -> None:
    content = json.loads(bytes(booster.save_raw("json")))
    change(content)
    with pytest.raises(ValueError, match=said):
        check(encoded(content))


def test_other_columns_and_other_kinds_are_refused(document: bytes) -> None:
    with pytest.raises(ValueError, match="4 columns"):
        check(document, n_columns=4)
    for content in (b"", b"[]", b"i\x01", b"{L" + struct.pack(">q", 2**62), b"{L" + struct.pack(">q", -1)):
        with pytest.raises(ValueError):  # noqa: PT011
            check(content)


def test_nesting_and_lengths_are_bounded_before_anything_is_made_of_them() -> None:
    key = b"L" + struct.pack(">q", 1) + b"a"
    with pytest.raises(ValueError, match="too deep"):
        check(b"{" + key + b"[" * 100_000)
    with pytest.raises(ValueError, match="too long"):
        check(b"{" + key + b"[$d#L" + struct.pack(">q", 2**40))
    with pytest.raises(ValueError, match="longer than the file"):
        check(b"{" + key + b"[#L" + struct.pack(">q", 2**40))

"""Strict validation of model.ubj before xgboost reads it.

xgboost 3.2 reads a model in C++ without checks: one wrong byte can crash the process or make it read outside an array.
A bundle may come from anywhere, so its bytes are first decoded here completely and within limits, and must be valid
trees: indices within bounds, one parent for each node, finite numbers. tests/fuzz tests this against xgboost.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from mgrisk.config.checked import LARGEST
from mgrisk.types import Integers

DEEPEST: Final = 12  # nested containers; xgboost's own files have seven levels
MOST_NODES: Final = 1 << 22
# Markers of UBJSON 12 that xgboost writes, and the types of the big-endian numbers that follow.
_NUMBERS: Final = {"i": ">i1", "U": ">u1", "I": ">i2", "l": ">i4", "L": ">i8", "d": ">f4", "D": ">f8"}

_OF_NODES: Final = {
    "left_children": "iu",
    "right_children": "iu",
    "parents": "iu",
    "split_indices": "iu",
    "split_type": "iu",
    "default_left": "iu",
    "split_conditions": "f",
    "base_weights": "f",
    "loss_changes": "f",
    "sum_hessian": "f",
}
_CATEGORICAL: Final = ("categories", "categories_nodes", "categories_segments", "categories_sizes")
_NO_PARENT: Final = 2**31 - 1


def check(content: bytes, *, n_columns: int, objectives: Collection[str]) -> None:
    """Check that bytes are an ensemble of numerical trees that xgboost can read safely.

    Parameters
    ----------
    content
        The whole file.
    n_columns
        Number of columns that splits may refer to.
    objectives
        Allowed objectives, by xgboost's names.

    Raises
    ------
    ValueError
        Says what is wrong.
    """
    decoded = _Decoder(content).document()
    try:
        _check_learner(decoded, n_columns, objectives)
    except (AttributeError, KeyError, TypeError) as problem:
        raise ValueError(f"it lacks parts of an xgboost model: {problem!r}") from None


class _Decoder:
    """Decodes the part of UBJSON that xgboost writes: containers of a stated length, or closed by a bracket."""

    def __init__(self, content: bytes) -> None:
        self.content = content
        self.at = 0

    def document(self) -> Mapping[str, Any]:
        try:
            found = self._value(self._take(1), 0)
        except UnicodeDecodeError:
            raise ValueError("it is not UBJSON, or truncated") from None
        if self.at != len(self.content):
            raise ValueError("there are bytes after its end")
        if not isinstance(found, dict):
            raise ValueError("it is not an object")
        return found

    def _take(self, size: int) -> bytes:
        if size < 0 or self.at + size > len(self.content):
            raise ValueError("it is truncated")
        self.at += size
        return self.content[self.at - size : self.at]

    def _value(self, marker: bytes, depth: int) -> Any:
        if depth > DEEPEST:
            raise ValueError("it is nested too deeply")
        sign = marker.decode("ascii")
        if sign == "{":
            return self._object(depth)
        if sign == "[":
            return self._array(depth)
        if sign == "S":
            return self._take(self._length()).decode("utf-8")
        if sign in _NUMBERS:
            return self._numbers(sign, 1)[0].item()
        raise ValueError(f"it has the marker {sign!r}, which xgboost does not write")

    def _numbers(self, sign: str, count: int) -> NDArray[Any]:
        kind = np.dtype(_NUMBERS[sign])
        return np.frombuffer(self._take(kind.itemsize * count), dtype=kind)

    def _length(self) -> int:
        if self._take(1) != b"L":
            raise ValueError("a length does not have 64 bits")
        return int(self._numbers("L", 1)[0])

    def _object(self, depth: int) -> dict[str, Any]:
        found: dict[str, Any] = {}
        while self._peek() != b"}":
            key = self._take(self._length()).decode("utf-8")
            if key in found:
                raise ValueError(f"{key!r} occurs twice")
            found[key] = self._value(self._take(1), depth + 1)
        self._take(1)
        return found

    def _array(self, depth: int) -> list[Any] | NDArray[Any]:
        if self._peek() == b"$":
            self._take(1)
            sign = self._take(1).decode("ascii")
            if sign not in _NUMBERS or self._take(1) != b"#":
                raise ValueError("an array has no numeric type")
            count = self._length()
            if count > MOST_NODES:
                raise ValueError("an array is too long")
            return self._numbers(sign, count)
        if self._peek() == b"#":
            self._take(1)
            count = self._length()
            if count > len(self.content) - self.at:
                raise ValueError("an array is longer than the file")
            return [self._value(self._take(1), depth + 1) for _ in range(count)]
        found = []
        while self._peek() != b"]":
            found.append(self._value(self._take(1), depth + 1))
        self._take(1)
        return found

    def _peek(self) -> bytes:
        if self.at >= len(self.content):
            raise ValueError("it is truncated")
        return self.content[self.at : self.at + 1]


def _check_learner(document: Mapping[str, Any], n_columns: int, objectives: Collection[str]) -> None:
    _only(document, "learner", "version")
    version = [int(part) for part in document["version"]]
    if len(version) != 3 or not 3 <= version[0] <= 99 or not all(0 <= part <= 99 for part in version):
        raise ValueError(f"it was written by version {version} of xgboost")
    learner = document["learner"]
    _only(
        learner, "attributes", "feature_names", "feature_types", "gradient_booster", "learner_model_param", "objective"
    )
    for name, texts in (("feature_names", learner["feature_names"]), ("feature_types", learner["feature_types"])):
        if len(texts) not in {0, n_columns} or not all(isinstance(text, str) for text in texts):
            raise ValueError(f"{name} are not those of {n_columns} columns")
    if learner["attributes"] != {}:
        raise ValueError("it has attributes")
    _check_objective(learner["objective"], objectives)
    parameters = learner["learner_model_param"]
    _only(parameters, "base_score", "boost_from_average", "num_class", "num_feature", "num_target")
    if [_whole(parameters[name]) for name in ("num_class", "num_feature", "num_target")] != [0, n_columns, 1]:
        raise ValueError(f"it does not predict one number from {n_columns} columns")
    _whole(parameters["boost_from_average"])
    base = _number(parameters["base_score"].removeprefix("[").removesuffix("]"))
    if "logistic" in learner["objective"]["name"] and not 0 < base < 1:
        raise ValueError("its base score is not a probability")
    booster = learner["gradient_booster"]
    _only(booster, "model", "name")
    if booster["name"] != "gbtree":
        raise ValueError("it is not a gradient-boosted tree ensemble")
    _check_model(booster["model"], n_columns)


def _check_objective(objective: Mapping[str, Any], objectives: Collection[str]) -> None:
    name = objective["name"]
    if name not in objectives:
        raise ValueError(f"it has the objective {name!r}")
    _only(objective, "name", "reg_loss_param")
    _only(objective["reg_loss_param"], "scale_pos_weight")
    _number(objective["reg_loss_param"]["scale_pos_weight"])


def _check_model(model: Mapping[str, Any], n_columns: int) -> None:
    # xgboost 3.0 wrote no `cats`.
    _only(model, "gbtree_model_param", "iteration_indptr", "tree_info", "trees", optional=("cats",))
    if any(len(empty) for empty in model.get("cats", {}).values()):
        raise ValueError("it splits by categories")
    trees, rounds = model["trees"], model["iteration_indptr"]
    _only(model["gbtree_model_param"], "num_parallel_tree", "num_trees")
    if _whole(model["gbtree_model_param"]["num_trees"]) != len(trees) or len(model["tree_info"]) != len(trees):
        raise ValueError("it states another number of trees than it has")
    if np.any(_integers(model["tree_info"], "tree_info")):
        raise ValueError("its trees belong to several classes")
    ends = _integers(rounds, "iteration_indptr")
    if not len(ends) or ends[0] != 0 or ends[-1] != len(trees) or np.any(np.diff(ends) < 1):
        raise ValueError("its rounds do not match its trees")
    if not 1 <= _whole(model["gbtree_model_param"]["num_parallel_tree"]) <= max(len(trees), 1):
        raise ValueError("its rounds do not match its trees")
    for place, tree in enumerate(trees):
        try:
            _check_tree(tree, place, n_columns)
        except ValueError as problem:
            raise ValueError(f"tree {place}: {problem}") from None


def _check_tree(tree: Mapping[str, Any], place: int, n_columns: int) -> None:
    _only(tree, "id", "tree_param", *_OF_NODES, *_CATEGORICAL)
    parameters = tree["tree_param"]
    _only(parameters, "num_deleted", "num_feature", "num_nodes", "size_leaf_vector")
    stated = [_whole(parameters[name]) for name in ("num_deleted", "num_feature", "size_leaf_vector")]
    if tree["id"] != place or stated not in ([0, n_columns, 0], [0, n_columns, 1]):
        raise ValueError("its number, columns or leaves do not match the model")
    if any(len(tree[name]) for name in _CATEGORICAL):
        raise ValueError("it splits by categories")
    n = _whole(parameters["num_nodes"])
    found: dict[str, Integers] = {}
    for name, kinds in _OF_NODES.items():
        column = tree[name]
        if not isinstance(column, np.ndarray) or column.dtype.kind not in kinds or column.shape != (n,) or n == 0:
            raise ValueError(f"{name} does not have a number for each of {n} nodes")
        # The comparison also refuses NaN: sums in xgboost must stay finite.
        if not (np.abs(column) <= LARGEST).all():
            raise ValueError(f"{name} is not finite, or too large")
        if kinds == "iu":
            found[name] = column.astype(np.int64)
    _check_shape(found["left_children"], found["right_children"], found["parents"])
    inside = (found["split_indices"] >= 0) & (found["split_indices"] < n_columns)
    if not inside.all() or found["split_type"].any() or not np.isin(found["default_left"], (0, 1)).all():
        raise ValueError("a split does not use one of the columns")


def _check_shape(left: Integers, right: Integers, parents: Integers) -> None:
    """Check that children follow their parents and each node but the first has one parent, as in a tree."""
    nodes = np.arange(len(left))
    split = left != -1
    if np.any(split != (right != -1)):
        raise ValueError("a node has one child")
    children = np.concatenate([left[split], right[split]])
    above = np.concatenate([nodes[split], nodes[split]])
    if not np.array_equal(np.sort(children), nodes[1:]) or np.any(children <= above):
        raise ValueError("its nodes are not a tree")
    if parents[0] != _NO_PARENT or np.any(parents[children] != above):
        raise ValueError("its parents do not match its children")


def _only(found: Mapping[str, Any], *names: str, optional: tuple[str, ...] = ()) -> None:
    missing, more = set(names) - set(found), set(found) - set(names) - set(optional)
    if missing or more:
        raise ValueError(f"it lacks {sorted(missing)} and has unexpected {sorted(more)}")


def _integers(values: Any, name: str) -> Integers:
    # xgboost writes short arrays number by number, each with its own marker.
    found = np.array(values)
    if found.ndim != 1 or not (found.dtype.kind in "iu" or found.size == 0):
        raise ValueError(f"{name} are not whole numbers")
    return found.astype(np.int64)


def _whole(text: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) <= 10):
        raise ValueError(f"{text!r} is not a whole number")
    return int(text)


def _number(text: str) -> float:
    if len(text) > 40 or not all(sign in "+-.0123456789eE" for sign in text) or not abs(float(text)) <= LARGEST:
        raise ValueError(f"{text!r} is not a finite number, or too large")
    return float(text)

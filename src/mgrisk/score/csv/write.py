"""Write answers as CSV bytes, in compiled loops that release the GIL."""

from __future__ import annotations

from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from mgrisk.compiled import compiled_later, inner
from mgrisk.score.csv.decimals import COMMA, LF, VALUE_DIGITS, write_float
from mgrisk.score.csv.instructions import put_word, word
from mgrisk.score.csv.read import StringTable
from mgrisk.types import Booleans, Floats, Integers

SEMICOLON: Final = ord(";")
YES: Final = np.frombuffer(b"yes", dtype=np.uint8)
NO: Final = np.frombuffer(b"no", dtype=np.uint8)


class Reasons(NamedTuple):
    """The largest contributions of each row, for compiled code.

    Attributes
    ----------
    feature, effect
        Index of the feature, -1 for none, and its contribution (SHAP value, calibrated log-odds); shape (n, K).
    shown
        Value of each feature of the model, a level by its index; NaN where missing; shape (n_features, n).
    number
        Whether a feature is a number.
    names, levels, first_level
        Names of the features; names of all levels, those of feature ``j`` from ``first_level[j]`` on.
    """

    feature: Integers
    effect: Floats
    shown: Floats
    number: Booleans
    names: StringTable
    levels: StringTable
    first_level: Integers


@inner
def _copy(out: NDArray[np.uint8], at: int, content: NDArray[np.uint8], first: int, last: int) -> int:
    for i in range(last - first):
        out[at + i] = content[first + i]
    return at + last - first


@inner
def _copy_text(out: NDArray[np.uint8], at: int, content: NDArray[np.uint8], first: int, last: int) -> int:
    """Copy a text of a `StringTable`, eight bytes at a time: up to seven bytes behind it are overwritten."""
    for i in range(0, last - first, 8):
        put_word(out, at + i, word(content, first + i))
    return at + last - first


@compiled_later
def join_codes(
    code: Integers,
    state: NDArray[np.uint8],
    inputs: Integers,
    texts: StringTable,
    out: NDArray[np.uint8],
    end: Integers,
) -> None:
    """Write the codes of each row, joined by semicolons.

    Parameters
    ----------
    code, state, inputs
        Code of each input in each state, -1 for none, shape (n_inputs, n_states); state of each input (n_inputs, n);
        indices of the inputs to check.
    texts
        The codes.
    out, end
        Written: the bytes, and the end of each row, shape (n,).
    """
    at = 0
    content, start = texts.content, texts.start
    for r in range(state.shape[1]):
        begin = at
        for j in range(len(inputs)):
            k = code[inputs[j], state[inputs[j], r]]
            if k < 0:
                continue
            if at > begin:
                out[at] = SEMICOLON
                at += 1
            at = _copy(out, at, content, start[k], start[k + 1])
        end[r] = at


@compiled_later
def largest(values: Floats, feature: Integers, effect: Floats) -> None:
    """Find the largest contributions of each row, by absolute size; ties keep the order of features.

    A contribution of zero, for example of an absent input, is not a reason.

    Parameters
    ----------
    values
        Contributions, shape (n_features, n).
    feature, effect
        Written: index of the feature, -1 for none, and its contribution; shape (n, K).
    """
    p, n = values.shape
    most = feature.shape[1]
    sizes, places = np.empty(most), np.empty(most, dtype=np.int64)
    for r in range(n if most else 0):
        sizes[:], places[:] = 0.0, -1
        for j in range(p):
            size = abs(values[j, r])
            if not size > sizes[most - 1]:
                continue
            k = most - 1
            while k > 0 and size > sizes[k - 1]:
                sizes[k], places[k] = sizes[k - 1], places[k - 1]
                k -= 1
            sizes[k], places[k] = size, j
        for k in range(most):
            feature[r, k] = places[k]
            effect[r, k] = values[places[k], r] if places[k] >= 0 else np.nan


@inner
def _value(
    out: NDArray[np.uint8],
    at: int,
    x: float,
    number: bool,
    first_level: int,
    content: NDArray[np.uint8],
    start: Integers,
) -> int:
    """Write the value of a feature: a rounded number, or the name of a level."""
    if np.isnan(x):
        return at
    if number:
        return write_float(out, at, x, VALUE_DIGITS)
    level = first_level + np.int64(x)
    return _copy_text(out, at, content, start[level], start[level + 1])


@compiled_later
def write_reason_values(reasons: Reasons, k: int, out: NDArray[np.uint8], end: Integers) -> None:
    """Write the feature value of the k-th reason of each row."""
    feature, shown, number, first_level = reasons.feature, reasons.shown, reasons.number, reasons.first_level
    content, level_start = reasons.levels.content, reasons.levels.start
    at = 0
    for r in range(len(end)):
        j = feature[r, k]
        if j >= 0:
            at = _value(out, at, shown[j, r], number[j], first_level[j], content, level_start)
        end[r] = at


@compiled_later
def write_rows(
    data: NDArray[np.uint8],
    start: Integers,
    end: Integers,
    status: NDArray[np.uint8],
    statuses: StringTable,
    codes: NDArray[np.uint8],
    codes_end: Integers,
    numbers: Floats,
    used: Integers,
    inside: Booleans,
    label: NDArray[np.uint8],
    reasons: Reasons,
    asked: Integers,
    more: Floats,
    said: Integers,
    sayings: StringTable,
    digits: int,
    out: NDArray[np.uint8],
) -> int:
    """Write the rows of the scored file; return the number of bytes.

    Parameters
    ----------
    data, start, end
        The input rows, which are copied unchanged.
    status, statuses
        Index of the status of each row; only rows with the first one have an answer.
    codes, codes_end
        As in `join_codes`.
    numbers
        Risk and its intervals, shape (n_columns, n).
    used, inside, label
        Number of known features of the model; whether the row is in distribution; text of the column `model`.
    reasons
        The reasons; shape (n, 0) for none.
    asked
        Feature to ask for next, -1 for none, shape (n,); shape (0,) if not requested.
    more, said, sayings
        Further numbers, shape (n_columns, n); then the index of a note, shape (n,), or shape (0,) for none.
    digits
        Significant digits of numbers, as in `write_float`.
    out
        Written.
    """
    # Unpacked once and not per cell, because numba counts references when an array is taken from a tuple.
    feature, effect, shown, number = reasons.feature, reasons.effect, reasons.shown, reasons.number
    first_level, content, level_start = reasons.first_level, reasons.levels.content, reasons.levels.start
    names, name_start = reasons.names.content, reasons.names.start
    saying, saying_start = sayings.content, sayings.start
    words, word_start = statuses.content, statuses.start
    at = 0
    for r in range(len(start)):
        # Copied as a slice; short texts are faster byte by byte.
        out[at : at + end[r] - start[r]] = data[start[r] : end[r]]
        at += end[r] - start[r]
        out[at] = COMMA
        at = _copy_text(out, at + 1, words, word_start[status[r]], word_start[status[r] + 1])
        scored = status[r] == 0
        out[at] = COMMA
        at = _copy(out, at + 1, codes, codes_end[r - 1] if r else 0, codes_end[r])
        for k in range(numbers.shape[0]):
            out[at] = COMMA
            at += 1
            if scored:
                at = write_float(out, at, numbers[k, r], digits)
        out[at] = COMMA
        at += 1
        if scored:
            at = write_float(out, at, np.float64(used[r]), VALUE_DIGITS)
        out[at] = COMMA
        at += 1
        if scored:
            at = _copy(out, at, YES, 0, 3) if inside[r] else _copy(out, at, NO, 0, 2)
        out[at] = COMMA
        at = _copy(out, at + 1, label, 0, len(label))
        for k in range(feature.shape[1]):
            j = feature[r, k] if scored else -1
            out[at] = COMMA
            at += 1
            if j >= 0:
                at = _copy_text(out, at, names, name_start[j], name_start[j + 1])
            out[at] = COMMA
            at += 1
            if j >= 0:
                at = _value(out, at, shown[j, r], number[j], first_level[j], content, level_start)
            out[at] = COMMA
            at += 1
            if j >= 0:
                at = write_float(out, at, effect[r, k], digits)
        if len(asked):
            out[at] = COMMA
            at += 1
            if asked[r] >= 0 and scored:
                at = _copy_text(out, at, names, name_start[asked[r]], name_start[asked[r] + 1])
        for k in range(more.shape[0]):
            out[at] = COMMA
            at = write_float(out, at + 1, more[k, r], digits)
        if len(said):
            out[at] = COMMA
            at = _copy_text(out, at + 1, saying, saying_start[said[r]], saying_start[said[r] + 1])
        out[at] = LF
        at += 1
    return at

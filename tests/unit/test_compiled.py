"""Loops run in Python until compilation pays, with the results of compiled code."""

from __future__ import annotations

import warnings
from typing import NamedTuple

import numpy as np
import pytest
from numpy.typing import NDArray

from mgrisk import compiled
from mgrisk.compiled import compiled_later, compiling_pays
from mgrisk.types import Floats, Integers


@pytest.fixture
def later(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """As in a process that has not begun, in which compiling pays from the 1,001st byte on."""
    monkeypatch.setattr(compiled, "_given", 0)
    monkeypatch.setattr(compiled, "FEW_BYTES", 1000)
    return monkeypatch


class Table(NamedTuple):
    values: Floats


def total(values: Floats, out: Floats) -> None:
    for k in range(len(values)):
        out[0] += values[k]


def squares(data: NDArray[np.uint8], words: NDArray[np.uint64], out: NDArray[np.uint64]) -> None:
    for k in range(len(data)):
        out[k] = np.uint64(data[k] * 100) + np.uint64(words[k]) * np.uint64(words[k])


def kinds(vector: Integers, matrix: Integers, out: NDArray[np.bool_]) -> None:
    out[0] = isinstance(vector[0], int)
    out[1] = isinstance(matrix[0, 0], int)


def test_a_loop_is_python_until_all_loops_together_were_given_enough(later: pytest.MonkeyPatch) -> None:
    first, second = compiled_later(total), compiled_later(total)
    out = np.zeros(1)
    first(np.ones(61), out)  # 496 bytes with those of the sum
    second(np.ones(62), out)  # 1,000
    assert out[0] == 123
    assert first.machine_code is second.machine_code is None  # type: ignore[attr-defined]
    first(np.ones(1), out)
    assert out[0] == 124
    assert first.machine_code is not None  # type: ignore[attr-defined]
    second(np.ones(1), out)
    assert out[0] == 125
    assert second.machine_code is not None  # type: ignore[attr-defined]


def test_what_a_loop_looks_up_in_tables_is_no_work(later: pytest.MonkeyPatch) -> None:
    @compiled_later
    def of_table(table: Table, out: Floats) -> None:
        out[0] = table.values[3]

    out = np.zeros(1)
    for _ in range(20):
        of_table(Table(np.arange(1000.0)), out)
    assert out[0] == 3
    assert of_table.machine_code is None  # type: ignore[attr-defined]


def test_work_that_is_done_otherwise_counts_too(later: pytest.MonkeyPatch) -> None:
    assert [compiling_pays(500), compiling_pays(500), compiling_pays(1)] == [False, False, True]


def test_whole_numbers_wrap_around_as_in_machine_code_without_a_warning(later: pytest.MonkeyPatch) -> None:
    data = np.array([255, 3], dtype=np.uint8)
    words = np.array([2**63 + 5, 7], dtype=np.uint64)
    found = []
    for few in (2**62, -1):
        later.setattr(compiled, "FEW_BYTES", few)
        out = np.zeros(2, dtype=np.uint64)
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            compiled_later(squares)(data, words, out)
        found.append(out.tolist())
    assert found[0] == found[1] == [25500 + 25, 300 + 49]


def test_vectors_have_plain_numbers_and_matrices_those_of_numpy(later: pytest.MonkeyPatch) -> None:
    out = np.zeros(2, dtype=np.bool_)
    compiled_later(kinds)(np.ones(1, dtype=np.int64), np.ones((1, 1), dtype=np.int64), out)
    assert out.tolist() == [True, False]

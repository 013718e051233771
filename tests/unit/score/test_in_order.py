"""Results in the order of the work, few at a time, errors where they belong."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Iterator

import pytest

from mgrisk.score.in_order import AHEAD, in_order


@pytest.mark.parametrize("workers", [1, 2, 5])
def test_results_come_in_order_whoever_is_first(workers: int) -> None:
    def slow(number: int) -> int:
        time.sleep(random.random() / 500)
        return number

    assert list(in_order(range(40), slow, workers=workers)) == list(range(40))


def test_items_are_taken_only_as_they_are_needed() -> None:
    taken = []

    def items() -> Iterator[int]:
        for number in range(100):
            taken.append(number)
            yield number

    results = in_order(items(), lambda number: number, workers=2)
    for expected in range(5):
        assert next(results) == expected
        assert len(taken) <= expected + 1 + 2 + AHEAD


def test_an_error_is_raised_where_its_result_would_have_stood() -> None:
    results = in_order([1, 0, 2], lambda number: 1 / number, workers=2)
    assert next(results) == 1
    with pytest.raises(ZeroDivisionError):
        next(results)


def test_whoever_stops_early_leaves_no_thread_behind() -> None:
    before = threading.active_count()
    results = in_order(range(100), lambda number: number, workers=3)
    next(results)
    results.close()  # type: ignore[attr-defined]
    assert threading.active_count() == before

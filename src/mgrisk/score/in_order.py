"""Work on several threads whose results come out in the order in which the work went in."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Final, TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")
AHEAD: Final = 1
"""Items that wait for a free thread, so that none waits for the reader; each more costs memory and wins nothing."""


def in_order(items: Iterable[Item], work: Callable[[Item], Result], *, workers: int) -> Iterator[Result]:
    """Yield the result of each item, in order, while the next ones are being worked on.

    No more than ``workers + AHEAD`` items are taken before the first result is asked for, so that memory does not grow
    with their number. An error of the work is raised where its result would have stood.

    Examples
    --------
    >>> list(in_order(range(5), lambda number: number**2, workers=2))
    [0, 1, 4, 9, 16]
    """
    waiting: deque[Future[Result]] = deque()
    with ThreadPoolExecutor(max_workers=workers, thread_name_prefix="mgrisk") as pool:
        try:
            for item in items:
                waiting.append(pool.submit(work, item))
                del item
                if len(waiting) > workers + AHEAD - 1:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        finally:
            for each in waiting:
                each.cancel()

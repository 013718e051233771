"""Loops that numba compiles (`machine_code`), and those that run as Python until compiling pays.

Compiling takes some ten seconds where nothing is kept on disk, importing numba a third of one. So the loops that read
and write run as the Python that they are while a process has few people: the same lines and the same bytes.
`compiled` is for loops that Python is too slow for even then.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from functools import update_wrapper
from typing import Any, Final, TypeVar, cast

import numpy as np

_F = TypeVar("_F", bound=Callable[..., object])
FEW_BYTES: Final = 4 * 2**20
"""Bytes of arrays, of all loops in a process, until compiling pays: 1,500 people with 30 inputs, or 1.5 seconds."""
_given = 0
_ahead: Final[list[Callable[[], object]]] = []
_lock: Final = threading.Lock()


def compiled(function: _F) -> _F:
    """Compile a loop that Python calls when it is first called, keeping its types.

    The machine code is kept on disk. Such a loop must be called with one kind of arguments only: of two processes that
    compile it for two kinds at the same time, one would find the other's code under the name of its own
    (tests/unit/test_machine_code.py holds this). A constant that it takes from another module must come from one that
    compiles something, too.
    """
    return cast(_F, _Loop(function))


def compiled_later(function: _F) -> _F:
    """Compile as `compiled`, but run the loop as Python until all such loops have been given `FEW_BYTES`.

    As Python, a vector comes as a memoryview, whose items are plain numbers; where a matrix or a local array gives
    numpy's own, they wrap around as the machine's do. What wraps around must be numpy's.
    """
    return cast(_F, _LaterLoop(function))


def compiling_pays(size: int) -> bool:
    """Return whether there is so much to do that it is not to be done as Python, and count that it is done.

    Parameters
    ----------
    size
        Bytes of arrays.
    """
    global _given
    _given += size
    return _given > FEW_BYTES


def inner(function: _F) -> _F:
    """Let compiled code call a function, with arguments of any kind: it is kept on disk with its callers."""
    before_compiling(lambda: _numba().register_jitable(function))
    return function


def copied(function: _F) -> _F:
    """Do as `inner`, copying into its callers: for a loop over arrays that is called too often for a call."""
    before_compiling(lambda: _numba().register_jitable(inline="always")(function))
    return function


def before_compiling(work: Callable[[], object]) -> None:
    """Have something done once before anything more is compiled: what needs numba, which is imported then."""
    _ahead.append(work)


def _numba() -> Any:
    import numba.extending

    return numba.extending


class _Loop:
    """A loop that is compiled when it is first called.

    Attributes
    ----------
    machine_code
        What numba made of it, None until then.
    """

    def __init__(self, function: Callable[..., object]) -> None:
        self.machine_code: Any = None
        self._function = function
        update_wrapper(self, function)

    def __call__(self, *arguments: Any) -> Any:
        return (self.machine_code or self._compile())(*arguments)

    def _compile(self) -> Any:
        from mgrisk.machine_code import loop  # numba: a third of a second, which few people do without

        with _lock:
            while _ahead:
                _ahead.pop(0)()
            self.machine_code = self.machine_code or loop(self._function)
        return self.machine_code


class _LaterLoop(_Loop):
    """A loop that runs as Python until compiling pays."""

    def __call__(self, *arguments: Any) -> Any:
        # The tables that a loop looks things up in come as named tuples, and are no work.
        if compiling_pays(sum(each.nbytes for each in arguments if isinstance(each, np.ndarray))):
            return super().__call__(*arguments)
        with np.errstate(all="ignore"):
            return self._function(*map(_plain, arguments))


def _plain(argument: Any) -> Any:
    """Return vectors as memoryviews: three times as fast, and without numpy's integers of eight bits."""
    is_table, is_vector = isinstance(argument, tuple), isinstance(argument, np.ndarray) and argument.ndim == 1
    if is_table:
        return argument._make(map(_plain, argument))
    return memoryview(argument) if is_vector else argument

"""Decorators for loops that numba compiles, at the first call or once enough data has been processed.

Importing numba takes a third of a second, and compiling about ten seconds where nothing is cached on disk. So the loops
that read and write files run as plain Python while a process handles few people; the output is the same byte for byte.
`compiled` is for loops that are too slow in Python even then.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from functools import update_wrapper
from typing import Any, Final, TypeVar, cast

import numpy as np

_F = TypeVar("_F", bound=Callable[..., object])
FEW_BYTES: Final = 4 * 2**20
"""Bytes of arrays, summed over a process, above which compiling pays: 1,500 people with 30 inputs, or 1.5 seconds."""
_given = 0
_ahead: Final[list[Callable[[], object]]] = []
_lock: Final = threading.Lock()


def compiled(function: _F) -> _F:
    """Compile a loop at its first call from Python, keeping its type signature.

    The machine code is cached on disk. Such a loop must always be called with the same argument types: if two processes
    compiled it for different types at the same time, one could load the other's code (tests/unit/test_machine_code.py).
    A constant that it imports must come from a module that compiles something, too, so that it is part of the digest.
    """
    return cast(_F, _Loop(function))


def compiled_later(function: _F) -> _F:
    """Compile like `compiled`, but run the loop as Python until all such loops have received `FEW_BYTES`.

    In Python, a vector is passed as a memoryview, whose items are Python numbers. Matrices and local arrays give numpy
    numbers, which overflow as machine code does. A number that has to wrap around must be a numpy number.
    """
    return cast(_F, _LaterLoop(function))


def compiling_pays(size: int) -> bool:
    """Add to the bytes processed so far, and return whether they exceed `FEW_BYTES`.

    Parameters
    ----------
    size
        Bytes of arrays.
    """
    global _given
    _given += size
    return _given > FEW_BYTES


def inner(function: _F) -> _F:
    """Let compiled code call a function, with arguments of any type; it is cached on disk with its callers."""
    before_compiling(lambda: _numba().register_jitable(function))
    return function


def copied(function: _F) -> _F:
    """Do as `inner`, but inline the function into its callers, for loops that are called very often."""
    before_compiling(lambda: _numba().register_jitable(inline="always")(function))
    return function


def before_compiling(work: Callable[[], object]) -> None:
    """Register work that imports numba; it is done once, before the next loop is compiled."""
    _ahead.append(work)


def _numba() -> Any:
    import numba.extending

    return numba.extending


class _Loop:
    """A loop that is compiled when it is first called.

    Attributes
    ----------
    machine_code
        The compiled function; None until it is compiled.
    """

    def __init__(self, function: Callable[..., object]) -> None:
        self.machine_code: Any = None
        self._function = function
        update_wrapper(self, function)

    def __call__(self, *arguments: Any) -> Any:
        return (self.machine_code or self._compile())(*arguments)

    def _compile(self) -> Any:
        from mgrisk.machine_code import loop  # imports numba: a third of a second, not needed for few people

        with _lock:
            while _ahead:
                _ahead.pop(0)()
            self.machine_code = self.machine_code or loop(self._function)
        return self.machine_code


class _LaterLoop(_Loop):
    """A loop that runs as Python until compiling pays."""

    def __call__(self, *arguments: Any) -> Any:
        # Lookup tables are passed as named tuples, and do not count as work.
        if compiling_pays(sum(each.nbytes for each in arguments if isinstance(each, np.ndarray))):
            return super().__call__(*arguments)
        with np.errstate(all="ignore"):
            return self._function(*map(_plain, arguments))


def _plain(argument: Any) -> Any:
    """Return vectors as memoryviews: three times as fast, and their items are not numpy's 8-bit integers."""
    is_table, is_vector = isinstance(argument, tuple), isinstance(argument, np.ndarray) and argument.ndim == 1
    if is_table:
        return argument._make(map(_plain, argument))
    return memoryview(argument) if is_vector else argument

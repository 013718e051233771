"""Loops compiled by numba, outside the GIL: the one place that meets its untyped decorator."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar, cast

import numba

_F = TypeVar("_F", bound=Callable[..., object])


def compiled(function: _F) -> _F:
    """Compile a loop that Python calls, keeping its types.

    The machine code is kept on disk. Such a loop must be called with one kind of arguments only: of two processes that
    compile it for two kinds at the same time, one would find the other's code under the name of its own
    (tests/unit/test_compiled.py holds this). What it calls should stand in the same file: numba's cache does not see a
    change elsewhere.
    """
    return cast(_F, numba.njit(cache=True, nogil=True)(function))


def inner(function: _F) -> _F:
    """Compile what only compiled code calls, with arguments of any kind: it is kept on disk with its callers."""
    return cast(_F, numba.njit(nogil=True)(function))


def copied(function: _F) -> _F:
    """Compile as `inner`, copied into its callers: for a loop over arrays that is called too often for a call."""
    return cast(_F, numba.njit(nogil=True, inline="always")(function))

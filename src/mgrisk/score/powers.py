"""Powers of ten in 128 bits, and the few machine instructions that reading and writing numbers need.

Kept apart from the kernels that use them: numba's cache does not see a change here in what was compiled there, and
nothing here will change.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final, cast

import numba
import numpy as np
from llvmlite import ir
from numba.extending import intrinsic
from numpy.typing import NDArray

# Powers of ten as 128 bits with the first one set, cut off below: POWERS[e - FIRST_POWER] is 10^e times a power of two.
FIRST_POWER: Final = -342
LAST_POWER: Final = 324


def _powers() -> NDArray[np.uint64]:
    rows = []
    for e in range(FIRST_POWER, LAST_POWER + 1):
        shift = 127 - ((e * 1741647) >> 19)
        cut = (10 ** max(e, 0) << max(shift, 0)) // (10 ** max(-e, 0) << max(-shift, 0))
        rows.append([cut >> 64, cut & (2**64 - 1)])
    return np.array(rows, dtype=np.uint64)


POWERS = _powers()


def _high_product(typing: Any, a: Any, b: Any) -> Any:
    """Return the upper 64 bits of the product of two uint64."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        wide = ir.IntType(128)
        product = builder.mul(builder.zext(arguments[0], wide), builder.zext(arguments[1], wide))
        return builder.trunc(builder.lshr(product, wide(64)), ir.IntType(64))

    return numba.uint64(numba.uint64, numba.uint64), generate


def _leading_zeros(typing: Any, a: Any) -> Any:
    """Return the leading zero bits of a uint64 that is not zero."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return builder.ctlz(arguments[0], ir.IntType(1)(1))

    return numba.int64(numba.uint64), generate


def _trailing_zeros(typing: Any, a: Any) -> Any:
    """Return the trailing zero bits of a uint64 that is not zero."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return builder.cttz(arguments[0], ir.IntType(1)(1))

    return numba.uint64(numba.uint64), generate


def _word(typing: Any, data: Any, at: Any) -> Any:
    """Return eight bytes of a contiguous array of uint8 from `at` on, the first one lowest; all must be there."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        content = context.make_array(signature.args[0])(context, builder, value=arguments[0]).data
        place = builder.bitcast(builder.gep(content, [arguments[1]]), ir.IntType(64).as_pointer())
        return builder.load(place, align=1)

    return numba.uint64(data, numba.int64), generate


def _put_word(typing: Any, out: Any, at: Any, value: Any) -> Any:
    """Write eight bytes into a contiguous array of uint8 from `at` on, the lowest one first; there must be room."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        content = context.make_array(signature.args[0])(context, builder, value=arguments[0]).data
        place = builder.bitcast(builder.gep(content, [arguments[1]]), ir.IntType(64).as_pointer())
        builder.store(arguments[2], place, align=1)
        return context.get_dummy_value()

    return numba.void(out, numba.int64, numba.uint64), generate


def _bits(typing: Any, x: Any) -> Any:
    """Return the bits of a double."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return builder.bitcast(arguments[0], ir.IntType(64))

    return numba.uint64(numba.float64), generate


# Told of their types: numba's own say what an intrinsic is made of, not how it is called.
high_product = cast(Callable[[np.uint64, np.uint64], np.uint64], intrinsic(_high_product))
leading_zeros = cast(Callable[[np.uint64], int], intrinsic(_leading_zeros))
trailing_zeros = cast(Callable[[np.uint64], np.uint64], intrinsic(_trailing_zeros))
word = cast(Callable[[NDArray[np.uint8], int], np.uint64], intrinsic(_word))
put_word = cast(Callable[[NDArray[np.uint8], int, np.uint64], None], intrinsic(_put_word))
bits = cast(Callable[[float], np.uint64], intrinsic(_bits))

"""Six machine instructions that numba does not expose, in Python and as LLVM for compiled code."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from mgrisk.compiled import before_compiling


def high_product(a: np.uint64, b: np.uint64) -> np.uint64:
    """Return the upper 64 bits of the product of two uint64."""
    return np.uint64((int(a) * int(b)) >> 64)


def leading_zeros(a: np.uint64) -> int:
    """Return the number of leading zero bits of a nonzero uint64."""
    return 64 - int(a).bit_length()


def trailing_zeros(a: np.uint64) -> np.uint64:
    """Return the number of trailing zero bits of a nonzero uint64."""
    return np.uint64((int(a) & -int(a)).bit_length() - 1)


def word(data: NDArray[np.uint8], at: int) -> np.uint64:
    """Load eight bytes of a contiguous uint8 array from `at` on, the first one lowest; all must exist."""
    return np.uint64(int.from_bytes(data[at : at + 8], "little"))


def put_word(out: NDArray[np.uint8], at: int, value: np.uint64) -> None:
    """Store eight bytes in a contiguous uint8 array from `at` on, the lowest one first; there must be room."""
    out[at : at + 8] = memoryview(int(value).to_bytes(8, "little"))


def bits(x: float) -> np.uint64:
    """Return the bits of a double."""
    return np.float64(x).view(np.uint64)


@before_compiling
def _in_llvm() -> None:
    """Register the LLVM implementations with numba."""
    from llvmlite import ir
    from numba import float64, int64, types, uint64, void
    from numba.extending import lower_builtin, type_callable

    whole, wide = ir.IntType(64), ir.IntType(128)

    def place(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        content = context.make_array(signature.args[0])(context, builder, value=arguments[0]).data
        return builder.bitcast(builder.gep(content, [arguments[1]]), whole.as_pointer())

    def product(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        both = builder.mul(*(builder.zext(each, wide) for each in arguments))
        return builder.trunc(builder.lshr(both, wide(64)), whole)

    def leading(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return builder.ctlz(arguments[0], ir.IntType(1)(1))

    def trailing(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return builder.cttz(arguments[0], ir.IntType(1)(1))

    def load(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return builder.load(place(context, builder, signature, arguments), align=1)

    def store(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        builder.store(arguments[2], place(context, builder, signature, arguments), align=1)
        return context.get_dummy_value()

    def same(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return builder.bitcast(arguments[0], whole)

    for function, kinds, generate in (
        (high_product, lambda a, b: uint64(uint64, uint64), product),
        (leading_zeros, lambda a: int64(uint64), leading),
        (trailing_zeros, lambda a: uint64(uint64), trailing),
        (word, lambda data, at: uint64(data, int64), load),
        (put_word, lambda out, at, value: void(out, int64, uint64), store),
        (bits, lambda x: uint64(float64), same),
    ):
        type_callable(function)(lambda context, kinds=kinds: kinds)
        lower_builtin(function, types.VarArg(types.Any))(generate)

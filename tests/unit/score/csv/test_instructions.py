"""Each instruction gives the same result in Python and compiled, for any 64 bits."""

from __future__ import annotations

import struct

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from numpy.typing import NDArray

from mgrisk.compiled import compiled_later
from mgrisk.score.csv.instructions import bits, high_product, leading_zeros, put_word, trailing_zeros, word

pytestmark = pytest.mark.usefixtures("both_ways")
WORDS = st.integers(0, 2**64 - 1)


@compiled_later
def answers(a: NDArray[np.uint64], b: NDArray[np.uint64], out: NDArray[np.uint64]) -> None:
    for k in range(len(a)):
        out[0, k] = high_product(np.uint64(a[k]), np.uint64(b[k]))
        if a[k]:
            out[1, k] = leading_zeros(np.uint64(a[k]))
            out[2, k] = trailing_zeros(np.uint64(a[k]))


@compiled_later
def doubled(data: NDArray[np.uint8], at: int, out: NDArray[np.uint8]) -> None:
    put_word(out, at, word(data, at) * np.uint64(2))


@compiled_later
def patterns(values: NDArray[np.float64], out: NDArray[np.uint64]) -> None:
    for k in range(len(values)):
        out[k] = bits(values[k])


@given(WORDS, WORDS)
@example(1, 2**64 - 1)
@example(2**63, 2**63)
def test_products_and_zeros_are_those_of_whole_numbers(a: int, b: int) -> None:
    out = np.zeros((3, 1), dtype=np.uint64)
    answers(np.array([a], dtype=np.uint64), np.array([b], dtype=np.uint64), out)
    text = f"{a:064b}"
    zeros = [len(text) - len(text.lstrip("0")), len(text) - len(text.rstrip("0"))] if a else [0, 0]
    assert out[:, 0].tolist() == [a * b >> 64, *zeros]


@given(st.binary(min_size=8, max_size=24), st.data())
def test_eight_bytes_are_read_and_written_where_they_are(content: bytes, data: st.DataObject) -> None:
    at = data.draw(st.integers(0, len(content) - 8))
    out = np.zeros(len(content), dtype=np.uint8)
    doubled(np.frombuffer(content, dtype=np.uint8), at, out)
    expected = int.from_bytes(content[at : at + 8], "little") * 2 % 2**64
    assert out.tobytes() == bytes(at) + expected.to_bytes(8, "little") + bytes(len(content) - at - 8)


@given(st.floats())
@example(-0.0)
def test_the_bits_of_a_double_are_those_that_it_is_stored_as(value: float) -> None:
    out = np.zeros(1, dtype=np.uint64)
    patterns(np.array([value]), out)
    assert out.tobytes() == struct.pack("=d", value)

from __future__ import annotations

import struct
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mgrisk.nhanes import ibm_float

words = st.integers(min_value=0, max_value=(1 << 64) - 1)


def by_definition(word: int) -> float:
    """(-1)**sign * 16**(exponent - 64) * fraction / 2**56, exactly, then rounded once by Python."""
    fraction, first = word & ((1 << 56) - 1), word >> 56
    if fraction == 0:
        return float("nan") if chr(first) in ibm_float.TAGS else 0.0
    size = Fraction(16) ** ((first & 0x7F) - 64) * fraction / 2**56
    return float(-size if first >> 7 else size)


@given(st.lists(words | words.map(lambda word: word >> 56 << 56), min_size=1, max_size=20))
def test_every_word_is_what_the_definition_says(given_words: list[int]) -> None:
    decoded = ibm_float.decode(np.array(given_words, dtype=np.uint64)).tolist()
    for word, value in zip(given_words, decoded, strict=True):
        expected = by_definition(word)
        assert struct.pack(">d", value) == struct.pack(">d", expected) or (value != value and expected != expected)


def test_every_first_byte_without_a_fraction_is_missing_or_the_true_zero() -> None:
    values = ibm_float.decode(np.arange(256, dtype=np.uint64) << np.uint64(56))
    tagged = [chr(first) in ibm_float.TAGS for first in range(256)]
    assert np.isnan(values).tolist() == tagged
    assert not np.signbit(values[~np.array(tagged)]).any()
    assert sum(tagged) == 28


@pytest.mark.parametrize("shape", [(3, 5), (15,), (0,), (1, 0)])
def test_any_shape_is_decoded_into_any_place(shape: tuple[int, ...]) -> None:
    values = np.arange(float(np.prod(shape))).reshape(shape) - 7
    encoded = ibm_float.encode(values)
    place = np.empty((2, *shape))[1]
    assert ibm_float.decode(encoded, out=place) is place
    assert (place == values).all()
    assert (ibm_float.decode(encoded) == values).all()


def test_words_that_are_not_side_by_side_are_decoded() -> None:
    encoded = ibm_float.encode(np.arange(24.0).reshape(4, 6))[::2, 1:4]
    assert ibm_float.decode(encoded).tolist() == [[1, 2, 3], [13, 14, 15]]

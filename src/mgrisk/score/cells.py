"""What a cell of a scoring file is, and the signs that it is made of, as bytes."""

from __future__ import annotations

from typing import Final

import numpy as np

GOOD, EMPTY, BAD, OUTSIDE, UNCLEAR = range(5)
"""Usable, empty, no number or level, out of range, or for Python to say."""

COMMA, QUOTE, LF, CR, POINT, PLUS, MINUS, ZERO, NINE = (ord(sign) for sign in ',"\n\r.+-09')

EACH: Final = np.uint64(0x0101010101010101)
TOPS: Final = np.uint64(0x8080808080808080)
"""Of the eight bytes of a word, each one's lowest and highest bit."""

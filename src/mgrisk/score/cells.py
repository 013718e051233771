"""What a cell of a scoring file is, and the signs that it is made of, as bytes."""

from __future__ import annotations

GOOD, EMPTY, BAD, OUTSIDE, UNCLEAR = range(5)
"""Usable, empty, no number or level, out of range, or for Python to say."""

COMMA, QUOTE, LF, CR, POINT, PLUS, MINUS, ZERO, NINE = (ord(sign) for sign in ',"\n\r.+-09')

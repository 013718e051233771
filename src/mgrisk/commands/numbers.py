"""Numbers of the command line."""

from __future__ import annotations

import argparse


def whole_number(text: str) -> int:
    """Read a count from 0 to 100."""
    value = int(text)
    if not 0 <= value <= 100:
        raise argparse.ArgumentTypeError(f"{text} is not between 0 and 100")
    return value


def one_or_more(text: str) -> int:
    """Read a count of at least 1."""
    value = int(text)
    if value < 1:
        raise argparse.ArgumentTypeError(f"{text} is not 1 or more")
    return value

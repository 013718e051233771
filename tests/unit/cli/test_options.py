"""Counts of the command line: what is out of range is refused."""

from __future__ import annotations

import argparse

import pytest

from mgrisk.cli.options import one_or_more, whole_number


def test_counts_are_read_and_bounded() -> None:
    assert (whole_number("0"), whole_number("100"), one_or_more("7")) == (0, 100, 7)
    for refused in ("-1", "101"):
        with pytest.raises(argparse.ArgumentTypeError, match="between 0 and 100"):
            whole_number(refused)
    with pytest.raises(argparse.ArgumentTypeError, match="1 or more"):
        one_or_more("0")

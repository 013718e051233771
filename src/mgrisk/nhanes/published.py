"""How many records CDC says each table has: the only way to see that a file was cut off at the border of a record."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from importlib.resources import files
from pathlib import Path
from types import MappingProxyType

from mgrisk.errors import bad_source
from mgrisk.nhanes import xpt_header
from mgrisk.nhanes.codebook import SYNTHETIC


def _load() -> Mapping[str, int]:
    content = tomllib.loads(files("mgrisk.nhanes").joinpath("published_rows.toml").read_text("utf-8"))
    return MappingProxyType(dict(content["rows"]))


PUBLISHED_ROWS: Mapping[str, int] = _load()


def refuse_cut_table(table: str, rows: int, *, where: str) -> None:
    """Stop where a table has fewer records than CDC published; more are an update of CDC's and pass.

    Parameters
    ----------
    table
        Name with the cycle's suffix or prefix, for example ``DEMO_J``; one without a published number passes.
    rows
        Records read.
    where
        File or address, for the error.

    Raises
    ------
    MgRiskError
        `published.cut_table`.

    Examples
    --------
    >>> refuse_cut_table("DEMO_J", 9254, where="DEMO_J.xpt")
    """
    published = PUBLISHED_ROWS.get(table)
    if published is not None and rows < published:
        raise bad_source(
            "published.cut_table",
            "the table has fewer records than CDC published: the file has been cut off",
            where=where,
            expected=f"{published:,}",
            got=f"{rows:,}",
            hint="fetch the table again",
        )


def refuse_cut_file(file: Path, table: str, *, where: str) -> None:
    """Stop where a file is no whole transport file, or has fewer records than CDC published of the table.

    Parameters
    ----------
    file
        To be looked at; one whose label says SYNTHETIC may have any number of records.
    table, where
        As for `refuse_cut_table`.

    Raises
    ------
    MgRiskError
        As `xpt_header.header` and `refuse_cut_table`.
    """
    head = xpt_header.header(file)
    if SYNTHETIC not in head.label:
        refuse_cut_table(table, head.n_rows, where=where)

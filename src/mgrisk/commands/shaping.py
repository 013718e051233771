"""`mgrisk map`: its options, and the lines that it ends with."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any


def add(commands: Any, *, parents: Sequence[argparse.ArgumentParser], action: Callable[..., int]) -> None:
    """Add the command; `action` prints what `options.lines(options)` returns."""
    shape = commands.add_parser(
        "map", parents=list(parents), help="an extract of one's own cohort into a scoring file, by a mapping file"
    )
    shape.add_argument("input", metavar="EXTRACT", help="CSV or Parquet, - for standard input")
    shape.add_argument("--mapping", required=True, metavar="FILE", help="TOML: columns, units, codes")
    shape.add_argument("-o", "--output", required=True, metavar="FILE", help="CSV")
    shape.set_defaults(action=action, lines=_mapped)


def _mapped(options: argparse.Namespace) -> list[str]:
    from mgrisk.errors import few
    from mgrisk.score.mapping import map_file, read_mapping

    done = map_file(options.input, read_mapping(Path(options.mapping)), options.output)
    lines = [f"{done.rows:,} rows in {options.output}"]
    lines += [
        f"  {name}: {done.as_they_are[name]:,} cells not understood and left as they are, {missing:,} missing"
        for name, missing in done.missing.items()
        if done.as_they_are[name]
    ]
    if done.not_carried:
        lines.append(f"  not carried over: {few(done.not_carried)}")
    return [*lines, f"next: mgrisk validate {options.output}"]

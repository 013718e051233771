"""`mgrisk map`: convert an extract of your data into a scoring file with a mapping file."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from mgrisk.cli.options import add_missing
from mgrisk.cli.terminal import tell
from mgrisk.errors import ExitStatus

if TYPE_CHECKING:
    from mgrisk.score.mapping import Mapped
    from mgrisk.score.mapping_file import Mapping

HELP = "convert an extract of your data into a scoring file"
ABOUT = "Rename columns, convert units and recode answers as a mapping file defines, without code."
EXAMPLES = ("mgrisk map data/examples/extract.csv --mapping data/examples/extract.mapping.toml -o people.csv",)


def add(parser: argparse.ArgumentParser) -> None:
    """Add the options."""
    read = parser.add_argument_group("input")
    read.add_argument("input", metavar="EXTRACT", help="file, folder of files, or - for standard input")
    read.add_argument("--mapping", required=True, metavar="FILE", help="TOML: columns, units, codes, dates")
    add_missing(read)
    output = parser.add_argument_group("output")
    what = output.add_mutually_exclusive_group(required=True)
    what.add_argument("-o", "--output", metavar="FILE", help="CSV, JSON lines or Parquet, by its ending")
    what.add_argument(
        "--explain",
        action="store_true",
        help="write nothing; show the source of each column, how many cells were understood, and ten that were not "
        "(values of people: do not log them)",
    )
    output.add_argument("--overwrite", action="store_true", help="replace the file if it exists")


def run(options: argparse.Namespace) -> int:
    """Run the command and return its exit status."""
    from mgrisk.score.mapping import EXAMPLES, map_file
    from mgrisk.score.mapping_file import read_mapping
    from mgrisk.storage.destinations import is_standard_output, prepare_files

    if options.explain:
        mapping = read_mapping(Path(options.mapping))
        done = map_file(options.input, mapping, None, missing=options.missing, examples=EXAMPLES)
        tell(f"{done.written:,} rows would be written", *_rows(done), *_explained(done, mapping), *_unused(done))
        return ExitStatus.DONE
    prepare_files(options.output, inputs=[options.input, options.mapping], overwrite=options.overwrite)
    done = map_file(options.input, read_mapping(Path(options.mapping)), options.output, missing=options.missing)
    lines = [f"{done.written:,} rows in {options.output}", *_rows(done)]
    lines += [
        f"  {name}: {done.as_they_are[name]:,} cells not understood and left as they are, {missing:,} missing"
        for name, missing in done.missing.items()
        if done.as_they_are[name]
    ]
    if any(done.as_they_are.values()):
        lines += [*done.not_accepted.lines(), "  --explain in place of -o shows ten of each"]
    after = [] if is_standard_output(options.output) else [f"next: mgrisk validate {options.output}"]
    tell(*lines, *_unused(done), *after, output=options.output)
    return ExitStatus.DONE


def _rows(done: Mapped) -> Iterator[str]:
    """Yield how many rows were excluded, undated or merged."""
    from mgrisk.config.checked import brief

    for column, rows in done.excluded.items():
        yield f"  excluded by {brief(column)}: {rows:,} of {done.rows:,} rows"
    if done.undated:
        yield f"  without a date to order them by: {done.undated:,} rows, sorted before a person's other rows"
    if done.of_people:
        yield f"  {done.rows - sum(done.excluded.values()):,} rows merged into one for each of {done.written:,} people"


def _explained(done: Mapped, mapping: Mapping) -> Iterator[str]:
    """Yield the source of each column, and how many of its cells were understood."""
    from mgrisk.config.checked import brief

    kept = done.rows - sum(done.excluded.values())
    for name, column in mapping.columns.items():
        yield f"{name}: {column.words()[:200]}"
        if name not in done.missing:
            yield "  copied unchanged"
            continue
        missing, strange = done.missing[name], done.as_they_are[name]
        yield f"  {kept - missing - strange:,} understood, {missing:,} missing, {strange:,} not understood"
        if name in done.examples:
            yield f"  not understood: {', '.join(repr(brief(cell)) for cell in done.examples[name])}"


def _unused(done: Mapped) -> Iterator[str]:
    from mgrisk.config.checked import brief

    if done.not_carried:
        yield f"  not copied: {', '.join(map(brief, done.not_carried))}"

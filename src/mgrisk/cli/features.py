"""`mgrisk features`: write NHANES participants as a scoring file."""

from __future__ import annotations

import argparse

from mgrisk.cli.options import add_source, store_of
from mgrisk.cli.terminal import tell
from mgrisk.errors import ExitStatus

HELP = "write NHANES participants as a scoring file"
ABOUT = "Compute all features of NHANES participants, one row per person, in the format that `mgrisk score` reads."
EXAMPLES = ("mgrisk features --cycle 2017-2018 -o people.csv",)


def add(parser: argparse.ArgumentParser) -> None:
    """Add the options."""
    parser.add_argument("--cycle", nargs="+", required=True, metavar="YEARS", help="for example 2017-2018")
    add_source(parser)
    parser.add_argument(
        "-o", "--output", required=True, metavar="FILE", help=".csv or .parquet, or - for standard output"
    )


def run(options: argparse.Namespace) -> int:
    """Run the command and return its exit status."""
    from mgrisk.describe.participants import write_people
    from mgrisk.storage.destinations import prepare_files

    store = store_of(options)
    prepare_files(options.output, inputs=[store.folder() or store.cache])
    count = write_people(store, cycles=options.cycle, target=options.output)
    tell(f"{count:,} people in {options.output}", output=options.output)
    return ExitStatus.DONE

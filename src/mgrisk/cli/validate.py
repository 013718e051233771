"""`mgrisk validate`: check what `mgrisk score` would reject or flag, and why."""

from __future__ import annotations

import argparse
import os

from mgrisk.cli.options import accepted, add_missing, add_model
from mgrisk.cli.terminal import tell
from mgrisk.errors import ExitStatus
from mgrisk.models import load_model

HELP = "check a file against the input schema of a model"
ABOUT = (
    "Show how many rows can be scored, what is wrong with the others and which columns are not used. Nothing is "
    "written. The exit status is 3 if a row would be rejected."
)
EXAMPLES = ("mgrisk validate people.csv --model undiagnosed",)


def add(parser: argparse.ArgumentParser) -> None:
    """Add the options."""
    add_model(parser)
    add_missing(parser)
    parser.add_argument("input", metavar="INPUT", help="file, folder of files, or - for standard input")


def run(options: argparse.Namespace) -> int:
    """Run the command and return its exit status."""
    from mgrisk.score.batch import validate_table
    from mgrisk.score.eligibility import unidentified_exclusions
    from mgrisk.score.summary import NO_ROWS, not_used

    scorer = load_model(options.model, missing=options.missing)
    found = validate_table(scorer, options.input, workers=os.cpu_count() or 1)
    tally = found.tally
    excluded = f", {tally.not_eligible:,} are not eligible" if tally.not_eligible else ""
    counts = f"{tally.rows:,} rows: {tally.scored:,} can be scored, {tally.rejected:,} would be rejected{excluded}"
    codes = {**found.rejected_by, **found.not_eligible_by, **found.improbable_by, **found.outside_by}
    tell(
        counts if tally.rows else NO_ROWS,
        *(f"  {count:,} × {code}" for code, count in codes.items()),
        *tally.not_accepted.lines(),
        *([f"  {accepted(options)}"] if tally.rejected else []),
        *unidentified_exclusions(found.exclusions, found.exclusion_columns),
        *not_used(found.unused),
    )
    return ExitStatus.INPUT if tally.rejected else ExitStatus.DONE

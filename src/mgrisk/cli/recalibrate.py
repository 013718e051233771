"""`mgrisk recalibrate`: recalibrate a model to people with a known outcome, as a new bundle."""

from __future__ import annotations

import argparse
import os
from pathlib import Path

from mgrisk.cli.options import add_labels, label_columns, missing_of
from mgrisk.cli.terminal import DISCLAIMER, say, tell
from mgrisk.errors import ExitStatus
from mgrisk.models import bundle_folder

HELP = "recalibrate a model to your people"
ABOUT = (
    "Write a new bundle whose risks are calibrated for the people of INPUT. It records the model it came from. "
    "Evaluate it on other people."
)
EXAMPLES = ("mgrisk recalibrate clinic.csv --outcome has_it --model undiagnosed --method intercept -o clinic-bundle",)


def add(parser: argparse.ArgumentParser) -> None:
    """Add the options."""
    add_labels(parser)
    made = parser.add_argument_group("recalibrated model")
    made.add_argument(
        "--method",
        required=True,
        choices=["intercept", "logistic"],
        help="intercept needs at least 20 cases and 20 non-cases; logistic also updates the slope, and needs 50 and 50",
    )
    made.add_argument("--population", default="", metavar="TEXT", help="people and dates, recorded in the bundle")
    made.add_argument("--name", default="", metavar="NAME", help="name of the new model (the parent's, with a digest)")
    made.add_argument("--label", default="", metavar="TEXT", help="the outcome, where it is not that of the parent")
    made.add_argument("--definition", default="", metavar="TEXT", help="how the outcome was determined; with --label")
    output = parser.add_argument_group("output")
    output.add_argument("-o", "--output", required=True, metavar="DIR", help="folder to write")
    output.add_argument("--overwrite", action="store_true", help="replace DIR if it is a bundle")


def run(options: argparse.Namespace) -> int:
    """Run the command and return its exit status."""
    from mgrisk.own_data.external import recalibrate_file

    made = recalibrate_file(
        bundle_folder(options.model),
        options.input,
        label_columns(options),
        method=options.method,
        population=options.population,
        folder=Path(options.output),
        name=options.name,
        label=options.label,
        definition=options.definition,
        overwrite=options.overwrite,
        threads=os.cpu_count() or 1,
        missing=missing_of(options),
    )
    tell(*made.lines)
    print(f"bundle: {made.folder}")
    say(DISCLAIMER)
    return ExitStatus.DONE

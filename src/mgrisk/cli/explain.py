"""`mgrisk explain`: write a page that explains the risks of the people in a file."""

from __future__ import annotations

import argparse

from mgrisk.cli.options import add_missing, add_model
from mgrisk.cli.terminal import DISCLAIMER, tell
from mgrisk.errors import ExitStatus
from mgrisk.models import bundle_folder, load_model

HELP = "explain the risks of the people in a file, on one page"
ABOUT = (
    "Write one HTML page: distribution shift against the development cohort, the inputs that contribute most to the "
    "risks, and a waterfall plot of each person."
)
EXAMPLES = ("mgrisk explain people.csv -o people.html --model undiagnosed",)


def add(parser: argparse.ArgumentParser) -> None:
    """Add the options."""
    people = parser.add_argument_group("people and model")
    people.add_argument("input", metavar="INPUT", help="file, or - for standard input")
    add_model(people)
    add_missing(people)
    output = parser.add_argument_group("output")
    output.add_argument("-o", "--output", required=True, metavar="PAGE", help="page.html, or - for standard output")


def run(options: argparse.Namespace) -> int:
    """Run the command and return its exit status."""
    from mgrisk.own_data.explain import explain_people
    from mgrisk.score.summary import not_used
    from mgrisk.storage.destinations import prepare_files

    prepare_files(options.output, inputs=[options.input, bundle_folder(options.model)])
    found = explain_people(load_model(options.model, missing=options.missing), options.input, options.output)
    excluded = f"{found.not_eligible:,} not eligible, " if found.not_eligible else ""
    outside = f"{found.outside:,} out of the training distribution"
    counts = f"{found.scored:,} explained, {found.rejected:,} rejected, {excluded}{outside}"
    page = f"report: {options.output} ({found.size / 2**20:.1f} MB)"
    lines = [f"{found.rows:,} rows: {counts}", *found.not_told, *not_used(found.unused), page, DISCLAIMER]
    tell(*lines, output=options.output)
    return ExitStatus.DONE

"""`mgrisk explain`: write a page that explains the risks of the people in a file."""

from __future__ import annotations

import argparse

from mgrisk.cli.options import add_labels, label_columns
from mgrisk.cli.terminal import DISCLAIMER, tell
from mgrisk.errors import ExitStatus, usage
from mgrisk.models import bundle_folder, load_model

HELP = "explain the risks of the people in a file, on one page"
ABOUT = (
    "Write one HTML page: distribution shift against the development cohort, the inputs that contribute most to the "
    "risks, a waterfall plot of each person and, with --outcome, the performance of the model."
)
EXAMPLES = (
    "mgrisk explain people.csv -o people.html --model undiagnosed",
    "mgrisk explain clinic.csv -o clinic.html --outcome has_it",
)
OF_OUTCOME = ("weight", "strata", "psu", "person")


def add(parser: argparse.ArgumentParser) -> None:
    """Add the options."""
    add_labels(parser, people="file, or - for standard input", required=False)
    output = parser.add_argument_group("output")
    output.add_argument("-o", "--output", required=True, metavar="PAGE", help="page.html, or - for standard output")


def run(options: argparse.Namespace) -> int:
    """Run the command and return its exit status."""
    from mgrisk.own_data.explain import explain_people
    from mgrisk.score.summary import not_used
    from mgrisk.storage.destinations import prepare_files

    prepare_files(options.output, inputs=[options.input, bundle_folder(options.model)])
    columns = label_columns(options) if options.outcome else None
    if columns is None and (design := [name for name in OF_OUTCOME if getattr(options, name)]):
        raise usage(
            "explain.no_outcome",
            "a column of the design is named, and none of the outcome that it is for",
            where=", ".join(f"--{name}" for name in design),
            hint="add --outcome COLUMN, or leave these out: without an outcome each person stands for one",
        )
    scorer = load_model(options.model, missing=options.missing)
    found = explain_people(scorer, options.input, options.output, columns=columns)
    excluded = f"{found.not_eligible:,} not eligible, " if found.not_eligible else ""
    drawn = f" ({found.explained:,} of them, drawn at random, explained)" if found.explained < found.scored else ""
    others = f"{found.rejected:,} rejected, {excluded}{found.outside:,} out of distribution"
    page = f"report: {options.output} ({found.size / 2**20:.1f} MB)"
    lines = [
        f"{found.rows:,} rows: {found.scored:,} scored{drawn}, {others}",
        *found.not_told,
        *not_used(found.unused),
        *found.evaluation,
    ]
    lines += [page, DISCLAIMER]
    tell(*lines, output=options.output)
    return ExitStatus.DONE

"""`mgrisk evaluate`: validate a model externally on people with a known outcome."""

from __future__ import annotations

import argparse
import os
from pathlib import Path

from mgrisk.cli.options import add_history, add_labels, check_history, label_columns, missing_of
from mgrisk.cli.terminal import DISCLAIMER, now, say, tell
from mgrisk.errors import ExitStatus
from mgrisk.models import bundle_folder

HELP = "evaluate a model on people whose outcome is known"
ABOUT = (
    "Write discrimination, calibration, decision curves and subgroups with 95 % intervals into a folder, using the "
    "survey design where the file has one."
)
EXAMPLES = (
    "mgrisk evaluate clinic.csv --outcome has_it --model undiagnosed -o evaluated",
    "mgrisk evaluate survey.csv --outcome has_it --weight w --strata stratum --psu psu -o evaluated",
)


def add(parser: argparse.ArgumentParser) -> None:
    """Add the options."""
    people = add_labels(parser)
    people.add_argument(
        "--prediabetes",
        metavar="COLUMN",
        help="1 or yes for people with prediabetes: AUROC is also given with them excluded from the controls",
    )
    output = parser.add_argument_group("output")
    output.add_argument("-o", "--output", required=True, metavar="DIR", help="folder to write")
    add_history(parser, what="the observed performance in a scored batch")


def run(options: argparse.Namespace) -> int:
    """Run the command and return its exit status."""
    from mgrisk.own_data.external import evaluate_file
    from mgrisk.run_folder import names

    model, folder, threads = bundle_folder(options.model), Path(options.output), os.cpu_count() or 1
    columns, missing = label_columns(options), missing_of(options)
    check_history(options, names_batch=True)
    found = evaluate_file(model, options.input, columns, folder=folder, by=options.by, threads=threads, missing=missing)
    if options.history:
        from mgrisk.score.history import append, outcomes_line

        line = outcomes_line(**found.observed, bundle=found.bundle, batch=options.batch, time=now(), by=options.by)
        append(Path(options.history), line)
    tell(*found.lines)
    written = (names.SUMMARY, names.EVALUATION, names.THRESHOLDS, names.CURVES, names.PEOPLE_OF_FILE)
    print(f"in {found.folder}: {', '.join(written)}")
    say(DISCLAIMER)
    return ExitStatus.DONE

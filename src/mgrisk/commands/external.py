"""`mgrisk evaluate` and `mgrisk recalibrate`: their options, and the lines that they end with."""

from __future__ import annotations

import argparse
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mgrisk.steps.labelled import LabelColumns


def add(commands: Any, *, parents: Sequence[argparse.ArgumentParser], action: Callable[..., int]) -> None:
    """Add both commands.

    Parameters
    ----------
    commands
        What `add_subparsers` returned.
    parents
        Options of every command, `--model` among them.
    action
        Prints what `options.tell(options, folder of the model)` returns.
    """
    labelled = argparse.ArgumentParser(add_help=False)
    labelled.add_argument("input", metavar="INPUT", help="people with their outcome")
    labelled.add_argument("--outcome", required=True, metavar="COLUMN", help="1 or yes for a case, 0 or no for others")
    labelled.add_argument("--weight", metavar="COLUMN", help="sampling weight (all 1)")
    labelled.add_argument("--strata", metavar="COLUMN", help="variance stratum (one)")
    labelled.add_argument("--psu", metavar="COLUMN", help="primary sampling unit (each person)")
    labelled.add_argument("-o", "--output", required=True, metavar="DIR")
    shared = [*parents, labelled]
    evaluate = commands.add_parser("evaluate", parents=shared, help="validate a bundle on one's own people")
    evaluate.set_defaults(action=action, tell=_evaluated)
    recalibrate = commands.add_parser("recalibrate", parents=shared, help="a bundle for them, naming its parent")
    recalibrate.add_argument("--method", required=True, choices=["intercept", "logistic"])
    recalibrate.add_argument("--population", default="", metavar="TEXT", help="who and when: written into the bundle")
    recalibrate.set_defaults(action=action, tell=_recalibrated)


def _evaluated(options: argparse.Namespace, model: Path) -> list[str]:
    from mgrisk.steps.external import evaluate_file

    folder, threads = Path(options.output), os.cpu_count() or 1
    found = evaluate_file(model, options.input, _columns(options), folder=folder, threads=threads)
    return [*found.lines, f"in {found.folder}: summary.md, evaluation.json, thresholds.json, curves.json, people.json"]


def _recalibrated(options: argparse.Namespace, model: Path) -> list[str]:
    from mgrisk.steps.external import recalibrate_file

    made = recalibrate_file(
        model,
        options.input,
        _columns(options),
        method=options.method,
        population=options.population,
        folder=Path(options.output),
        threads=os.cpu_count() or 1,
    )
    return [*made.lines, f"bundle: {made.folder}"]


def _columns(options: argparse.Namespace) -> LabelColumns:
    from mgrisk.steps.labelled import LabelColumns

    return LabelColumns(options.outcome, options.weight, options.strata, options.psu)

"""`mgrisk score`: its options, and the lines that it ends with. A file, or a folder of them here or on a cluster."""

from __future__ import annotations

import argparse
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mgrisk.commands.numbers import one_or_more, whole_number
from mgrisk.errors import usage

if TYPE_CHECKING:
    from mgrisk.score.batch import Progress, Summary


def add(commands: Any, *, parents: Sequence[argparse.ArgumentParser], action: Callable[..., int]) -> None:
    """Add the command.

    Parameters
    ----------
    commands
        What `add_subparsers` returned.
    parents
        Options of every command, `--model` among them.
    action
        Shows the progress and what `options.tell(options, folder of the model, progress=…)` returns.
    """
    score = commands.add_parser("score", parents=list(parents), help="score people in CSV or Parquet")
    score.add_argument("input", metavar="INPUT", help="file, folder of files, or - for standard input")
    score.add_argument("-o", "--output", required=True, metavar="OUTPUT", help="file, folder, or - for standard output")
    score.add_argument("--reasons", type=whole_number, default=3, metavar="K", help="largest contributions given (3)")
    score.add_argument("--rejects", metavar="FILE", help="CSV of the rejected rows with their problems")
    score.add_argument("--strict", action="store_true", help="stop at the first rejected row")
    score.add_argument("--workers", type=one_or_more, default=os.cpu_count() or 1, metavar="N", help="threads (all)")
    score.add_argument("--resume", action="store_true", help="go on with the same batch where it was killed")
    score.add_argument("--what-if", action="store_true", help="add options at published relative risks")
    score.add_argument("--cluster", metavar="ADDRESS", help="Dask scheduler for a folder, such as tcp://host:8786")
    score.set_defaults(action=action, tell=_scored)


def _scored(options: argparse.Namespace, model: Path, *, progress: Callable[[Progress], None]) -> list[str]:
    from mgrisk.score import drift

    summary = (_folder if Path(options.input).is_dir() else _file)(options, model, progress)
    tally = summary.tally
    lines = [
        f"{tally.rows:,} rows: {tally.scored:,} scored, {tally.rejected:,} rejected; model {summary.about['model']}",
        *(f"  {count:,} × {code}" for code, count in tally.problems.most_common(5)),
        *drift.lines(summary.shifts, rows=tally.scored, outside=tally.outside_domain),
    ]
    if options.what_if:
        what_it_is = summary.about["what_if"]["what_it_is"]
        lines.append(f"what-if columns: {what_it_is}; the summary file names studies and assumptions")
    return lines


def _file(options: argparse.Namespace, model: Path, progress: Callable[[Progress], None]) -> Summary:
    from mgrisk.score import batch
    from mgrisk.score.scorer import load_scorer

    if options.cluster:
        raise usage(
            "cluster.needs_folder",
            "a cluster scores the files of a folder",
            where=options.input,
            hint="write the table in parts, or leave out --cluster: one machine streams a file of any length",
        )
    scorer = load_scorer(model, what_if=options.what_if)
    names = ("reasons", "rejects", "strict", "workers", "resume")
    chosen = {name: getattr(options, name) for name in names}
    return batch.score_table(scorer, options.input, options.output, progress=progress, **chosen)


def _folder(options: argparse.Namespace, model: Path, progress: Callable[[Progress], None]) -> Summary:
    from mgrisk.score import parts

    if options.cluster:
        from mgrisk.score.cluster import on_cluster

        engine = on_cluster(options.cluster)
    else:
        engine = parts.on_threads(options.workers)
    return parts.score_folder(
        model,
        Path(options.input),
        Path(options.output),
        rejects=Path(options.rejects) if options.rejects else None,
        engine=engine,
        progress=progress,
        **{name: getattr(options, name) for name in ("reasons", "strict", "what_if", "resume")},
    )

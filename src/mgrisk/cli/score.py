"""`mgrisk score`: score a file or a folder of people, locally or on a cluster."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from mgrisk.cli.options import (
    accepted,
    add_history,
    add_missing,
    add_model,
    check_history,
    one_or_more,
    share,
    significant_digits,
    whole_number,
)
from mgrisk.cli.terminal import DISCLAIMER, ProgressLine, log, now, say
from mgrisk.errors import ExitStatus, MgRiskError, usage
from mgrisk.models import bundle_folder, load_model

if TYPE_CHECKING:
    from mgrisk.score.batch import BatchOptions, Progress
    from mgrisk.score.summary import Summary

HELP = "score people in CSV, JSON lines or Parquet"
ABOUT = (
    "Write one row for each row of INPUT: calibrated risk, 90 % interval, range over missing inputs, reasons, "
    "status and problems. Only age and sex are required. A bad row is marked and never dropped. OUTPUT.summary.json "
    "and the terminal have a summary. The exit status is 6 if all rows are rejected, or more than --max-rejected."
)
EXAMPLES = (
    "mgrisk score people.csv -o scored.csv --model undiagnosed",
    "mgrisk score people/ -o scored/ --model undiagnosed --workers 8 --resume",
    "mgrisk score night.jsonl -o scored.jsonl --max-rejected 0.05 --log-json",
    "mgrisk score people.csv -o scored.csv --what-if --next-question --rejects rejects.csv",
)


def add(parser: argparse.ArgumentParser) -> None:
    """Add the options."""
    people = parser.add_argument_group("people and model")
    people.add_argument("input", metavar="INPUT", help="file, folder of files, or - for standard input")
    add_model(people)
    add_missing(people)
    output = parser.add_argument_group("output")
    output.add_argument(
        "-o", "--output", required=True, metavar="OUTPUT", help="file, folder, or - for standard output"
    )
    output.add_argument(
        "--reasons", type=whole_number, default=3, metavar="K", help="number of largest contributions (3)"
    )
    output.add_argument(
        "--what-if", action="store_true", help="add risks under hypothetical changes, by published relative risks"
    )
    output.add_argument(
        "--next-question", action="store_true", help="add the missing input that would reduce uncertainty most"
    )
    output.add_argument("--model-digest", action="store_true", help="add the first characters of the model's sha256")
    output.add_argument(
        "--digits",
        type=significant_digits,
        default=6,
        metavar="N",
        help="significant digits of risks and effects in CSV (6); 17 keeps all, as JSON lines and Parquet do",
    )
    rejected = parser.add_argument_group("rejected rows")
    rejected.add_argument("--rejects", metavar="FILE", help="CSV of the rejected rows with their problems")
    rejected.add_argument(
        "--max-rejected",
        type=share,
        metavar="SHARE",
        help="end with status 6, after the output is written, if more of the rows are rejected (only if all are)",
    )
    rejected.add_argument("--strict", action="store_true", help="stop at the first rejected row")
    large = parser.add_argument_group("large files and folders")
    large.add_argument("--workers", type=one_or_more, default=os.cpu_count() or 1, metavar="N", help="threads (all)")
    large.add_argument("--resume", action="store_true", help="keep an interrupted output, and continue it")
    large.add_argument("--cluster", metavar="ADDRESS", help="Dask scheduler for a folder, such as tcp://host:8786")
    add_history(parser, what="a summary of the batch")


def run(options: argparse.Namespace) -> int:
    """Run the command and return its exit status."""
    from mgrisk.storage.destinations import output_file, prepare_files

    check_history(options)
    model = bundle_folder(options.model)
    folder = Path(options.input).is_dir()
    outputs = [*([] if folder else [options.output]), *([options.rejects] if options.rejects else [])]
    has_summary = folder or output_file(options.output) is not None
    summary_file = Path(f"{os.path.normpath(options.output)}.summary.json")
    also = [*([summary_file] if has_summary else []), *([Path(options.history)] if options.history else [])]
    prepare_files(*outputs, inputs=[options.input, model], also=also)
    # On standard error: standard output may be the table.
    with ProgressLine(sys.stderr) as progress:
        summary = (_folder if folder else _file)(options, model, progress)
    if options.history:
        from mgrisk.score.history import append, batch_line

        time = now()
        append(Path(options.history), batch_line(summary, batch=options.batch or time, time=time, by=options.by))
    for line in (*_lines(options, summary), DISCLAIMER):
        say(line)
    log("summary", summary.to_dict())
    _refuse_many_rejected(options, summary)
    return ExitStatus.DONE


def _refuse_many_rejected(options: argparse.Namespace, summary: Summary) -> None:
    rejected, rows = summary.tally.rejected, summary.tally.rows
    most = options.max_rejected
    if rejected and (rejected == rows if most is None else rejected > most * rows):
        raise MgRiskError(
            "score.too_many_rejected",
            f"{'all' if rejected == rows else 'too many'} rows are rejected; the output is written",
            where=options.input,
            expected="at least one that is not rejected" if most is None else f"at most {100 * most:g}%",
            got=f"{rejected:,} of {rows:,}",
            hint="correct the problems that the codes above name, or allow more with --max-rejected SHARE",
            status=ExitStatus.REJECTED,
        )


def _lines(options: argparse.Namespace, summary: Summary) -> list[str]:
    lines = summary.lines()
    if summary.tally.rejected:
        lines[0] += f"; {accepted(options)}"
    if options.what_if:
        what_it_is = summary.about["what_if"]["what_it_is"]
        lines.append(f"what-if columns: {what_it_is}; the summary file names studies and assumptions")
    return lines


def _file(options: argparse.Namespace, model: Path, progress: Callable[[Progress], None]) -> Summary:
    from mgrisk.score import batch

    if options.cluster is not None:
        raise usage(
            "cluster.needs_folder",
            "a cluster scores the files of a folder",
            where=options.input,
            hint="split the table into files, or leave out --cluster: one machine streams a file of any length",
        )
    answers = {name: getattr(options, name) for name in ("what_if", "next_question", "missing", "model_digest")}
    scorer = load_model(model, **answers)
    return batch.score_table(
        scorer, options.input, options.output, _asked(options), workers=options.workers, progress=progress
    )


def _asked(options: argparse.Namespace) -> BatchOptions:
    from mgrisk.score.batch import BatchOptions

    return BatchOptions(
        options.reasons, options.rejects, options.strict, options.resume, digits=options.digits, by=options.by
    )


def _folder(options: argparse.Namespace, model: Path, progress: Callable[[Progress], None]) -> Summary:
    from mgrisk.score import parts

    local = options.cluster is None
    engine = parts.on_threads(options.workers) if local else parts.on_cluster(options.cluster)
    return parts.score_folder(
        model,
        Path(options.input),
        Path(options.output),
        _asked(options),
        engine=engine,
        what_if=options.what_if,
        next_question=options.next_question,
        missing=options.missing,
        model_digest=options.model_digest,
        progress=progress,
    )

"""Score a table block by block on several threads, one output row for each input row.

Results keep the order of the blocks (`in_order`). Counts of rows, problems and risks are added up over blocks for the
summary of the batch (`summary.Tally`, `summary.Summary`).
"""

from __future__ import annotations

import hashlib
import json
from collections import deque
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any, BinaryIO, Final, TypeVar

import numpy as np

from mgrisk.config.checked import brief
from mgrisk.errors import bad_input, usage
from mgrisk.score.answers import Answers, about_options
from mgrisk.score.cells import EMPTY_CELLS
from mgrisk.score.commit import finish, locked, open_files
from mgrisk.score.csv.decimals import SHOWN_DIGITS
from mgrisk.score.csv.source import BLOCK_BYTES
from mgrisk.score.file_names import Format, output_format
from mgrisk.score.formulas import csv_line
from mgrisk.score.input_schema import check_columns, refuse_absent
from mgrisk.score.journal import Entry, Journal, not_possible, other_input
from mgrisk.score.not_accepted import NotAccepted
from mgrisk.score.outputs import CsvOutput, Output, lines_into, rows_into
from mgrisk.score.scorer import DEFAULT_REASONS, Scorer
from mgrisk.score.sources import Rows, Source, open_source
from mgrisk.score.summary import Summary, Tally
from mgrisk.storage.destinations import STREAM, open_stream, output_file
from mgrisk.storage.files import sha256, to_json

Item = TypeVar("Item")
Result = TypeVar("Result")
AHEAD: Final = 1
"""Items queued per batch, so that no thread waits for the reader; more would only cost memory."""


def in_order(items: Iterable[Item], work: Callable[[Item], Result], *, workers: int) -> Iterator[Result]:
    """Yield the result of each item, in order, while the next ones are processed.

    At most ``workers + AHEAD`` items are taken ahead of the results, so that memory does not grow with their number.
    An error is raised in the place of the result.

    Examples
    --------
    >>> list(in_order(range(5), lambda number: number**2, workers=2))
    [0, 1, 4, 9, 16]
    """
    waiting: deque[Future[Result]] = deque()
    with ThreadPoolExecutor(max_workers=workers, thread_name_prefix="mgrisk") as pool:
        try:
            for item in items:
                waiting.append(pool.submit(work, item))
                del item
                if len(waiting) > workers + AHEAD - 1:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        finally:
            for each in waiting:
                each.cancel()


REJECT_COLUMNS: Final = ("row", "problems", "original")
MOST_GROUPS: Final = 200
REJECTS, SUMMARY, SCORED = "rejects", "summary", "scored"


@dataclass(frozen=True)
class Progress:
    """Progress of a batch: rows so far, and their share of the input; None where that is unknown."""

    rows: int
    share: float | None


@dataclass(frozen=True)
class _Scored:
    """A block with its answers, ready to write; rejected rows by position, with problems and the original row."""

    digest: str
    rendered: Any
    rejected: Sequence[tuple[int, str, str]]
    tally: Tally


@dataclass(frozen=True)
class BatchOptions:
    """Options of a batch.

    Attributes
    ----------
    reasons
        Number of largest contributions to return.
    rejects
        CSV of rejected rows, or none.
    strict
        Stop at the first rejected row, leaving no output.
    resume
        Continue after the blocks that the same batch completed before it was interrupted.
    part
        Name of the file in the first column of rejected rows, if it is part of a folder.
    digits
        Significant digits of the numbers in CSV, 1 to `ALL_DIGITS`; Parquet holds doubles.
    by
        Column by whose values rows are also counted, such as the site; None for none.
    """

    reasons: int
    rejects: str | None = None
    strict: bool = False
    resume: bool = False
    part: str | None = None
    digits: int = SHOWN_DIGITS
    by: str | None = None


def score_table(
    scorer: Scorer,
    source: str,
    target: str,
    options: BatchOptions,
    *,
    workers: int = 1,
    progress: Callable[[Progress], None] | None = None,
) -> Summary:
    """Score a file, and write the scored file.

    Parameters
    ----------
    scorer
        The model.
    source, target
        CSV, JSON lines or Parquet; the name of the output determines its format. ``-`` is standard input, and CSV on
        standard output.
    options
        The file of rejected rows has the row number (1 is the first below the header), problems, and the original row
        as JSON. To resume starts after the last complete block.
    workers
        Number of threads; the output does not depend on it.
    progress
        Called after each block.

    Raises
    ------
    MgRiskError
        For files that cannot be read, understood or written (`output.unknown_format`), `input.rejected_row` with
        `strict`, and `resume.not_possible`, `resume.other_batch` or `resume.other_input` with `resume`.
    """
    output_format(target)
    if options.rejects:
        output_format(options.rejects, of=(Format.CSV,))
    if options.reasons:
        _ = scorer.explainer  # built here, not on several threads at once
    with ExitStack() as stack:
        table = stack.enter_context(open_source(source, missing=scorer.missing))
        added = scorer.columns(reasons=options.reasons)
        check_columns(table.columns, scorer.schema_features, where=source, added=added)
        refuse_absent([options.by] if options.by else [], table.columns, source)
        about = {
            "input": source,
            "input_sha256": None if options.part else input_digest(source),
            **about_answers(scorer, reasons=options.reasons),
        }
        files = _files(target, options.rejects)
        stack.enter_context(locked([*files.values()]))
        asked = [Path(target).name, options.rejects, options.part, options.by, scorer.stamp]
        key = _key(scorer, table.columns, added=added, asked=asked, strict=options.strict, digits=options.digits)
        journal = _journal(files, key=key, where=target, options=options)
        if journal and journal.sizes:
            if any(True for _ in _after(journal.done, table, where=source)):
                raise other_input(source)
            finish([*files.values()], journal)
            return Summary.of(scorer, _counted(journal, table), about)
        streams = dict(zip(files, stack.enter_context(open_files([*files.values()], journal=journal)), strict=True))

        def stream_of(kind: str, name: str) -> BinaryIO:
            return streams[kind] if kind in streams else stack.enter_context(open_stream(name))

        begun = bool(journal and journal.done)
        columns = [*table.columns, *added]
        to = stream_of(SCORED, target)
        output = stack.enter_context(rows_into(to, target, columns, begun=begun, digits=options.digits))
        refused = None
        if options.rejects:
            columns = [*(["part"] if options.part else []), *REJECT_COLUMNS]
            refused = lines_into(stream_of(REJECTS, options.rejects), options.rejects, columns, begun=begun)
        tally = _counted(journal, table)

        def work(block: Any) -> _Scored:
            return _score(scorer, table, block, output, options)

        blocks = _after(journal.done if journal else (), table, where=source)
        for scored in in_order(blocks, work, workers=workers):
            if options.strict:
                _stop_at_rejected(scored, rows_before=tally.rows, where=source)
            output.write(scored.rendered)
            if refused:
                refused.lines(_rejected_lines(scored, rows_before=tally.rows, part=options.part))
            if journal:
                ends = tuple(stream.tell() for stream in streams.values())
                journal.add(Entry(block=scored.digest, ends=ends, tally=scored.tally.to_dict()))
            tally += scored.tally
            refuse_many_groups(tally.groups, options.by)
            if progress:
                progress(Progress(tally.rows, table.share_read()))
        if not tally.rows and not isinstance(output, CsvOutput):
            output.write(work(table.nothing).rendered)
        summary = Summary.of(scorer, tally, about)
        if SUMMARY in streams:
            streams[SUMMARY].write(to_json(summary.to_dict()).encode())
    return summary


def _files(target: str, rejects: str | None) -> dict[str, Path]:
    """Return the output files of a batch, without streams, in the order of publishing: the scored file is last."""
    names = {REJECTS: rejects, SUMMARY: output_file(target) and f"{target}.summary.json", SCORED: target}
    found = {kind: output_file(name) for kind, name in names.items() if name}
    return {kind: path for kind, path in found.items() if path}


def _counted(journal: Journal | None, table: Source) -> Tally:
    done = journal.done if journal else ()
    return sum((Tally.from_dict(entry.tally) for entry in done), Tally(columns=tuple(table.columns)))


def input_digest(source: str) -> str | None:
    """Return the sha256 of an input file or folder; None for standard input, which cannot be read again."""
    return None if source == STREAM else sha256(Path(source))


def about_answers(scorer: Scorer, *, reasons: int) -> dict[str, Any]:
    """Return the summary's record of the answer: model, version of mgrisk, columns and their meaning."""
    columns = scorer.columns(reasons=reasons)
    about = {
        "bundle": scorer.provenance,
        "mgrisk": version("mgrisk"),
        "answer_columns_sha256": hashlib.sha256("\n".join(columns).encode()).hexdigest(),
        "base_value": scorer.explainer.base_value if reasons else None,
        "explained_scale": "calibrated log-odds",
    }
    return {**about, "what_if": about_options()} if scorer.what_if else about


def validate_table(scorer: Scorer, source: str, *, workers: int = 1) -> Summary:
    """Check a file or folder against the input schema, and count what scoring would reject or flag."""
    with open_source(source, missing=scorer.missing, folder=True) as table:
        check_columns(
            table.columns, scorer.schema_features, where=source, added=scorer.columns(reasons=DEFAULT_REASONS)
        )

        def work(block: Any) -> Tally:
            rows = table.read(block, scorer.schema_features)
            return _tally(scorer, table, rows, scorer.answer(rows.checked, reasons=0))

        tally = sum(in_order(table.blocks(), work, workers=workers), Tally(columns=tuple(table.columns)))
    return Summary.of(scorer, tally, {"input": source})


def _score(scorer: Scorer, table: Source, block: Any, output: Output, options: BatchOptions) -> _Scored:
    rows = table.read(block, scorer.schema_features)
    answers = scorer.answer(rows.checked, reasons=options.reasons)
    return _Scored(
        digest=table.digest(block),
        rendered=output.render(rows, answers),
        rejected=_rejected(rows, answers, options),
        tally=_tally(scorer, table, rows, answers, by=options.by),
    )


def _tally(scorer: Scorer, table: Source, rows: Rows, answers: Answers, *, by: str | None = None) -> Tally:
    unknown = NotAccepted.of(rows, table.columns, answers.rejected)
    return Tally.of(answers, scorer.reference_bins, _groups(rows, by, scorer), not_accepted=unknown)


def _groups(rows: Rows, by: str | None, scorer: Scorer) -> list[str] | None:
    """Return the group of each row; all texts that mean missing form one group."""
    if by is None:
        return None
    found = ["" if scorer.missing.holds(cell) else brief(cell.strip()) for cell in rows.texts([by])[by]]
    refuse_many_groups(set(found), by)
    return found


def refuse_many_groups(groups: Collection[str], by: str | None) -> None:
    """Refuse a column with too many distinct values, before its counts fill the memory."""
    if len(groups) > MOST_GROUPS:
        raise usage(
            "score.many_groups",
            f"the column {by} has more than {MOST_GROUPS} values",
            where="--by",
            hint="name a column with few values, such as the site",
        )


def _rejected(rows: Rows, answers: Answers, options: BatchOptions) -> list[tuple[int, str, str]]:
    """Return the rejected rows, if requested; with `strict` alone, without the original row."""
    if not (answers.rejected.any() and (options.rejects or options.strict)):
        return []

    def original(place: int) -> str:
        return json.dumps(rows.original(place), ensure_ascii=False, default=str) if options.rejects else ""

    problems = answers.problems.texts()
    return [(place, str(problems[place]), original(place)) for place in np.flatnonzero(answers.rejected).tolist()]


def _rejected_lines(scored: _Scored, *, rows_before: int, part: str | None) -> bytes:
    lead = [part] if part else []
    return b"".join(
        csv_line([*lead, str(rows_before + place + 1), problems, original])
        for place, problems, original in scored.rejected
    )


def _stop_at_rejected(scored: _Scored, *, rows_before: int, where: str) -> None:
    if scored.rejected:
        place, problems, _ = scored.rejected[0]
        raise bad_input(
            "input.rejected_row",
            f"row {rows_before + place + 1} is rejected: {problems}",
            where=where,
            hint="correct the row, or leave out --strict to have it marked in the output",
        )


def _key(scorer: Scorer, columns: Sequence[str], **options: Any) -> str:
    """Return a digest of everything that defines a batch, except the input data, which are checked block by block."""
    named = sorted(scorer.missing.words - EMPTY_CELLS)
    content = json.dumps([scorer.fingerprint, list(columns), options, BLOCK_BYTES, *named])
    return hashlib.sha256(content.encode()).hexdigest()


def _journal(files: Mapping[str, Path], *, key: str, where: str, options: BatchOptions) -> Journal | None:
    whole = all(kind in files for kind in ([REJECTS, SCORED] if options.rejects else [SCORED]))
    if options.resume and not whole:
        raise not_possible(where)
    if SCORED not in files:
        return None
    # A Parquet file ends with its index, so that writing cannot be resumed within it.
    block_by_block = whole and output_format(where) is not Format.PARQUET
    return Journal(files[SCORED], key=key, resume=options.resume, block_by_block=block_by_block)


def _after(done: Sequence[Entry], table: Source, *, where: str) -> Iterator[Any]:
    """Yield the blocks after the completed ones, which must be unchanged."""
    blocks = table.blocks()
    for entry in done:
        block = next(blocks, None)
        if block is None or table.digest(block) != entry.block:
            raise other_input(where)
    yield from blocks

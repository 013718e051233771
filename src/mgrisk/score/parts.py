"""Score a folder of files, on this machine or a Dask cluster, and publish the output folder when it is complete.

While ``scored`` is being written, ``.scored.parts`` beside it, which only its owner may read, has the bundle, the
complete parts, and a receipt of each with the digest of its input and its counts. Each attempt at a part writes under
its own name and then renames the file. Parts can therefore be attempted any number of times, on any machine: a part
under its final name is complete, and two attempts write the same bytes. `--resume` reuses the parts with a valid
receipt. The folder, the rejected rows and the summary are published together (`mgrisk.score.commit`).

On a cluster (docs/decisions/0023-engine-of-the-cluster.md) the scheduler reassigns the parts of a machine that dies.
All machines must see the same folders under the same names, and have the same version of mgrisk; both are checked on
each machine.
"""

from __future__ import annotations

import hashlib
import json
import shutil
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import CancelledError, ThreadPoolExecutor, as_completed
from contextlib import contextmanager, nullcontext
from dataclasses import asdict, dataclass
from functools import lru_cache
from importlib.metadata import version
from pathlib import Path
from threading import Event
from typing import Any, BinaryIO, Final

import xxhash
from pydantic import BaseModel, ConfigDict

from mgrisk.errors import MgRiskError, Terminated, bad_bundle, bad_input, usage
from mgrisk.score.batch import (
    REJECT_COLUMNS,
    BatchOptions,
    Progress,
    about_answers,
    input_digest,
    refuse_many_groups,
    score_table,
)
from mgrisk.score.cells import Missing
from mgrisk.score.commit import Staged, finish, locked, open_files
from mgrisk.score.file_names import Format, output_format
from mgrisk.score.folders import part_names
from mgrisk.score.journal import Entry, Journal, other_input, sealed, unsealed
from mgrisk.score.outputs import lines_into
from mgrisk.score.scorer import Scorer, load_scorer
from mgrisk.score.summary import Summary, Tally
from mgrisk.storage.destinations import open_stream, output_file, prepare_folder, writes_to
from mgrisk.storage.files import to_json, write_text

BUNDLE, PARTS, RECEIPTS, REJECTED, ATTEMPTS = "bundle", "parts", "receipts", "rejected", "attempts"


@dataclass(frozen=True)
class Job:
    """Settings shared by the parts of a folder, as plain values that can be sent to other machines.

    Attributes
    ----------
    source, staging
        Folders of the input and of complete parts; every machine must see both under these names.
    fingerprint, version
        The bundle and the version of mgrisk that every machine must have.
    reasons, rejects, strict, digits, what_if, next_question, missing, by, model_digest
        As in `batch.BatchOptions` and `scorer.load_scorer`; `rejects` is whether rejected rows are kept, and `missing`
        has the words in addition to the default ones.
    """

    source: str
    staging: str
    fingerprint: str
    version: str
    reasons: int
    rejects: bool
    strict: bool
    digits: int
    what_if: bool
    next_question: bool
    missing: tuple[str, ...] = ()
    by: str | None = None
    model_digest: bool = False

    @property
    def key(self) -> str:
        """Digest of the settings that the answers depend on, without locations."""
        content = {name: value for name, value in asdict(self).items() if name not in ("source", "staging")}
        return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


class Receipt(BaseModel):
    """Receipt of a complete part.

    Attributes
    ----------
    key, digest
        Digests of the job and of the input's content.
    size
        Bytes of the output.
    tally
        Its counts.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    key: str
    digest: str
    size: int
    tally: dict[str, Any]


Engine = Callable[[Job, Sequence[str]], Iterator[tuple[str, Receipt]]]
"""Scores the parts of a job in any order, and yields each with its receipt once it is complete."""


def score_folder(
    bundle: Path,
    source: Path,
    target: Path,
    options: BatchOptions,
    *,
    engine: Engine,
    what_if: bool = False,
    next_question: bool = False,
    missing: Sequence[str] = (),
    model_digest: bool = False,
    progress: Callable[[Progress], None] | None = None,
) -> Summary:
    """Score a folder of files, and write a folder of files with the same names.

    Parameters
    ----------
    bundle
        Folder of the model.
    source, target
        Folders; the target must be missing or empty, and is published when it is complete.
    options
        The file of rejected rows has part, row, problems, and the original row, in the order of the parts. To resume
        reuses the parts that the same job has completed.
    engine
        `on_threads` or `on_cluster`; the output does not depend on it.
    what_if, next_question, model_digest, progress
        As for `scorer.load_scorer` and `batch.score_table`.
    missing
        Words that mean missing, besides the default words.

    Raises
    ------
    MgRiskError
        Those of `part_names`, `batch.score_table`, `destinations.prepare_folder` and the engine, `output.exists`,
        `output.in_use`, `resume.other_input`, and `output.nested` if an output is inside the input, or the rejects file
        inside the output.
    """
    target = prepare_folder(target, is_ours=lambda _: True, inputs=[source])
    if options.rejects:
        output_format(options.rejects, of=(Format.CSV,))
    rejects = output_file(options.rejects) if options.rejects else None
    summary_file = target.with_name(f"{target.name}.summary.json")
    _refuse_nested(source, target, rejects)
    asked = {"what_if": what_if, "next_question": next_question, "model_digest": model_digest}
    scorer = load_scorer(bundle, missing=Missing.also(missing), **asked)
    staging = target.with_name(f".{target.name}.parts")
    folder = Staged(staging, staging / PARTS, target)
    files = [*([rejects] if rejects else []), summary_file]
    job = Job(
        source=str(source.resolve()),
        staging=str(staging.resolve()),
        fingerprint=scorer.fingerprint,
        version=version("mgrisk"),
        reasons=options.reasons,
        rejects=options.rejects is not None,
        strict=options.strict,
        digits=options.digits,
        missing=tuple(missing),
        by=options.by,
        **asked,
    )

    def summed_up(entries: Sequence[Entry], skipped: Mapping[str, str]) -> Summary:
        counts = {entry.part: {name: entry.tally[name] for name in ("rows", "rejected")} for entry in entries}
        about = {"input": str(source), "input_sha256": input_digest(str(source)), "parts": counts, "skipped": skipped}
        # In the order of the parts, not of completion, since sums of floats depend on the order.
        tally = sum((Tally.from_dict(entry.tally) for entry in entries), Tally())
        refuse_many_groups(tally.groups, options.by)
        return Summary.of(scorer, tally, {**about, **about_answers(scorer, reasons=options.reasons)})

    with locked([*files, target]):
        journal = Journal(target, key=f"{job.key} {options.rejects}", resume=options.resume)
        if journal.sizes:
            names, skipped = part_names(source)
            if {entry.part: entry.block for entry in journal.done} != {name: _digest(source / name) for name in names}:
                raise other_input(str(source))
            finish(files, journal, folder=folder)
            return summed_up(journal.done, skipped)
        if target.exists() and any(target.iterdir()):
            raise bad_input("output.exists", "the output folder exists", where=str(target), hint="name another folder")
        names, skipped = part_names(source)
        with writes_to(target), _staged(staging, resume=options.resume):
            (staging / BUNDLE).mkdir(exist_ok=True)
            for file in bundle.iterdir():
                shutil.copyfile(file, staging / BUNDLE / file.name)
            receipts = _receipts(job, names, engine, progress)
            entries = [
                Entry(block=receipts[name].digest, part=name, ends=(), tally=receipts[name].tally) for name in names
            ]
            summary = summed_up(entries, skipped)
            with open_files(files, journal=journal, folder=folder) as streams:
                if options.rejects:
                    with nullcontext(streams[0]) if rejects else open_stream(options.rejects) as stream:
                        _join_rejects(stream, staging, names, options.rejects)
                streams[-1].write(to_json(summary.to_dict()).encode())
                for entry in entries:
                    journal.add(entry)
    return summary


def _receipts(
    job: Job, names: Sequence[str], engine: Engine, progress: Callable[[Progress], None] | None
) -> dict[str, Receipt]:
    size = {name: (Path(job.source) / name).stat().st_size for name in names}
    receipts: dict[str, Receipt] = {}
    rows = done = 0
    for name, receipt in engine(job, names):
        receipts[name] = receipt
        rows, done = rows + receipt.tally["rows"], done + size[name]
        if progress:
            progress(Progress(rows, done / max(sum(size.values()), 1)))
    return receipts


def on_threads(workers: int) -> Engine:
    """Return an engine for this machine: one thread per part, or several threads per part if there are few parts."""

    def engine(job: Job, names: Sequence[str]) -> Iterator[tuple[str, Receipt]]:
        if len(names) < workers:
            yield from ((name, score_part(job, name, workers=workers)) for name in names)
            return
        # Loaded here, not on several threads at once.
        _scorer(job)
        stopped = Event()

        def go_on(_: Progress) -> None:
            if stopped.is_set():
                raise CancelledError

        with ThreadPoolExecutor(max_workers=workers) as pool:
            futures = {pool.submit(score_part, job, name, progress=go_on): name for name in names}
            try:
                for future in as_completed(futures):
                    yield futures[future], future.result()
            finally:
                # No further parts are started, and running ones stop after the current block.
                stopped.set()
                pool.shutdown(wait=False, cancel_futures=True)

    return engine


def score_part(job: Job, name: str, *, workers: int = 1, progress: Callable[[Progress], None] | None = None) -> Receipt:
    """Score a part of a job unless it is complete; this is the task of a cluster worker.

    Raises
    ------
    MgRiskError
        `cluster.other_version`, `cluster.other_bundle`, and those of `batch.score_table`.
    """
    staging, source = Path(job.staging), Path(job.source) / name
    output, receipt = staging / PARTS / name, staging / RECEIPTS / f"{name}.json"
    digest = _digest(source)
    if output.is_file() and receipt.is_file():
        found = _read_receipt(receipt)
        if found and (found.key, found.digest, found.size) == (job.key, digest, output.stat().st_size):
            return found
    scorer = _scorer(job)
    attempt = staging / ATTEMPTS / uuid.uuid4().hex
    rejects = attempt / "rejects.csv"
    # The ending determines the format, so it is kept.
    written = attempt / output.name
    attempt.mkdir(parents=True)
    try:
        summary = score_table(
            scorer,
            str(source),
            str(written),
            BatchOptions(
                reasons=job.reasons,
                rejects=str(rejects) if job.rejects else None,
                strict=job.strict,
                part=name,
                digits=job.digits,
                by=job.by,
            ),
            workers=workers,
            progress=progress,
        )
        if job.rejects:
            _move(rejects, staging / REJECTED / f"{name}.csv")
        made = Receipt(key=job.key, digest=digest, size=written.stat().st_size, tally=summary.tally.to_dict())
        _move(written, output)
        write_text(receipt, sealed(made.model_dump_json()))
    finally:
        shutil.rmtree(attempt, ignore_errors=True)
    return made


def _read_receipt(path: Path) -> Receipt | None:
    """Return a receipt; None if it is incomplete, so that its part is scored again."""
    try:
        return Receipt.model_validate_json(unsealed(path.read_text("utf-8")))
    except ValueError:
        return None


@lru_cache(maxsize=2)
def _load(bundle: str, job: Job) -> Scorer:
    asked = {"what_if": job.what_if, "next_question": job.next_question, "model_digest": job.model_digest}
    scorer = load_scorer(bundle, missing=Missing.also(job.missing), **asked)
    if scorer.fingerprint != job.fingerprint:
        raise bad_bundle(
            "cluster.other_bundle",
            "the bundle that this machine reads is not the bundle of the job",
            where=bundle,
            hint="give every machine access to the output folder under the same name",
        )
    return scorer


def _scorer(job: Job) -> Scorer:
    here = version("mgrisk")
    if job.version != here:
        raise bad_bundle(
            "cluster.other_version",
            "a machine of the cluster has another version of mgrisk",
            where=job.source,
            expected=job.version,
            got=here,
            hint="install the same version on all of them",
        )
    return _load(str(Path(job.staging) / BUNDLE), job)


@contextmanager
def _staged(staging: Path, *, resume: bool) -> Iterator[None]:
    """Create the staging folder; if the block fails, its content stays for `--resume`.

    Raises
    ------
    MgRiskError
        `output.not_ours` if something else has its name.
    """
    expected_names = {BUNDLE, PARTS, RECEIPTS, REJECTED, ATTEMPTS}
    with writes_to(staging):
        staging.mkdir(mode=0o700, exist_ok=not staging.is_symlink())
        if not {path.name for path in staging.iterdir()} <= expected_names:
            raise usage(
                "output.not_ours",
                "the staging folder contains other files",
                where=str(staging),
                hint="move it elsewhere, or name another output",
            )
        for name in [ATTEMPTS] if resume else expected_names:
            shutil.rmtree(staging / name, ignore_errors=True)
    try:
        yield
    except BaseException as stopped:  # Ctrl-C and SIGTERM too: what cannot be resumed is removed
        complete = any(path.is_file() for path in (staging / RECEIPTS).rglob("*"))
        # A refused part, or a lost cluster, does not invalidate the other parts.
        if not complete or (isinstance(stopped, Terminated) and not resume):
            shutil.rmtree(staging, ignore_errors=True)
        elif isinstance(stopped, MgRiskError):
            stopped.hint += f"; complete parts stay in {staging} for --resume"
        raise


def _join_rejects(stream: BinaryIO, staging: Path, names: Sequence[str], target: str) -> None:
    joined = lines_into(stream, target, ["part", *REJECT_COLUMNS])
    for name in names:
        with (staging / REJECTED / f"{name}.csv").open("rb") as rows:
            rows.readline()  # its header
            while lines := rows.read(1 << 22):
                joined.lines(lines)


def _refuse_nested(source: Path, target: Path, rejects: Path | None) -> None:
    """Refuse outputs inside the input, and a file of rejected rows inside the output."""
    for output, folder, what in (
        (target, source, "the output is inside the input"),
        (rejects, source, "the file of rejected rows is inside the input"),
        (rejects, target, "the file of rejected rows is inside the output"),
    ):
        if output and output.resolve().is_relative_to(folder.resolve()):
            raise usage("output.nested", what, where=str(output), got=str(folder), hint="name a place outside it")


def _move(made: Path, place: Path) -> None:
    place.parent.mkdir(parents=True, exist_ok=True)
    made.replace(place)


def _digest(path: Path) -> str:
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, xxhash.xxh3_128).hexdigest()


PATIENCE: Final = "20s"
RETRIES: Final = 2
"""Retries of a part after an error not caused by its data, such as one of a network file system."""


def on_cluster(address: str) -> Engine:
    """Return the engine of a Dask scheduler, for example ``tcp://10.0.0.1:8786``.

    Raises
    ------
    MgRiskError
        `cluster.not_installed`, `cluster.unreachable`, `cluster.no_certificate`, `cluster.scheduler_died`,
        `cluster.worker_died` if several workers in turn died while scoring a part, and the errors of a part itself.
    """
    try:
        import distributed as dask
    except ImportError:
        raise usage(
            "cluster.not_installed",
            "Dask is not installed",
            where=f"--cluster {address}",
            hint="pip install 'mgrisk[cluster]', here and on the machines of the cluster",
        ) from None
    distributed: Any = dask  # Dask lacks many type hints
    _check_address(distributed, address)

    def engine(job: Job, names: Sequence[str]) -> Iterator[tuple[str, Receipt]]:
        try:
            client = distributed.Client(address, timeout=PATIENCE, set_as_default=False)
        except (OSError, ValueError) as problem:
            raise _unreachable(address, str(problem)[:200] or type(problem).__name__) from None
        with client:
            try:
                # Impure: the same part may be requested again after the output was deleted.
                futures = {client.submit(_attempt, job, name, retries=RETRIES, pure=False): name for name in names}
                for future in distributed.as_completed(futures, loop=client.loop):
                    name = futures[future]
                    yield name, _received(distributed, future, name)
                    # The result is on disk, so the scheduler need not keep it.
                    future.release()
            except (CancelledError, distributed.comm.CommClosedError):
                raise usage(
                    "cluster.scheduler_died",
                    "the connection to the scheduler was lost",
                    where=f"--cluster {address}",
                    hint="check the scheduler's log, and start it again",
                ) from None

    return engine


def _check_address(distributed: Any, address: str) -> None:
    """Refuse an invalid address at once; Dask would take a minute."""
    try:
        distributed.comm.get_address_host_port(address)
    except ValueError as problem:
        raise _unreachable(address, str(problem)) from None
    secret = address.startswith(("tls://", "wss://"))
    if secret and distributed.Security().get_connection_args("client")["ssl_context"] is None:
        raise usage(
            "cluster.no_certificate",
            "Dask has no certificate for an encrypted connection",
            where=f"--cluster {address}",
            hint="name the files under distributed.comm.tls in Dask's configuration, or give a tcp:// address",
        )


def _unreachable(address: str, got: str) -> MgRiskError:
    return usage(
        "cluster.unreachable",
        "no scheduler found",
        where=f"--cluster {address!r}",
        got=got,
        hint="start one with `dask scheduler`, and give the address that it prints, tcp://…",
    )


def _attempt(job: Job, name: str) -> Receipt | MgRiskError:
    """Score a part; an error is returned, so that Dask does not retry it."""
    try:
        return score_part(job, name)
    except MgRiskError as refusal:
        return refusal


def _received(distributed: Any, future: Any, name: str) -> Receipt:
    try:
        answer = future.result()
    except distributed.KilledWorker:
        raise usage(
            "cluster.worker_died",
            "every worker that scored this part died",
            where=name,
            hint="check the workers' logs; a part needs about 600 MB whatever its size",
        ) from None
    if isinstance(answer, MgRiskError):
        raise answer
    receipt: Receipt = answer
    return receipt

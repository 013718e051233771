"""Scoring a folder of files: each part by itself, on this machine or a Dask cluster, and the folder appears whole.

Beside ``scored`` stands ``.scored.parts`` while the work lasts. There lie the bundle, the parts that are complete, and
a receipt of each: what it was made of and its counts. A part is written under a name of its own attempt and then
renamed, so that it does not matter how often it was begun, where, or who died over it: what stands is complete, and two
attempts write the same bytes. `--resume` takes the parts whose receipts still hold.

On a cluster (docs/decisions/0023-engine-of-the-cluster.md) the scheduler gives the parts of a machine that dies to
another one. All machines see the same folders under the same names, and have the same mgrisk; both are checked where
the work is done.
"""

from __future__ import annotations

import csv
import hashlib
import json
import shutil
import uuid
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from functools import lru_cache
from importlib.metadata import version
from pathlib import Path
from typing import Any, Final

import xxhash

from mgrisk.errors import MgRiskError, bad_bundle, bad_input, usage
from mgrisk.score.batch import REJECT_COLUMNS, BatchOptions, Progress, about_answers, score_table
from mgrisk.score.cells import Missing
from mgrisk.score.journal import lock_of
from mgrisk.score.scorer import Scorer, load_scorer
from mgrisk.score.summary import Summary, Tally
from mgrisk.storage.files import atomic, read_json, write_json
from mgrisk.storage.lock import exclusive_lock

ENDINGS: Final = (".parquet", ".csv", ".csv.gz", ".csv.zst")
BUNDLE, RECEIPTS, REJECTS, ATTEMPTS = ".bundle", ".receipts", ".rejects", ".attempts"


@dataclass(frozen=True)
class Job:
    """What the parts of a folder have in common: plain values that travel to other machines.

    Attributes
    ----------
    source, staging
        Folders of the input and of what is complete; every machine must see both under these names.
    fingerprint, version
        What the bundle and mgrisk itself must be wherever a part is scored.
    reasons, rejects, strict, what_if, next_question, missing
        As in `batch.BatchOptions` and `scorer.load_scorer`; `rejects` says whether rejected rows are kept, `missing`
        has the words beside those of the list.
    """

    source: str
    staging: str
    fingerprint: str
    version: str
    reasons: int
    rejects: bool
    strict: bool
    what_if: bool
    next_question: bool
    missing: tuple[str, ...] = ()

    @property
    def key(self) -> str:
        """What tells the answers of this job from those of another, wherever they lie."""
        content = {name: value for name, value in asdict(self).items() if name not in ("source", "staging")}
        return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


@dataclass(frozen=True)
class Receipt:
    """A part that is complete.

    Attributes
    ----------
    key, digest
        The job, and the content of the input.
    size
        Bytes of the output.
    tally
        What it came to.
    """

    key: str
    digest: str
    size: int
    tally: dict[str, Any]


Engine = Callable[[Job, Sequence[str]], Iterator[tuple[str, Receipt]]]
"""Scores the parts of a job in any order; yields each with its receipt as it is complete."""


def part_names(source: Path) -> list[str]:
    """Return the parts of a folder and of the folders below it, in order; names that begin with . or _ are none.

    Raises
    ------
    MgRiskError
        `input.not_a_part` for a file that cannot be scored, since to leave it out would lose its rows, and
        `input.no_parts`.
    """
    names = []
    for path in sorted(source.rglob("*")):
        relative = path.relative_to(source)
        if path.is_dir() or any(step.startswith((".", "_")) for step in relative.parts):
            continue
        if not path.name.endswith(ENDINGS):
            raise bad_input(
                "input.not_a_part",
                "the folder holds a file that is no part of the table",
                where=str(path),
                expected=" or ".join(ENDINGS),
                hint="move it elsewhere, or let its name begin with _",
            )
        names.append(relative.as_posix())
    if not names:
        raise bad_input(
            "input.no_parts",
            "the folder holds nothing to score",
            where=str(source),
            expected=" or ".join(ENDINGS),
            hint="check the path",
        )
    return names


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
    progress: Callable[[Progress], None] | None = None,
) -> Summary:
    """Score a folder of files into a folder of files of the same names.

    Parameters
    ----------
    bundle
        Folder of the model.
    source, target
        Folders; the target must not be there yet, and appears when all of it is complete.
    options
        The file of rejected rows has part, row, problems, and the row as it was, in the order of the parts; to go on is
        to take the parts that the same job had completed.
    engine
        `on_threads` or `on_cluster`; no byte of the output depends on it.
    what_if, next_question, progress
        As for `scorer.load_scorer` and `batch.score_table`.
    missing
        Words that mean missing, beside those of the list.

    Raises
    ------
    MgRiskError
        Those of `part_names` and of `batch.score_table`, `output.exists`, `output.in_use` and those of the engine.
    """
    if target.exists():
        raise bad_input("output.exists", "the output is there already", where=str(target), hint="name another folder")
    names = part_names(source)
    size = {name: (source / name).stat().st_size for name in names}
    scorer = load_scorer(bundle, what_if=what_if, next_question=next_question, missing=Missing.also(missing))
    with _staging(target, resume=options.resume) as staging:
        shutil.copytree(bundle, staging / BUNDLE, dirs_exist_ok=True)
        job = Job(
            source=str(source.resolve()),
            staging=str(staging.resolve()),
            fingerprint=scorer.fingerprint,
            version=version("mgrisk"),
            reasons=options.reasons,
            rejects=options.rejects is not None,
            strict=options.strict,
            what_if=what_if,
            next_question=next_question,
            missing=tuple(missing),
        )
        receipts: dict[str, Receipt] = {}
        rows = done = 0
        for name, receipt in engine(job, names):
            receipts[name] = receipt
            rows, done = rows + receipt.tally["rows"], done + size[name]
            if progress:
                progress(Progress(rows, done / max(sum(size.values()), 1)))
        # In the order of the parts, whatever order they came in: sums of floats depend on it.
        tally = sum((Tally.from_dict(receipts[name].tally) for name in names), Tally())
        if options.rejects:
            _join_rejects(staging, names, Path(options.rejects))
        for left in (BUNDLE, RECEIPTS, REJECTS, ATTEMPTS):
            shutil.rmtree(staging / left, ignore_errors=True)
        staging.rename(target)
    tallies = {name: receipts[name].tally for name in names}
    about = {
        "input": str(source),
        "parts": {name: {"rows": each["rows"], "rejected": each["rejected"]} for name, each in tallies.items()},
        **about_answers(scorer, reasons=options.reasons),
    }
    summary = Summary.of(scorer, tally, about)
    write_json(target.with_name(f"{target.name}.summary.json"), summary.to_dict())
    return summary


def on_threads(workers: int) -> Engine:
    """Return the engine of this machine alone: as many parts at a time, or all threads on one where there are few."""

    def engine(job: Job, names: Sequence[str]) -> Iterator[tuple[str, Receipt]]:
        if len(names) < workers:
            yield from ((name, score_part(job, name, workers=workers)) for name in names)
            return
        # Loaded here and not first on several threads at once.
        _scorer(job)
        with ThreadPoolExecutor(max_workers=workers) as pool:
            futures = {pool.submit(score_part, job, name): name for name in names}
            try:
                for future in as_completed(futures):
                    yield futures[future], future.result()
            finally:
                for future in futures:
                    future.cancel()

    return engine


def score_part(job: Job, name: str, *, workers: int = 1) -> Receipt:
    """Score a part of a job, unless that has been done; what a machine of a cluster is asked to do.

    Raises
    ------
    MgRiskError
        `cluster.other_version`, `cluster.other_bundle`, and those of `batch.score_table`.
    """
    staging, source = Path(job.staging), Path(job.source) / name
    output, receipt = staging / name, staging / RECEIPTS / f"{name}.json"
    digest = _digest(source)
    if output.is_file() and receipt.is_file():
        found = Receipt(**read_json(receipt))
        if (found.key, found.digest, found.size) == (job.key, digest, output.stat().st_size):
            return found
    scorer = _scorer(job)
    attempt = staging / ATTEMPTS / uuid.uuid4().hex
    rejects = attempt / "rejects.csv"
    # The name's end says what is written: Parquet, CSV, packed or not.
    written = attempt / output.name
    attempt.mkdir(parents=True)
    try:
        summary = score_table(
            scorer,
            str(source),
            str(written),
            BatchOptions(job.reasons, rejects=str(rejects) if job.rejects else None, strict=job.strict),
            workers=workers,
        )
        if job.rejects:
            _move(rejects, staging / REJECTS / f"{name}.csv")
        made = Receipt(job.key, digest, written.stat().st_size, summary.tally.to_dict())
        _move(written, output)
        write_json(receipt, asdict(made))
    finally:
        shutil.rmtree(attempt, ignore_errors=True)
    return made


@lru_cache(maxsize=2)
def _load(bundle: str, fingerprint: str, what_if: bool, next_question: bool, missing: tuple[str, ...]) -> Scorer:
    scorer = load_scorer(bundle, what_if=what_if, next_question=next_question, missing=Missing.also(missing))
    if scorer.fingerprint != fingerprint:
        raise bad_bundle(
            "cluster.other_bundle",
            "the bundle that this machine reads is not that of the job",
            where=bundle,
            hint="let every machine see the output's folder under the same name",
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
    return _load(str(Path(job.staging) / BUNDLE), job.fingerprint, job.what_if, job.next_question, job.missing)


@contextmanager
def _staging(target: Path, *, resume: bool) -> Iterator[Path]:
    """Yield the folder that becomes `target`, held by this process.

    An error or a kill leaves the parts that are complete, for `--resume`; an error before the first leaves nothing.
    """
    staging = target.with_name(f".{target.name}.parts")
    with exclusive_lock(lock_of(target), output=target):
        staging.mkdir(exist_ok=True)
        for path in staging.iterdir():
            if not resume or path.name == ATTEMPTS:
                shutil.rmtree(path) if path.is_dir() else path.unlink()
        try:
            yield staging
        except Exception:
            if not any(path.is_file() for path in (staging / RECEIPTS).rglob("*")):
                shutil.rmtree(staging)
            raise


def _join_rejects(staging: Path, names: Sequence[str], target: Path) -> None:
    with atomic(target) as part, part.open("w", encoding="utf-8", newline="") as stream:
        joined = csv.writer(stream, lineterminator="\n")
        joined.writerow(["part", *REJECT_COLUMNS])
        for name in names:
            with (staging / REJECTS / f"{name}.csv").open(encoding="utf-8", newline="") as rows:
                lines = csv.reader(rows)
                next(lines)
                joined.writerows([name, *line] for line in lines)


def _move(made: Path, place: Path) -> None:
    place.parent.mkdir(parents=True, exist_ok=True)
    made.replace(place)


def _digest(path: Path) -> str:
    digest = xxhash.xxh3_128()
    with path.open("rb") as stream:
        while block := stream.read(1 << 22):
            digest.update(block)
    return digest.hexdigest()


PATIENCE: Final = "20s"
RETRIES: Final = 2
"""How often a part is tried again after an error that is not the data's, such as a network file system that hiccups."""


def on_cluster(address: str) -> Engine:
    """Return the engine of a Dask scheduler, for example ``tcp://10.0.0.1:8786``.

    Raises
    ------
    MgRiskError
        `cluster.not_installed`, `cluster.unreachable`, `cluster.worker_died` where a part killed several machines one
        after the other, and what a part itself is refused for.
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
    distributed: Any = dask  # Dask has no type hints for half of it

    def engine(job: Job, names: Sequence[str]) -> Iterator[tuple[str, Receipt]]:
        try:
            client = distributed.Client(address, timeout=PATIENCE, set_as_default=False)
        except (OSError, ValueError) as problem:
            raise usage(
                "cluster.unreachable",
                "there is no scheduler",
                where=f"--cluster {address}",
                got=str(problem)[:200] or type(problem).__name__,
                hint="start one with `dask scheduler`, and name it as it tells, tcp://…",
            ) from None
        with client:
            # Impure: the same part may be asked for again after the output was thrown away.
            futures = {client.submit(_attempt, job, name, retries=RETRIES, pure=False): name for name in names}
            for future in distributed.as_completed(futures, loop=client.loop):
                name = futures[future]
                yield name, _received(distributed, future, name)
                # The scheduler need not keep what is on disk.
                future.release()

    return engine


def _attempt(job: Job, name: str) -> Receipt | MgRiskError:
    """Score a part; a refusal is an answer, so that Dask does not try it again."""
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
            "every machine that was given this part died over it",
            where=name,
            hint="look at the workers' logs; a part needs some 600 MB whatever its size",
        ) from None
    if isinstance(answer, MgRiskError):
        raise answer
    receipt: Receipt = answer
    return receipt

"""Run a pipeline file: check it, and run its steps in a locked run folder."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final

from mgrisk import __version__
from mgrisk.config.pipeline_file import Synthetic, load
from mgrisk.config.pipelines import pipeline_path
from mgrisk.errors import usage
from mgrisk.nhanes.lock_file import digest
from mgrisk.nhanes.store import fetch
from mgrisk.nhanes.synthetic import write_cohort
from mgrisk.pipeline import (
    added,
    audit,
    bundle,
    calibration,
    checks,
    cohort,
    evaluate,
    evidence,
    explain,
    folds,
    imputation,
    items,
    known,
    options,
    own_cohort,
    raw_tables,
    report,
    stability,
    temporal,
    track,
    train,
)
from mgrisk.pipeline import candidates as competing
from mgrisk.pipeline.engine import Manifest, Progress, Step, environment, run_steps
from mgrisk.pipeline.finished import Run
from mgrisk.pipeline.workers import Workers, started
from mgrisk.pipeline.workspace import Workspace
from mgrisk.run_folder import names
from mgrisk.run_folder.folder import is_run
from mgrisk.storage.destinations import prepare_folder
from mgrisk.storage.files import is_intact, write_text
from mgrisk.storage.lock import exclusive_lock
from mgrisk.storage.temporary import sweep

LOCK: Final = ".lock"
# Why a file that other runs have is missing, for the error of a reader of the run folder.
NO_EVIDENCE: Final = {names.EVIDENCE: "the pipeline file has no section [evidence]; pipelines/magnesium.toml has"}
STEPS: Final = (
    own_cohort.STEP,
    cohort.STEP,
    known.STEP,
    folds.STEP,
    train.STEP,
    competing.STEP,
    audit.STEP,
    calibration.STEP,
    evaluate.STEP,
    explain.STEP,
    stability.STEP,
    temporal.STEP,
    evidence.STEP,
    options.STEP,
    imputation.STEP,
    added.STEP,
    checks.STEP,
    items.STEP,
    report.STEP,
    bundle.STEP,
    track.STEP,
)


def run(
    pipeline: Path | str,
    *,
    overrides: Sequence[str] = (),
    out: Path | str | None = None,
    offline: bool = False,
    until: str | None = None,
    candidates: Mapping[str, Any] = MappingProxyType({}),
    workers: int = 1,
    progress: Progress = lambda _: None,
) -> Run:
    """Run a pipeline file.

    Parameters
    ----------
    pipeline
        TOML file, or the name of a pipeline that comes with mgrisk, such as ``demo``.
    overrides
        `key=value`, as for `--set`.
    out
        Run folder; by default `runs/<name>`.
    offline
        Never download; a table that is not in the cache is an error.
    until
        Last step to run; by default all. No outcome of the held-out cycles is used up to ``audit``.
    candidates
        Candidate scikit-learn classifiers by name, such as ``{"mine": LogisticRegression()}``. They get the features
        as numeric columns (``age_years``, ``sex=male``), and the survey weights if their `fit` accepts them; they are
        calibrated, evaluated and explained like the other models on the same folds. The bundle has the model chosen
        among those of the pipeline file, since it cannot contain a candidate.
    workers
        Number of steps at a time; all numbers are the same with any. More than 1 needs worker processes, and so, in a
        script, its calls under ``if __name__ == "__main__":``, and candidates that can be pickled.
    progress
        Called with a line when a step begins, and with one of its seconds and its summary when it has ended.

    Returns
    -------
    Run

    Raises
    ------
    MgRiskError
        `candidates.bad_name`, `candidates.no_classifier`, `candidates.missing_values`; `run.unknown_step`;
        `output.in_use` if another run uses the folder; `run.worker_died` if a worker process was killed.
    ValueError
        If `workers` is less than 1.

    Examples
    --------
    >>> run("pipelines/demo.toml", out="runs/demo").evaluation.frame()  # doctest: +SKIP
    """
    if workers < 1:
        raise ValueError("`workers` must be at least 1")
    settings = load(pipeline_path(pipeline), overrides=overrides)
    folder = Path(out) if out is not None else Path("runs") / settings.name
    given = None if settings.own is None else own_cohort.given(settings.own)
    own = competing.accepted(candidates, settings.model)
    workspace = Workspace(settings, folder, offline=offline, given=given, candidates=own)
    # Everything that can be refused is refused before the first file is written.
    if settings.own is not None:
        own_cohort.refuse_misuse(workspace, settings.own)
    else:
        raw_tables.refuse_misuse(workspace)
    prepare_folder(folder, is_ours=is_run, inputs=_inputs(workspace))
    for name in (names.TRAINED, names.BUNDLE, names.FIGURES):
        # They are replaced as a whole, so they are checked as a whole.
        prepare_folder(folder / name, is_ours=is_intact)
    track.refuse_misuse(workspace)
    with _alone(folder), started(workers, folder) as performers:
        return _run(workspace, until=until, workers=performers, progress=progress)


def _inputs(workspace: Workspace) -> Sequence[Path]:
    """Return the input files and folders of a run."""
    if workspace.pipeline.own is not None:
        return own_cohort.files(workspace.pipeline.own)
    source = None if workspace.pipeline.synthetic is not None else workspace.store.folder()
    return () if source is None else (source,)


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """Lock a run folder against other runs, and remove temporary files of a killed run."""
    with exclusive_lock(folder / LOCK, output=folder):
        sweep(folder)
        yield


def _run(workspace: Workspace, *, until: str | None, workers: Workers, progress: Progress) -> Run:
    settings, folder, store = workspace.pipeline, workspace.folder, workspace.store
    if workspace.synthetic:
        progress("SYNTHETIC: these people are made up; no number below is about anybody")
    head = {
        "data": workspace.data_label,
        "mgrisk": __version__,
        "pipeline": settings.name,
        "title": settings.title,
        "environment": environment(),
        "absent": {} if settings.evidence else NO_EVIDENCE,
    }
    manifest = Manifest.open(folder, head)
    if settings.synthetic is not None:
        # Written first, so that the folder is recognised as a run folder even if this run is killed.
        manifest.write()
        _make_people(workspace, settings.synthetic, progress)
    if settings.own is not None:
        tables = {path.name: digest(path) for path in own_cohort.files(settings.own)}
    else:
        fetched = fetch(store, raw_tables.tables(workspace, store))
        tables = {item.relative: store.digest(item.relative) for item in fetched}
        tables |= {path.name: digest(path) for path in raw_tables.given_files(workspace, store)}
    manifest.write()
    write_text(folder / names.RESOLVED, settings.to_toml())
    raw = hashlib.sha256(json.dumps(tables, sort_keys=True).encode()).hexdigest()
    wanted = [step for step in STEPS if step.wanted(workspace)]
    _remove_unwanted(workspace, wanted, manifest)
    steps = _until(wanted, until)
    done = run_steps(steps, workspace, manifest, raw=raw, workers=workers, progress=progress)
    return Run(folder, tuple(done))


def _remove_unwanted(workspace: Workspace, wanted: Sequence[Step], manifest: Manifest) -> None:
    """Remove files of steps that an earlier run in the folder had and this one lacks, so that no report uses them."""
    made = {name for step in wanted for name in step.outputs}
    known = manifest.steps.keys() - {step.name for step in wanted}
    for step in STEPS:
        if step.name in known:
            del manifest.steps[step.name]
            for name in set(step.outputs) - made:
                workspace.run.path(name).unlink(missing_ok=True)


def _until(steps: list[Step], last: str | None) -> list[Step]:
    names = [step.name for step in steps]
    if last is None:
        return steps
    if last not in names:
        raise usage("run.unknown_step", f"there is no step {last}", where="--until", hint=f"one of: {', '.join(names)}")
    return steps[: names.index(last) + 1]


def _make_people(workspace: Workspace, made: Synthetic, progress: Progress) -> None:
    write_cohort(
        workspace.run.path(names.SYNTHETIC_TABLES),
        people_per_cycle=made.people_per_cycle,
        seed=made.seed,
        cycles=workspace.cycles,
    )
    progress(f"made {made.people_per_cycle:,} SYNTHETIC people for each cycle, as XPT tables")

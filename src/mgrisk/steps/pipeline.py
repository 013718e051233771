"""Run a pipeline file: what is refused at once, which steps there are, and what a finished run is."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Final

import pandas as pd

from mgrisk import __version__
from mgrisk.artifacts import read_json, write_text
from mgrisk.config import Synthetic, load
from mgrisk.errors import usage
from mgrisk.nhanes.lock_file import digest
from mgrisk.nhanes.store import Store, default_cache, default_source, fetch
from mgrisk.nhanes.synthetic import write_cohort
from mgrisk.score.journal import hold
from mgrisk.steps import evidence, finish, imputation, own_cohort, review, stations, temporal
from mgrisk.steps.added_value import add_value
from mgrisk.steps.audit import audit
from mgrisk.steps.calibration import calibrate
from mgrisk.steps.engine import Manifest, Progress, Step, environment, run_steps
from mgrisk.steps.explaining import explain
from mgrisk.steps.stability import refit_and_explain
from mgrisk.steps.workspace import Workspace

__all__ = ["Evaluation", "Run", "run"]

LOCK: Final = ".lock"
PEOPLE: Final = ("features.parquet", "fitted_features.json", "cohort.parquet", "cohort.json")
EVALUATED: Final = (
    "evaluation.json", "differences.json", "thresholds.json", "curves.json", "table_one.json", "scores.json",
    "predictions.parquet",
)  # fmt: skip
EXPLAINED: Final = ("explanations.parquet", "explanation_summary.json")
TEMPORAL: Final = ("temporal.json", "temporal.parquet")
STABILITY: Final = ("stability.json", "stability.parquet")
SEEN: Final = ("attrition.json", "tables.json", "known_answers.json", "tuning.json", "trained")
# A file of the interface that this run does not make: said where a reader of the run folder looks.
NO_EVIDENCE: Final = {"evidence.json": "the pipeline file has no section [evidence]; pipelines/magnesium.toml has"}
AUDITED: Final = ("leaks.json", "calibration.json", "added_value.json")
TOLD: Final = (*PEOPLE, *EVALUATED, *EXPLAINED, *STABILITY, *TEMPORAL, *SEEN)


@dataclass(frozen=True)
class Evaluation:
    """The flat records of evaluation.json."""

    records: tuple[dict[str, Any], ...]

    def frame(self) -> pd.DataFrame:
        """Return the records as a table."""
        return pd.DataFrame(self.records)


@dataclass(frozen=True)
class Run:
    """A finished run.

    Attributes
    ----------
    folder
        The run folder.
    steps
        Names of the steps that had to run.
    """

    folder: Path
    steps: tuple[str, ...]

    @property
    def evaluation(self) -> Evaluation:
        """The evaluation's records."""
        return Evaluation(tuple(read_json(self.folder / "evaluation.json")))

    @property
    def report(self) -> Path:
        """Path of the report."""
        return self.folder / "report.html"

    @property
    def bundle(self) -> Path:
        """Path of the bundle."""
        return self.folder / "bundle"


def run(
    pipeline: Path | str,
    *,
    overrides: Sequence[str] = (),
    out: Path | str | None = None,
    offline: bool = False,
    until: str | None = None,
    progress: Progress = lambda _: None,
) -> Run:
    """Run a pipeline file.

    Parameters
    ----------
    pipeline
        TOML file under `pipelines/`.
    overrides
        `key=value`, as `--set`.
    out
        Run folder; `runs/<name>` where it is left out.
    offline
        Never download; what is not in the cache is an error.
    until
        Last step to run; all where it is left out. Until ``audit`` no model has met an outcome of the held-out cycles.
    progress
        Called with a line for each step.

    Returns
    -------
    Run

    Raises
    ------
    MgRiskError
        With the exit status of interface.md; `run.unknown_step`, `output.in_use` where another run has the folder.
    """
    settings = load(pipeline, overrides=overrides)
    folder = Path(out) if out is not None else Path("runs") / settings.name
    workspace = Workspace(settings, folder)
    # Everything that can be refused is refused before the first file is written.
    if settings.own is not None:
        own_cohort.refuse_misuse(workspace, settings.own)
    else:
        stations.refuse_misuse(workspace)
    store = _store(workspace, offline=offline)
    with _alone(folder):
        return _run(workspace, store, until=until, progress=progress)


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """Keep other runs out of a run folder, and clear away what a run that was killed in it has left half written."""
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / LOCK).open("ab") as lock:
        hold(lock, folder)
        for left in (*folder.rglob(".*.part"), *folder.rglob(".*.old")):
            shutil.rmtree(left) if left.is_dir() else left.unlink(missing_ok=True)
        yield


def _run(workspace: Workspace, store: Store, *, until: str | None, progress: Progress) -> Run:
    settings, folder = workspace.pipeline, workspace.folder
    if workspace.synthetic:
        progress("SYNTHETIC: these people are made up; no number below is about anybody")
    if settings.synthetic is not None:
        _make_people(workspace, settings.synthetic, progress)
    if settings.own is not None:
        tables = {path.name: digest(path) for path in own_cohort.files(settings.own)}
    else:
        fetched = fetch(store, stations.tables(workspace, store))
        tables = {item.relative: store.digest(item.relative) for item in fetched}
        tables |= {path.name: digest(path) for path in stations.given_files(workspace, store)}
    write_text(folder / "resolved.toml", settings.to_toml())
    head = {
        "data": workspace.data_label,
        "mgrisk": __version__,
        "pipeline": settings.name,
        "title": settings.title,
        "environment": environment(),
        "absent": {} if settings.evidence else NO_EVIDENCE,
    }
    manifest = Manifest.open(folder, head)
    steps = _until(_steps(workspace, store, tables), until)
    done = run_steps(steps, manifest, progress=progress)
    return Run(folder, tuple(done))


def _steps(workspace: Workspace, store: Store, tables: dict[str, str]) -> list[Step]:
    settings = workspace.pipeline
    raw = hashlib.sha256(json.dumps(tables, sort_keys=True).encode()).hexdigest()
    model = settings.digest(*settings.decisive)
    told = settings.digest("title", *settings.decisive, "tracking", "synthetic")
    if settings.own is not None:
        make_cohort = partial(own_cohort.make_cohort, workspace, settings.own)
    else:
        make_cohort = partial(stations.make_cohort, workspace, store)
    chapter = [
        Step(
            "evidence",
            inputs=("tables.json",),
            outputs=("evidence.json",),
            settings=raw + settings.digest("cohort", "evidence"),
            action=partial(evidence.estimate, workspace, store),
        ),
        Step(
            "options",
            inputs=(*PEOPLE, "trained", "tuning.json", "predictions.parquet"),
            outputs=("what_if.json",),
            settings=raw + settings.digest("cohort", "evidence"),
            action=partial(evidence.options, workspace, store),
        ),
    ]
    sensitivity = Step(
        "imputation",
        inputs=(*PEOPLE, "targets.parquet", "folds.parquet", "trained", "tuning.json"),
        outputs=("imputation.json",),
        settings=settings.digest("cohort", "model", "sensitivity"),
        action=partial(imputation.impute, workspace),
    )
    chapter = [*(chapter if settings.evidence else []), *([sensitivity] if settings.sensitivity else [])]
    return [
        Step(
            "cohort",
            inputs=(),
            outputs=(*PEOPLE, "targets.parquet", "attrition.json", "tables.json"),
            settings=raw + model,
            action=make_cohort,
        ),
        Step(
            "known",
            inputs=("tables.json",),
            outputs=("known_answers.json",),
            settings=raw + settings.digest("cohort"),
            action=partial(stations.know, workspace, store),
        ),
        Step(
            "folds",
            inputs=PEOPLE,
            outputs=("folds.parquet",),
            settings=settings.digest("cohort"),
            action=partial(stations.make_folds, workspace),
        ),
        Step(
            "train",
            inputs=(*PEOPLE, "targets.parquet", "folds.parquet", "tables.json", "known_answers.json"),
            outputs=("trained", "oof.parquet", "tuning.json"),
            settings=told,
            action=partial(stations.make_model, workspace),
        ),
        Step(
            "audit",
            inputs=(*PEOPLE, "folds.parquet", "tuning.json"),
            outputs=("leaks.json",),
            settings=model,
            action=partial(audit, workspace),
        ),
        Step(
            "calibration",
            inputs=(*PEOPLE, "oof.parquet", "tuning.json"),
            outputs=("calibration.json",),
            settings=model,
            action=partial(calibrate, workspace),
        ),
        Step(
            "evaluate",
            inputs=(*PEOPLE, "folds.parquet", "trained", "oof.parquet", "tuning.json"),
            outputs=EVALUATED,
            settings=model,
            action=partial(stations.evaluate, workspace),
        ),
        Step(
            "explain",
            inputs=(*PEOPLE, "trained", "tuning.json"),
            outputs=EXPLAINED,
            settings=model,
            action=partial(explain, workspace),
        ),
        Step(
            "stability",
            inputs=(*PEOPLE, "targets.parquet", "folds.parquet", "trained", "tuning.json"),
            outputs=STABILITY,
            settings=model,
            action=partial(refit_and_explain, workspace),
        ),
        Step(
            "temporal",
            inputs=(*PEOPLE, "targets.parquet", "folds.parquet", "trained", "tuning.json"),
            outputs=TEMPORAL,
            settings=model,
            action=partial(temporal.leave_cycles_out, workspace),
        ),
        *chapter,
        Step(
            "added",
            inputs=(*PEOPLE, "targets.parquet", "folds.parquet", "trained", "tuning.json", "predictions.parquet"),
            outputs=("added_value.json",),
            settings=model,
            action=partial(add_value, workspace),
        ),
        Step(
            "checks",
            inputs=(*TOLD, *AUDITED, "folds.parquet", "oof.parquet"),
            outputs=("checks.json",),
            settings=told,
            action=partial(review.check, workspace),
        ),
        Step(
            "items",
            inputs=(
                *TOLD,
                *AUDITED,
                "folds.parquet",
                "oof.parquet",
                "checks.json",
                *(name for step in chapter for name in step.outputs),
            ),
            outputs=("tripod.json", "probast.json"),
            settings=told,
            action=partial(review.answer_items, workspace),
        ),
        Step(
            "report",
            inputs=(
                *(*TOLD, *AUDITED, "checks.json", "tripod.json", "probast.json"),
                *(name for step in chapter for name in step.outputs),
            ),
            outputs=("report.html", "figures", "card.md"),
            settings=told,
            action=partial(finish.report, workspace),
        ),
        Step(
            "bundle",
            inputs=("trained", "tuning.json", "card.md"),
            outputs=("bundle",),
            settings=told,
            action=partial(finish.bundle, workspace),
        ),
        Step(
            "without",
            inputs=(*PEOPLE, "bundle", "temporal.parquet"),
            outputs=("without",),
            settings=told,
            action=partial(temporal.bundles_without, workspace),
        ),
        Step(
            "track",
            inputs=(
                *("bundle", "report.html", "evaluation.json", "checks.json", "tuning.json", "tripod.json"),
                *("probast.json", *PEOPLE),
            ),
            outputs=("tracking.json",),
            settings=told,
            action=partial(finish.log, workspace),
        ),
    ]


def _until(steps: list[Step], last: str | None) -> list[Step]:
    names = [step.name for step in steps]
    if last is None:
        return steps
    if last not in names:
        raise usage("run.unknown_step", f"there is no step {last}", where="--until", hint=f"one of: {', '.join(names)}")
    return steps[: names.index(last) + 1]


def _store(workspace: Workspace, *, offline: bool) -> Store:
    if workspace.pipeline.synthetic is not None:
        # Real food patterns are not those of made-up people.
        made = str(workspace.path("synthetic"))
        return Store(source=made, cache=default_cache(), offline=True, food_patterns=None)
    return Store(source=workspace.pipeline.source or default_source(), cache=default_cache(), offline=offline)


def _make_people(workspace: Workspace, made: Synthetic, progress: Progress) -> None:
    write_cohort(
        workspace.path("synthetic"),
        people_per_cycle=made.people_per_cycle,
        seed=made.seed,
        cycles=stations.cycles(workspace),
    )
    progress(f"people     made {made.people_per_cycle:,} SYNTHETIC people for each cycle, as XPT tables")

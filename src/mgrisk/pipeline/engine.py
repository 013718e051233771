"""Run steps incrementally: a step runs again only if its inputs, its settings, its code or a library changed.

The manifest of the run folder has, for each step, a key of its inputs and the sha256 of its outputs. A step is skipped
if its key is the same and its outputs are unchanged.
"""

from __future__ import annotations

import hashlib
import json
import platform
from collections.abc import Callable, Container, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from mgrisk.config.pipeline_file import Section
from mgrisk.errors import usage
from mgrisk.pipeline import closure
from mgrisk.run_folder import names
from mgrisk.storage.files import read_json, sha256, write_json

if TYPE_CHECKING:
    from mgrisk.pipeline.workers import Workers
    from mgrisk.pipeline.workspace import Workspace

MANIFEST: Final = names.MANIFEST
FORMAT: Final = 1
LIBRARIES: Final = ("xgboost", "numpy", "pandas", "pyarrow", "scikit-learn", "scipy", "shap", "mlflow", "matplotlib")
MODEL: Final = ("cohort", "model", "own")
"""Sections that a trained model depends on."""
DESCRIBED: Final = ("title", *MODEL, "tracking", "synthetic")
"""Sections that the description of a model depends on."""
Progress = Callable[[str], None]


@dataclass(frozen=True)
class Step:
    """One step of a pipeline, defined as ``STEP`` in a module of its name.

    Attributes
    ----------
    name
        Name, as shown, in the manifest and for `--until`.
    title
        What it does, as shown.
    inputs, outputs
        Files or folders in the run folder that it reads and writes.
    optional
        Further inputs, from steps that not every pipeline has.
    settings
        Sections of the pipeline file that it depends on.
    action
        Does the work, and returns a line of progress.
    raw
        Whether it also reads the raw tables.
    wanted
        Returns whether a run has the step.
    estimators
        Whether it depends on the estimators passed in Python.
    logged
        Outputs that are logged in MLflow; none has a row per person.
    """

    name: str
    title: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    settings: tuple[Section, ...]
    action: Callable[[Workspace], str]
    raw: bool = False
    optional: tuple[str, ...] = ()
    wanted: Callable[[Workspace], bool] = lambda _: True
    estimators: bool = False
    logged: tuple[str, ...] = ()

    def read(self, made: AbstractSet[str]) -> tuple[str, ...]:
        """Return its inputs, with the optional ones that are among the outputs `made` by the steps of a run."""
        return (*self.inputs, *(name for name in self.optional if name in made))


@dataclass
class Manifest:
    """The manifest of a run folder; `steps` by name: key, outputs with sha256, seconds, peak memory, summary."""

    folder: Path
    head: dict[str, Any]
    steps: dict[str, dict[str, Any]] = field(default_factory=dict)

    @classmethod
    def open(cls, folder: Path, head: dict[str, Any]) -> Manifest:
        """Read the manifest of an earlier run in this folder, or create one.

        Raises
        ------
        MgRiskError
            `run.other_format` if another version of mgrisk wrote the folder in another format.
        """
        path = folder / MANIFEST
        try:
            content = read_json(path) if path.exists() else {"steps": {}}
            written = content.get("format", FORMAT)
            if written != FORMAT:
                raise usage(
                    "run.other_format",
                    "the run folder has another format",
                    where=str(folder),
                    expected=str(FORMAT),
                    got=str(written),
                    hint="name another folder, or run with the mgrisk version that wrote it",
                )
            read = content["steps"]
            steps = {name: {**row, "key": row["key"], "outputs": dict(row["outputs"])} for name, row in read.items()}
        except (ValueError, KeyError, TypeError, AttributeError):
            steps = {}  # writes are atomic, so it was edited; everything runs again
        return cls(folder, head, steps)

    def write(self, order: Sequence[str] = ()) -> None:
        """Write manifest.json, with the steps in an order; others come last."""
        place = {name: number for number, name in enumerate(order)}
        self.steps = dict(sorted(self.steps.items(), key=lambda step: place.get(step[0], len(order))))
        write_json(self.folder / MANIFEST, {"format": FORMAT, **self.head, "steps": self.steps})


def run_steps(
    steps: Sequence[Step],
    workspace: Workspace,
    manifest: Manifest,
    *,
    raw: str,
    workers: Workers,
    progress: Progress,
) -> list[str]:
    """Run the steps that are not current; return their names.

    A step starts when the steps that write its inputs have finished.

    Parameters
    ----------
    steps
        Steps; each after those that write its inputs.
    workspace
        The pipeline and its run folder.
    manifest
        Manifest of the run folder; updated after each step.
    raw
        Digest of the raw tables.
    workers
        Perform the steps.
    progress
        Called with a line when a step begins, and with one of its seconds and its summary when it has ended.
    """
    total = len(steps)
    made = {name for step in steps for name in step.outputs}
    finished, keys, done = set[str](), dict[str, str](), list[str]()
    while len(finished) < total:
        step = _ready(steps, made, finished, keys) if workers.has_room() else None
        if step is None:
            for step, outcome in workers.finished():
                manifest.steps[step.name] = {
                    "key": keys[step.name],
                    "outputs": {name: sha256(manifest.folder / name) for name in step.outputs},
                    "logged": list(step.logged),
                    "seconds": round(outcome.seconds, 3),
                    "peak_memory_mb": outcome.peak_memory_mb,
                    "summary": outcome.summary,
                }
                manifest.write([each.name for each in steps])
                progress(f"{outcome.seconds:9.1f} s  {step.name}: {outcome.summary}")
                finished.add(step.name)
                done.append(step.name)
            continue
        shown = f"[{steps.index(step) + 1:>{len(str(total))}}/{total}] {step.name}: {step.title}"
        inputs = {name: sha256(manifest.folder / name) for name in step.read(made)}
        settings = workspace.pipeline.digest(*step.settings)
        code = closure.digest(step.action.__module__)
        content = [settings, raw if step.raw else "", inputs, code]
        content += [{name: each.identity for name, each in workspace.candidates.items()}] if step.estimators else []
        keys[step.name] = hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()
        if _is_current(step, keys[step.name], manifest):
            progress(f"{shown} (unchanged)")
            finished.add(step.name)
            continue
        manifest.steps.pop(step.name, None)
        progress(shown)
        workers.start(step, workspace)
    return done


def _ready(
    steps: Sequence[Step], made: AbstractSet[str], finished: AbstractSet[str], begun: Container[str]
) -> Step | None:
    """Return the first step that has not begun and reads no output of an unfinished earlier one."""
    unfinished = set[str]()
    for step in steps:
        if step.name in finished:
            continue
        if step.name not in begun and unfinished.isdisjoint(step.read(made)):
            return step
        unfinished.update(step.outputs)
    return None


@cache
def environment() -> dict[str, str]:
    """Return the versions of Python and of the libraries that results depend on."""
    return {"python": platform.python_version(), **{name: closure.library_version(name) for name in LIBRARIES}}


def _is_current(step: Step, key: str, manifest: Manifest) -> bool:
    row = manifest.steps.get(step.name)
    if row is None or row["key"] != key or set(row["outputs"]) != set(step.outputs):
        return False
    paths = {name: manifest.folder / name for name in step.outputs}
    return all(path.exists() and sha256(path) == row["outputs"][name] for name, path in paths.items())

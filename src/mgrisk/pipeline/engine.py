"""Run steps incrementally: a step runs again only if its inputs, its settings, its code or a library changed.

The manifest of the run folder has, for each step, a key of its inputs and the sha256 of its outputs. A step is skipped
if its key is the same and its outputs are unchanged.
"""

from __future__ import annotations

import hashlib
import json
import platform
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import scipy.linalg  # noqa: F401  # loads its own BLAS, which can be limited to one thread only once it is loaded
from threadpoolctl import threadpool_limits

from mgrisk.config.pipeline_file import Section
from mgrisk.errors import usage
from mgrisk.pipeline import closure
from mgrisk.run_folder import names
from mgrisk.storage.files import read_json, sha256, write_json

if TYPE_CHECKING:
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

    def write(self) -> None:
        """Write manifest.json."""
        write_json(self.folder / MANIFEST, {"format": FORMAT, **self.head, "steps": self.steps})


def run_steps(
    steps: Sequence[Step], workspace: Workspace, manifest: Manifest, *, raw: str, progress: Progress
) -> list[str]:
    """Run the steps that are not current; return their names.

    Parameters
    ----------
    steps
        Steps in order.
    workspace
        The pipeline and its run folder.
    manifest
        Manifest of the run folder; updated after each step.
    raw
        Digest of the raw tables.
    progress
        Called with a line when a step begins, and with one of its seconds and its summary when it has ended.

    Notes
    -----
    Linear algebra uses one thread, since the rounding of sums depends on the number of threads, and a run must give the
    same result on every machine.
    """
    made = {name for step in steps for name in step.outputs}
    done = []
    for number, step in enumerate(steps, 1):
        shown = f"[{number:>{len(str(len(steps)))}}/{len(steps)}] {step.name}: {step.title}"
        read = (*step.inputs, *(name for name in step.optional if name in made))
        inputs = {name: sha256(manifest.folder / name) for name in read}
        settings = workspace.pipeline.digest(*step.settings)
        code = closure.digest(step.action.__module__)
        content = [settings, raw if step.raw else "", inputs, code]
        content += [{name: each.identity for name, each in workspace.candidates.items()}] if step.estimators else []
        key = hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()
        if _is_current(step, key, manifest):
            progress(f"{shown} (unchanged)")
            continue
        manifest.steps.pop(step.name, None)
        progress(shown)
        started = time.perf_counter()
        with threadpool_limits(limits=1, user_api="blas"):
            summary = step.action(workspace)
        seconds = time.perf_counter() - started
        manifest.steps[step.name] = {
            "key": key,
            "outputs": {name: sha256(manifest.folder / name) for name in step.outputs},
            "logged": list(step.logged),
            "seconds": round(seconds, 3),
            "peak_memory_mb": peak_memory_mb(),
            "summary": summary,
        }
        manifest.write()
        progress(f"{seconds:9.1f} s  {summary}")
        done.append(step.name)
    return done


def peak_memory_mb() -> int:
    """Return the peak resident memory of this process in MiB; 0 if the system does not report it."""
    if sys.platform == "win32":
        return 0
    import resource

    size = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return int(size / 2**20) if sys.platform == "darwin" else int(size / 2**10)


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

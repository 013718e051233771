"""One small SYNTHETIC run of the whole pipeline, shared by the integration tests, and the real mirror where it is."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import pytest
from filelock import FileLock

import mgrisk
from mgrisk.pipeline.finished import Run

ROOT = Path(__file__).parents[2]
DEMO = ROOT / "pipelines" / "demo.toml"
SMALL = (
    "synthetic.people_per_cycle=1500",
    "cohort.folds=3",
    "model.spline_logistic.c=[0.1]",
    "model.xgboost.trees=[30, 60]",
    "model.uncertainty.replicates=4",
    "model.uncertainty.draws=2",
    "sensitivity.imputations=2",
    # So few people calibrate to no better than this; what the gate refuses is tested in test_promotion.
    "tracking.gate.calibration_slope=[0.1, 10.0]",
    "tracking.gate.observed_expected=[0.1, 10.0]",
)


# No run of a test may land in the registry of whoever starts the tests.
os.environ.pop("MLFLOW_TRACKING_URI", None)


@pytest.fixture(autouse=True)
def _own_registry(monkeypatch: pytest.MonkeyPatch) -> None:
    """Take back what MLflow's `set_tracking_uri` in a test leaves in the environment; empty is as good as absent."""
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "")


@pytest.fixture(scope="session")
def small_settings() -> tuple[str, ...]:
    """Overrides that make the demo small."""
    return SMALL


@pytest.fixture(scope="session")
def small_run(tmp_path_factory: pytest.TempPathFactory, empty_registry: Path) -> Run:
    """A finished small demo run, made by the first worker that asks; tests that change anything take `run_copy`."""
    own = tmp_path_factory.getbasetemp()
    folder = (own.parent if "PYTEST_XDIST_WORKER" in os.environ else own) / "small-run" / "demo"
    folder.parent.mkdir(exist_ok=True)
    with FileLock(folder.parent / "lock"):
        if not (folder / "tracking.json").exists():  # what the last step writes
            shutil.copy(empty_registry, folder.parent)
            mgrisk.run(DEMO, overrides=SMALL, out=folder)
    return Run(folder, ())


@pytest.fixture
def run_copy(small_run: Run, empty_registry: Path, tmp_path: Path) -> Path:
    """A copy of the small run's folder that a test may change, beside a registry without versions."""
    copy = tmp_path / "demo"
    shutil.copy(empty_registry, tmp_path)
    shutil.copytree(small_run.folder, copy)
    return copy


@pytest.fixture
def mounted() -> Callable[[Path, str], AbstractContextManager[Path]]:
    """Return what mounts a disk of its own; it skips where this process may not mount one."""

    @contextmanager
    def disk(folder: Path, options: str) -> Iterator[Path]:
        folder.mkdir()
        command = ["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(folder)]
        if sys.platform != "linux" or subprocess.run(command, capture_output=True, check=False).returncode:
            pytest.skip("this process may not mount a disk (it needs to be root on Linux)")
        try:
            yield folder
        finally:
            subprocess.run(["umount", "--lazy", str(folder)], check=True)

    return disk


@pytest.fixture
def small_disk(tmp_path: Path, mounted: Callable[[Path, str], AbstractContextManager[Path]]) -> Iterator[Path]:
    """A disk of 1 MB."""
    with mounted(tmp_path / "small", "size=1m") as folder:
        yield folder


@pytest.fixture(scope="session")
def mirror() -> Path:
    """The real NHANES mirror."""
    folder = os.environ.get("MGRISK_NHANES")
    if not folder or not Path(folder).is_dir():
        pytest.skip("MGRISK_NHANES names no folder with the NHANES mirror")
    return Path(folder)

"""Optional inputs are used if an earlier step writes them, and are no error otherwise."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import cast

import pytest

from mgrisk.pipeline import closure
from mgrisk.pipeline.engine import Manifest, Step, run_steps
from mgrisk.pipeline.workers import Here
from mgrisk.pipeline.workspace import Workspace


@pytest.fixture(autouse=True)
def _same_code(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(closure, "digest", lambda _: "the same")


def run(folder: Path, *, extra: str | None) -> list[str]:
    """Run a step that tells of an optional file, perhaps after one that makes it; return the steps that ran."""

    def write(name: str, text: str) -> str:
        (folder / name).write_text(text)
        return name

    steps = [
        Step("told", "", (), ("told",), (), lambda _: write("told", "told"), optional=("extra",)),
    ]
    if extra is not None:
        steps.insert(0, Step("extra", "", ("source",), ("extra",), (), lambda _: write("extra", extra)))
    workspace = cast(Workspace, SimpleNamespace(pipeline=SimpleNamespace(digest=lambda *_: "same settings")))
    return run_steps(steps, workspace, Manifest.open(folder, {}), raw="", workers=Here(), progress=lambda _: None)


def test_an_optional_input_that_changed_runs_the_step_again(tmp_path: Path) -> None:
    (tmp_path / "source").write_text("1")
    assert run(tmp_path, extra="one") == ["extra", "told"]
    assert run(tmp_path, extra="one") == []
    (tmp_path / "source").write_text("2")
    assert run(tmp_path, extra="two") == ["extra", "told"]


def test_a_pipeline_without_the_step_that_makes_it_runs_and_runs_again_when_it_comes(tmp_path: Path) -> None:
    (tmp_path / "source").write_text("1")
    assert run(tmp_path, extra=None) == ["told"]
    assert run(tmp_path, extra=None) == []
    assert run(tmp_path, extra="one") == ["extra", "told"]

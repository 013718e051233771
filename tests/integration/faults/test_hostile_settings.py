"""Every kind of invalid pipeline or mapping file gives one error with its status and leaves no files."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest
from hostile_settings import PEOPLE, Kind, mappings, pipelines

from mgrisk.cli.main import main
from mgrisk.errors import ExitStatus

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="there are no named pipes")
PIPELINES, MAPPINGS = pipelines(), mappings()
OF_PEOPLE = {"input", "own", "system"}
"""Kinds of errors that are about people or the machine; all others are about what was asked for."""
BEGUN = {"manifest.json", "resolved.toml"}
"""What a run that was refused by the people themselves leaves, to be gone on with."""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    os.mkfifo("pipe")
    Path("broken").symlink_to("nowhere")
    Path("loop").symlink_to("loop")
    return tmp_path


def refused(kind: Kind, command: list[str], folder: Path, capsys: pytest.CaptureFixture[str]) -> set[str]:
    """Check that the command refuses a kind; return what it left."""
    (folder / "people.csv").write_text(
        PEOPLE.replace(*kind.people) if kind.people[0] else PEOPLE, "utf-8", "surrogateescape"
    )
    (folder / "settings.toml").write_bytes(kind.content)
    before = set(folder.rglob("*"))
    family, _, name = kind.code.partition(".")
    asked = family not in OF_PEOPLE and name not in {"missing_column", "infinite"}
    status = main(command)
    said = capsys.readouterr().err
    *_, error, where, hint = said.splitlines()
    assert f"[{kind.code}]" in error, said[:600]
    assert status == (ExitStatus.USAGE if asked else ExitStatus.INPUT)
    assert error.startswith("error: ")
    assert where.startswith("where: ")
    assert hint.startswith("to do: ")
    assert len(said) < 5000
    assert said.replace("\n", "").isprintable()
    return {path.relative_to(folder).as_posix() for path in set(folder.rglob("*")) - before}


@pytest.mark.parametrize("name", PIPELINES)
def test_a_pipeline_file_is_refused_in_words(name: str, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    command = ["run", "settings.toml", "--out", "out", "--until", "cohort"]
    left = refused(PIPELINES[name], command, folder, capsys)
    assert left in (set(), {"out", *(f"out/{each}" for each in BEGUN)})


@pytest.mark.parametrize("name", MAPPINGS)
def test_a_mapping_file_is_refused_in_words(name: str, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    command = ["map", "people.csv", "--mapping", "settings.toml", "-o", "out.csv"]
    assert refused(MAPPINGS[name], command, folder, capsys) == set()


def test_without_its_fault_each_file_does_its_work(folder: Path) -> None:
    """The kinds are refused for what they change, and for nothing else."""
    import tomli_w
    from hostile_settings import MAPPING, PIPELINE

    (folder / "people.csv").write_text(PEOPLE, "utf-8")
    (folder / "p.toml").write_bytes(b"\xef\xbb\xbf" + tomli_w.dumps(PIPELINE).encode())
    (folder / "m.toml").write_text(tomli_w.dumps(MAPPING), "utf-8")
    assert main(["run", "p.toml", "--out", "out", "--until", "cohort"]) == 0
    assert main(["map", "people.csv", "--mapping", "m.toml", "-o", "out.csv"]) == 0

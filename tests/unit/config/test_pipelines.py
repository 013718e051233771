"""Pipelines are found by name, and copies of them define the same run."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest

from mgrisk.cli.main import main
from mgrisk.config.pipeline_file import load
from mgrisk.config.pipelines import known_pipelines, pipeline_path, text_of
from mgrisk.errors import MgRiskError

ROOT = Path(__file__).parents[3]


def test_every_pipeline_of_the_repository_has_its_name() -> None:
    assert known_pipelines() == {path.stem: path for path in sorted((ROOT / "pipelines").glob("*.toml"))}


@pytest.mark.parametrize("name", known_pipelines())
def test_a_copy_says_the_same_as_the_pipeline_with_what_it_extends(name: str, tmp_path: Path) -> None:
    copy = tmp_path / "mine.toml"
    copy.write_text(text_of(name), "utf-8")
    assert "extends" not in tomllib.loads(copy.read_text("utf-8"))
    assert load(copy) == load(known_pipelines()[name])


def test_a_path_is_a_path_and_an_unknown_name_too() -> None:
    assert pipeline_path("pipelines/demo.toml") == Path("pipelines/demo.toml")
    assert pipeline_path(Path("other")) == Path("other")
    with pytest.raises(MgRiskError) as caught:
        text_of("other")
    assert caught.value.code == "config.unknown_pipeline"
    assert "demo" in caught.value.hint


def test_the_command_lists_them_and_writes_a_copy_once(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["pipelines"]) == 0
    listed = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in listed] == list(known_pipelines())
    assert main(["pipelines", "demo"]) == 0
    assert capsys.readouterr().out == text_of("demo")
    copy = tmp_path / "mine.toml"
    assert main(["pipelines", "demo", "-o", str(copy)]) == 0
    assert load(copy).name == "demo"
    copy.write_text("mine", "utf-8")
    assert main(["pipelines", "demo", "-o", str(copy)]) == 3
    assert copy.read_text("utf-8") == "mine"
    assert main(["pipelines", "demo", "-o", str(copy), "--overwrite"]) == 0
    assert load(copy).name == "demo"

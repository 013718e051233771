"""The page "Ask NHANES": each command gives the answer that stands there, and the Python runs."""

from __future__ import annotations

import re
import shlex
from pathlib import Path
from typing import Any

import pytest

from mgrisk.cli.main import main

pytestmark = pytest.mark.nhanes
PAGE = (Path(__file__).parents[2] / "docs" / "how-to" / "ask-nhanes.md").read_text("utf-8")
QUESTIONS = re.findall(r"## (.*?)\n.*?```console\n\$ mgrisk (.*?[^\\])\n(.*?)```", PAGE, re.DOTALL)


def test_there_are_ten_questions() -> None:
    assert len(QUESTIONS) == PAGE.count("```console") == 10


@pytest.mark.parametrize(("command", "answer"), [each[1:] for each in QUESTIONS], ids=[each[0] for each in QUESTIONS])
def test_the_answer_on_the_page_is_that_of_the_command(
    command: str, answer: str, mirror: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([*shlex.split(command.replace("\\\n", " ")), "--source", str(mirror)]) == 0
    assert capsys.readouterr().out == answer


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_the_same_is_asked_from_python(mirror: Path) -> None:
    code, *others = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
    assert not others
    assert mirror.is_dir()  # `load_nhanes` finds it by the same variable
    found: dict[str, Any] = {}
    exec(code.replace("mgrisk.survey.regression(", "regression = mgrisk.survey.regression("), found)
    assert found["people"].harmonised == ("bmi-2011",)
    assert "sex=male" in " ".join(found["regression"].index)

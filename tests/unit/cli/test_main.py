"""The command's edges: help without heavy libraries, usage errors, exit statuses."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from mgrisk import __version__
from mgrisk.cli import codebook
from mgrisk.cli.main import main
from mgrisk.errors import ExitStatus, MgRiskError, bad_bundle, bad_input, bad_source, usage


def test_help_needs_no_heavy_library() -> None:
    code = (
        "import sys, mgrisk.cli.main as command\n"
        "try: command.main(['--help'])\n"
        "except SystemExit: pass\n"
        "heavy = {'numpy', 'pandas', 'sklearn', 'xgboost', 'shap', 'mlflow', 'matplotlib', 'pydantic'}\n"
        "print('HEAVY', sorted(heavy & set(sys.modules)))\n"
    )
    printed = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert "HEAVY []" in printed
    assert "medical advice" in printed


def test_version(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["--version"])
    assert ended.value.code == 0
    assert __version__ in capsys.readouterr().out


@pytest.mark.parametrize(
    "arguments", [[], ["no-such-command"], ["score"], ["score", "a", "-o", "b", "--reasons", "-1"]]
)
def test_a_wrong_command_line_is_a_usage_error(arguments: list[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(arguments)
    assert ended.value.code == ExitStatus.USAGE


@pytest.mark.parametrize(("make", "status"), [(usage, 2), (bad_input, 3), (bad_source, 4), (bad_bundle, 5)])
def test_an_error_is_three_lines_and_its_kind_the_exit_status(
    make: object, status: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fails(*_: object) -> int:
        assert callable(make)
        raise make("a.code", "something is wrong", where="here", hint="do this", expected="1", got="2")

    monkeypatch.setattr(codebook, "run", fails)
    assert main(["codebook"]) == status
    assert capsys.readouterr().err.splitlines() == [
        "error: something is wrong, expected 1, got 2 [a.code]",
        "where: here",
        "to do: do this",
    ]


def test_a_traceback_is_shown_with_debug_only(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fails(*_: object) -> int:
        raise MgRiskError("a.code", "something is wrong", where="here", hint="do this")

    monkeypatch.setattr(codebook, "run", fails)
    main(["codebook"])
    assert "Traceback" not in capsys.readouterr().err
    main(["codebook", "--debug"])
    assert "Traceback" in capsys.readouterr().err


def test_ctrl_c_ends_with_one_line(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    def interrupted(*_: object) -> int:
        raise KeyboardInterrupt

    monkeypatch.setattr(codebook, "run", interrupted)
    assert main(["codebook"]) == 130
    assert len(capsys.readouterr().err.splitlines()) == 1


def test_the_schema_of_pipeline_files_names_every_section(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["schema", "--pipeline"]) == 0
    schema = json.loads(capsys.readouterr().out)
    assert {"cohort", "model", "tracking", "synthetic"} <= set(schema["properties"])
    assert schema["additionalProperties"] is False


def test_codebook_tells_where_a_feature_comes_from(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["codebook", "magnesium_food_mg"]) == 0
    printed = capsys.readouterr().out
    assert "DR1TMAGN" in printed
    assert "mg/d" in printed
    assert main(["codebook", "DIQ010"]) == 0
    assert "    3: Borderline\n    no answer: 7, 9\n" in capsys.readouterr().out
    assert main(["codebook", "magnesium_foot_mg"]) == 2
    assert "magnesium_food_mg" in capsys.readouterr().err


@pytest.mark.parametrize("shell", ["bash", "zsh", "tcsh"])
def test_a_shell_completes_every_command(shell: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["completion", shell]) == 0
    script = capsys.readouterr().out
    assert all(command in script for command in ("score", "explain", "recalibrate"))
    # tcsh is told of commands alone.
    assert ("--resume" in script) == (shell != "tcsh")

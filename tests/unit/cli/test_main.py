"""The command line: help without heavy libraries, usage errors, exit statuses."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from mgrisk import __version__
from mgrisk.cli import codebook
from mgrisk.cli.main import main
from mgrisk.errors import ExitStatus, MgRiskError, bad_bundle, bad_input, bad_source, usage
from mgrisk.nhanes.cycles import cycle
from mgrisk.nhanes.synthetic import write_cohort

if TYPE_CHECKING:
    from mgrisk.model.bundle import Bundle

PEOPLE = Path(__file__).parents[3] / "data" / "examples" / "people.csv"
FORMAT_1 = Path(__file__).parents[2] / "golden" / "format_1"


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


HEAVY = ("scipy.stats", "scipy.optimize", "sklearn", "xgboost", "shap", "optuna", "matplotlib", "mlflow", "jinja2")
LOADS = """
import sys
from mgrisk.cli.main import main
main(sys.argv[2:])
print("LOADED", *(name for name in sys.argv[1].split() if name in sys.modules))
"""


def loaded(*arguments: str) -> set[str]:
    """Run a command in a process of its own and return the heavy libraries that it has loaded."""
    command = [sys.executable, "-c", LOADS, " ".join(HEAVY), *arguments]
    printed = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True).stdout
    first, *names = printed.splitlines()[-1].split()
    assert first == "LOADED"
    return set(names)


@pytest.fixture
def made_up(tmp_path: Path) -> Path:
    write_cohort(tmp_path / "synthetic", people_per_cycle=300, seed=5, cycles=[cycle("2017-2018")])
    return tmp_path / "synthetic"


@pytest.mark.parametrize("format_", [1, 2])
def test_a_model_without_trees_is_used_without_the_libraries_that_fit_and_draw(
    format_: int, toy_bundles: dict[str, Bundle], tmp_path: Path
) -> None:
    toy_bundles["spline_logistic"].write(tmp_path / "bundle")
    model = ["--model", str(tmp_path / "bundle" if format_ == 2 else FORMAT_1 / "diabetes")]
    assert loaded("score", str(PEOPLE), "-o", str(tmp_path / "scored.csv"), *model) == set()
    assert len((tmp_path / "scored.csv").read_text("utf-8").splitlines()) == 9
    assert loaded("validate", str(PEOPLE), *model) == set()
    assert loaded("schema", *model) == set()


def test_a_model_with_trees_loads_xgboost_and_what_that_loads(tmp_path: Path) -> None:
    found = loaded("score", str(PEOPLE), "-o", str(tmp_path / "scored.csv"), "--model", str(FORMAT_1 / "undiagnosed"))
    assert "xgboost" in found
    assert found <= {"xgboost", "sklearn", "scipy.stats", "scipy.optimize"}


def test_models_are_listed_without_loading_what_they_are_made_of(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    monkeypatch.chdir(tmp_path)
    assert loaded("models") == set()


def test_features_are_described_without_the_libraries_of_models(made_up: Path) -> None:
    question = ["--of", "bmi_kg_m2", "smoking", "--by", "sex", "--cycle", "2017-2018", "--source", str(made_up)]
    assert loaded("describe", *question) == set()


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
    assert main(["codebook", "SLQ050"]) == 0
    assert "    2017-2018 SLQ_J: Yes 1,621; No 4,535; Refused 0; Don't know 5;" in capsys.readouterr().out
    assert main(["codebook", "magnesium_foot_mg"]) == 2
    assert "magnesium_food_mg" in capsys.readouterr().err


def test_words_are_looked_for_in_names_labels_and_questions(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["codebook", "trouble", "SLEEPING"]) == 0
    assert [line.split()[0] for line in capsys.readouterr().out.splitlines()] == ["SLQ050", "SLQ080"]
    assert main(["codebook", "slq0"]) == 0
    listed = capsys.readouterr().out.splitlines()
    assert len(listed) > 5
    assert all(line.startswith("SLQ0") for line in listed)
    assert any("2005-2020  Ever told doctor had trouble sleeping?" in line for line in listed)


@pytest.mark.parametrize("shell", ["bash", "zsh", "tcsh"])
def test_a_shell_completes_every_command(shell: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["completion", shell]) == 0
    script = capsys.readouterr().out
    assert all(command in script for command in ("score", "explain", "recalibrate"))
    # tcsh is told of commands alone.
    assert ("--resume" in script) == (shell != "tcsh")


def test_what_a_bug_says_is_told_with_debug_alone(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def breaks(*_: object) -> int:
        raise ValueError("could not convert string to float: 'Jane Doe'")

    monkeypatch.setattr(codebook, "run", breaks)
    assert main(["codebook"]) == 1
    told = capsys.readouterr().err
    assert "this is a bug in mgrisk: ValueError\n" in told
    assert "Jane" not in told
    with pytest.raises(ValueError, match="Jane Doe"):
        main(["codebook", "--debug"])


def test_a_line_end_in_a_name_begins_no_line_of_an_error(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["validate", "none\nerror: all is lost\n.csv"]) == 3
    assert [line.partition(":")[0] for line in capsys.readouterr().err.splitlines()] == ["error", "where", "to do"]

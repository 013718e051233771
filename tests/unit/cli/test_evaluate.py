"""The options of `mgrisk evaluate` and `mgrisk recalibrate`."""

from __future__ import annotations

import pytest

from mgrisk.cli.main import main
from mgrisk.errors import ExitStatus


@pytest.mark.parametrize(
    "arguments",
    [
        ["evaluate", "people.csv", "-o", "out"],
        ["evaluate", "people.csv", "--outcome", "ill"],
        ["recalibrate", "people.csv", "--outcome", "ill", "-o", "out"],
        ["recalibrate", "people.csv", "--outcome", "ill", "-o", "out", "--method", "isotonic"],
    ],
)
def test_what_is_needed_is_asked_for(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(arguments)
    assert ended.value.code == ExitStatus.USAGE
    assert "required" in capsys.readouterr().err or "isotonic" in arguments


@pytest.mark.parametrize("column", ["--weight", "--strata", "--psu", "--person"])
def test_a_design_without_an_outcome_is_refused_where_it_would_change_nothing(
    column: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["explain", "people.csv", "-o", "page.html", column, "w"]) == ExitStatus.USAGE
    assert "explain.no_outcome" in capsys.readouterr().err


def test_a_model_that_is_not_there_is_no_bundle(capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["evaluate", "people.csv", "--outcome", "ill", "-o", "out", "--model", "nowhere"]
    assert main(arguments) == ExitStatus.BUNDLE
    assert "bundle.unknown" in capsys.readouterr().err

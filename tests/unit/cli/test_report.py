"""`mgrisk report` needs a run folder."""

from __future__ import annotations

from pathlib import Path

import pytest

from mgrisk.cli.main import main


def test_a_report_needs_a_run(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["report", str(tmp_path)]) == 3
    assert "report.no_run" in capsys.readouterr().err

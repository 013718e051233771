"""The vulnerability check of CI lists packages not looked up, and fails if one has a vulnerability."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
TOOL = ROOT / "tools" / "known_vulnerabilities.py"
CLEAN = {"name": "clean", "version": "1.0", "vulns": []}
BAD = {"name": "bad", "version": "2.0", "vulns": [{"id": "CVE-0000-1", "fix_versions": ["2.1"], "aliases": []}]}
UNKNOWN = {"name": "unknown", "skip_reason": "not found on the index"}


def looked_up(tmp_path: Path, answer: str, *, status: int = 0) -> tuple[int, str]:
    """Run the tool where pip-audit gives a canned answer; return its status and what it printed."""
    (tmp_path / "answer").write_text(answer, "utf-8")
    program = tmp_path / "pip-audit"
    program.write_text(f"#!/bin/sh\ncat '{tmp_path / 'answer'}'; exit {status}\n", "utf-8")
    program.chmod(0o755)
    path = f"{tmp_path}{os.pathsep}{os.environ['PATH']}"
    done = subprocess.run(
        [sys.executable, str(TOOL)], env={**os.environ, "PATH": path}, capture_output=True, text=True, check=False
    )
    return done.returncode, done.stdout


@pytest.mark.skipif(sys.platform == "win32", reason="the stand-in for pip-audit is a shell script")
@pytest.mark.parametrize(
    ("packages", "status", "told"),
    [
        ([CLEAN], 0, "1 of 1 packages looked up: no known vulnerability\n"),
        ([CLEAN, UNKNOWN], 0, "1 of 2 packages looked up: no known vulnerability\nNOT looked up (1): unknown\n"),
        (
            [UNKNOWN, UNKNOWN],
            0,
            "0 of 2 packages looked up: this says nothing about vulnerabilities\nNOT looked up (2): unknown, unknown\n",
        ),
        (
            [CLEAN, BAD, UNKNOWN],
            1,
            "2 of 3 packages looked up: 1 known vulnerabilities\nbad 2.0: CVE-0000-1 (fixed in 2.1)\n"
            "NOT looked up (1): unknown\n",
        ),
    ],
)
def test_it_says_what_was_looked_up_and_fails_where_it_finds_something(
    packages: list[dict[str, Any]], status: int, told: str, tmp_path: Path
) -> None:
    answer = json.dumps({"dependencies": packages, "fixes": []})
    assert looked_up(tmp_path, answer, status=status) == (status, told)


@pytest.mark.skipif(sys.platform == "win32", reason="the stand-in for pip-audit is a shell script")
@pytest.mark.parametrize("answer", ["", "no JSON", "[]", '{"dependencies": 1}'])
def test_no_answer_is_no_pass(answer: str, tmp_path: Path) -> None:
    status, told = looked_up(tmp_path, answer, status=1)
    assert status == 2
    assert "nothing was looked up" in told


def test_ci_runs_it_and_heeds_its_status() -> None:
    lines = (ROOT / ".ci" / "run").read_text("utf-8").splitlines()
    assert "set -euo pipefail" in lines
    assert [line for line in lines if re.search("known_vulnerabilities|pip-audit", line) and line[0] != "#"] == [
        "python tools/known_vulnerabilities.py"
    ]

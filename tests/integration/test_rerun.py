"""After a change of the code only the affected steps of a finished run are rerun."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
AGAIN = """
import json, sys
import mgrisk
overrides, out, until = json.loads(sys.argv[1])
print(mgrisk.__file__)
print(json.dumps(mgrisk.run("pipelines/demo.toml", overrides=overrides, out=out, until=until).steps))
"""


@pytest.mark.slow
@pytest.mark.parametrize(
    ("changed", "until", "steps"),
    [
        ("cli/main.py", None, []),
        ("report/templates/report.css", None, ["report", "track"]),
        ("evaluate/metrics.py", "audit", ["audit"]),
        ("evaluate/tripod.toml", None, ["items"]),
    ],
)
def test_only_the_steps_that_depend_on_a_changed_file_run_again(
    small_settings: tuple[str, ...],
    run_copy: Path,
    changed: str,
    until: str | None,
    steps: list[str],
    tmp_path: Path,
) -> None:
    package = tmp_path / "program" / "mgrisk"
    shutil.copytree(ROOT / "src" / "mgrisk", package, ignore=shutil.ignore_patterns("__pycache__"))
    with (package / changed).open("a", encoding="utf-8") as file:
        file.write("/* a word */\n" if changed.endswith(".css") else "# a word\n")
    done = subprocess.run(
        [sys.executable, "-c", AGAIN, json.dumps([small_settings, str(run_copy), until])],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(package.parent)},
        capture_output=True,
        text=True,
        check=True,
    )
    program, ran = done.stdout.splitlines()
    assert Path(program).parent == package
    assert json.loads(ran) == steps

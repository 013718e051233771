"""The worked example of docs/how-to/add-a-feature.md, carried out on a copy of the source."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "how-to" / "add-a-feature.md").read_text("utf-8")
NAME = "pulse_pressure_mmhg"


def block(language: str, first: str) -> str:
    (found,) = re.findall(rf"^```{language}\n({re.escape(first)}.*?)^```$", PAGE, re.DOTALL | re.MULTILINE)
    return str(found)


@pytest.fixture
def changed(tmp_path: Path) -> Path:
    """A copy of the source with the row, the function and the test of the page, each where the page puts it."""
    for name in ("src", "pipelines", "models"):
        shutil.copytree(ROOT / name, tmp_path / name, ignore=shutil.ignore_patterns("__pycache__"))
    (tmp_path / "tests").mkdir()
    for text, place, source in (
        (block("toml", "[[feature]]"), "src/mgrisk/features/registry/body.toml", None),
        (block("python", "def derive_"), "src/mgrisk/features/body.py", None),
        (block("python", "def test_"), "tests/test_body.py", ROOT / "tests/unit/features/test_body.py"),
    ):
        assert Path(place).name in PAGE
        before = (source or tmp_path / place).read_text("utf-8")
        (tmp_path / place).write_text(f"{before}\n\n{text}", "utf-8")
    return tmp_path


def python(folder: Path, *arguments: str) -> str:
    environment = os.environ | {"PYTHONPATH": str(folder / "src")}
    done = subprocess.run(
        [sys.executable, *arguments], cwd=folder, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_the_feature_is_known_tested_and_in_a_run(changed: Path) -> None:
    assert "made of    systolic_mmhg, diastolic_mmhg" in python(changed, "-m", "mgrisk", "codebook", NAME)
    tested = python(
        changed, "-m", "pytest", "-q", "-c", "/dev/null", "-p", "no:cacheprovider", "tests", "-k", "pulse_pressure"
    )
    assert "1 passed" in tested
    python(changed, "-m", "mgrisk", "pipelines", "demo", "-o", "mine.toml")
    pipeline = (changed / "mine.toml").read_text("utf-8")
    pipeline = pipeline.replace('name = "demo"', 'name = "mine"').replace(
        "features = [", f'features = [\n    "{NAME}",'
    )
    (changed / "mine.toml").write_text(pipeline, "utf-8")
    python(changed, "-m", "mgrisk", "run", "mine.toml", "--set", "synthetic.people_per_cycle=300", "--until", "cohort")
    people = pd.read_parquet(changed / "runs" / "mine" / "features.parquet")
    readings = people["systolic_mmhg"] - people["diastolic_mmhg"]
    assert readings.notna().any()
    pd.testing.assert_series_equal(people[NAME], readings, check_names=False)

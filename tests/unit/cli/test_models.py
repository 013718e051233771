"""`mgrisk models` lists what `--model` accepts, and bundles that cannot be loaded."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path

import pytest

from mgrisk.cli.main import main
from mgrisk.cli.models import found_models
from mgrisk.model.released import released_bundles
from mgrisk.storage.files import sha256

FORMAT_1 = Path(__file__).parents[2] / "golden" / "format_1"


@pytest.fixture(autouse=True)
def _no_registry(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    monkeypatch.chdir(tmp_path)


def test_released_bundles_are_listed_with_what_they_predict() -> None:
    rows = {row["name"]: row for row in found_models()}
    assert {"undiagnosed", "dysglycaemia", "diabetes", "insulin-resistance"} <= set(rows)
    assert rows["undiagnosed"]["outcome"] == "undiagnosed"
    assert rows["undiagnosed"]["features"] == 32
    assert rows["undiagnosed"]["data"] == "NHANES"
    assert rows["undiagnosed"]["sha256"] == sha256(released_bundles()["undiagnosed"] / "SHA256SUMS")
    assert rows["undiagnosed"]["parent"] is None


def test_bundles_of_runs_are_listed_and_a_damaged_one_says_so(tmp_path: Path) -> None:
    for name in ("good", "damaged"):
        shutil.copytree(FORMAT_1 / "undiagnosed", tmp_path / "runs" / name / "bundle")
    (tmp_path / "runs/damaged/bundle/calibrator.json").write_text("{}", encoding="utf-8")
    rows = {row["name"]: row for row in found_models()}
    assert rows["runs/good/bundle"]["outcome"] == "undiagnosed"
    # Made before bundles told their performance.
    assert rows["runs/good/bundle"]["auroc"] is None
    assert rows["runs/damaged/bundle"]["data"] == "cannot be loaded: bundle.bad_sum"


@pytest.mark.parametrize("name", sorted(released_bundles()))
def test_a_released_model_is_listed_with_the_performance_that_its_card_prints(
    name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    card = (released_bundles()[name] / "card.md").read_text("utf-8")
    auroc, observed = (
        re.search(rf"^\| {label}[^|]*\| ([^|]+) \|", card, re.MULTILINE)[1]  # type: ignore[index]
        for label in ("AUROC ", "Observed / expected cases")
    )
    assert main(["models"]) == 0
    (line,) = (each for each in capsys.readouterr().out.splitlines() if each.startswith(f"{name} "))
    assert f"  32      NHANES  {auroc}  {observed}  " in line


def test_the_table_has_a_line_for_each_and_json_the_same(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["models"]) == 0
    table = capsys.readouterr().out.splitlines()
    assert main(["models", "--format", "json"]) == 0
    rows = json.loads(capsys.readouterr().out)
    assert [line.split()[0] for line in table] == ["name", *(row["name"] for row in rows)]

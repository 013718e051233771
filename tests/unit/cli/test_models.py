"""`mgrisk models` names what `--model` takes, also what cannot be loaded."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from mgrisk.cli.main import main
from mgrisk.cli.models import found_models
from mgrisk.model.bundle import released_bundles
from mgrisk.run_folder.folder import RunFolder
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


def test_bundles_of_runs_are_listed_with_their_held_out_auroc_and_a_damaged_one_says_so(tmp_path: Path) -> None:
    for name in ("good", "damaged"):
        shutil.copytree(FORMAT_1 / "undiagnosed", tmp_path / "runs" / name / "bundle")
    (tmp_path / "runs/damaged/bundle/calibrator.json").write_text("{}", encoding="utf-8")
    of_all = {
        "outcome": "undiagnosed", "group": "all", "level": "all", "model": "blend", "metric": "auroc", "low": 0.7,
        "high": 0.95, "se": 0.02, "n": 900, "events": 40, "problem": "", "presentation": "present",
    }  # fmt: skip
    RunFolder(tmp_path / "runs/good", data="NHANES").write_records(
        "evaluation.json",
        [{**of_all, "set": "cross-validated", "estimate": 0.9}, {**of_all, "set": "2017-2018", "estimate": 0.75}],
    )
    rows = {row["name"]: row for row in found_models()}
    assert rows["runs/good/bundle"]["auroc"] == 0.75
    assert rows["runs/damaged/bundle"]["data"] == "cannot be loaded: bundle.bad_sum"


def test_the_table_has_a_line_for_each_and_json_the_same(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["models"]) == 0
    table = capsys.readouterr().out.splitlines()
    assert main(["models", "--format", "json"]) == 0
    rows = json.loads(capsys.readouterr().out)
    assert [line.split()[0] for line in table] == ["name", *(row["name"] for row in rows)]

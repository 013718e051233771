"""Bad input gives one error that says what, where and what to do, and leaves no partial output."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from mgrisk.cli.main import main
from mgrisk.pipeline.finished import Run

DEMO = Path(__file__).parents[2] / "pipelines" / "demo.toml"
NHANES = Path(__file__).parents[2] / "pipelines" / "nhanes.toml"
TABLE = "Public/2017/DataFiles/DR1TOT_J.xpt"


@pytest.fixture
def source(small_run: Run, tmp_path: Path) -> Path:
    """A folder of (SYNTHETIC) raw tables that a test may damage."""
    folder = tmp_path / "mirror"
    shutil.copytree(small_run.folder / "synthetic", folder)
    return folder


def fails(arguments: list[str], capsys: pytest.CaptureFixture[str], *, status: int, code: str) -> str:
    """Run the command; check status and the three lines of the error; return them."""
    capsys.readouterr()
    assert main(arguments) == status
    printed = capsys.readouterr().err.strip().splitlines()
    last = printed[-3:]
    assert last[0].startswith("error: ")
    assert f"[{code}]" in last[0]
    assert last[1].startswith("where: ")
    assert last[2].startswith("to do: ")
    assert not any("Traceback" in line for line in printed)
    return "\n".join(last)


def run_on(source: Path, out: Path) -> list[str]:
    return ["run", str(NHANES), "--set", f"source={source}", "--out", str(out)]


def left_over(folder: Path) -> list[str]:
    """Names of temporary or half-written things below a folder."""
    return [path.name for path in folder.rglob("*") if ".part" in path.name or path.suffix in {".part", ".tmp"}]


def test_a_missing_table_is_named(source: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (source / TABLE).unlink()
    said = fails(run_on(source, tmp_path / "run"), capsys, status=4, code="store.missing_table")
    assert "DR1TOT_J" in said
    assert not (tmp_path / "run" / "features.parquet").exists()
    assert left_over(tmp_path / "run") == []


def test_a_truncated_table_is_refused(source: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    content = (source / TABLE).read_bytes()
    (source / TABLE).write_bytes(content[: len(content) // 2 + 13])
    said = fails(run_on(source, tmp_path / "run"), capsys, status=4, code="xpt.truncated")
    assert "DR1TOT_J" in said
    assert not (tmp_path / "run" / "cohort.parquet").exists()


def test_a_web_page_in_place_of_a_table_is_refused(
    source: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (source / TABLE).write_text("<!DOCTYPE html>\n<html><body>Page not found</body></html>", encoding="utf-8")
    said = fails(run_on(source, tmp_path / "run"), capsys, status=4, code="xpt.html")
    assert "DR1TOT_J" in said
    assert not (tmp_path / "run" / "cohort.parquet").exists()


def test_synthetic_tables_are_never_taken_for_nhanes(
    source: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (source / "SYNTHETIC.txt").unlink()
    fails(run_on(source, tmp_path / "run"), capsys, status=4, code="cohort.synthetic_source")
    assert not (tmp_path / "run" / "features.parquet").exists()


def test_a_misspelt_key_is_named_with_the_nearest_one(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pipeline = tmp_path / "mine.toml"
    shutil.copy(NHANES, tmp_path / "nhanes.toml")
    pipeline.write_text('extends = "nhanes.toml"\n[cohort]\nminimum_agee = 30\n', encoding="utf-8")
    said = fails(["run", str(pipeline), "--out", str(tmp_path / "run")], capsys, status=2, code="config.unknown_key")
    assert "cohort.minimum_agee" in said
    assert "minimum_age" in said.splitlines()[2]
    assert not (tmp_path / "run").exists()


def test_a_misspelt_feature_is_refused_before_anything_is_read(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ["run", str(DEMO), "--out", str(tmp_path / "run"), "--set", 'model.features=["age_yaers"]']
    assert "age_years" in fails(arguments, capsys, status=2, code="features.unknown")
    assert not (tmp_path / "run").exists()


def test_a_file_without_age_is_refused(small_run: Run, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "people.csv").write_text("sex,bmi_kg_m2\nmale,30\n", encoding="utf-8")
    arguments = [
        "score",
        str(tmp_path / "people.csv"),
        "-o",
        str(tmp_path / "out.csv"),
        "--model",
        str(small_run.bundle),
    ]
    assert "age_years" in fails(arguments, capsys, status=3, code="input.missing_column")
    assert not (tmp_path / "out.csv").exists()


@pytest.mark.parametrize(
    ("content", "code"),
    [
        (b"", "input.empty"),
        (b"age_years,sex,age_years\n50,male,50\n", "input.duplicate_column"),
        (b"age_years,sex,risk\n50,male,0.5\n", "input.column_taken"),
        (b"age_years,sex\n50,m\xe4le\n", "input.not_csv"),
    ],
)
def test_a_file_that_cannot_be_understood_leaves_the_old_output(
    content: bytes, code: str, small_run: Run, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "people.csv").write_bytes(content)
    (tmp_path / "out.csv").write_text("the old answer", encoding="utf-8")
    arguments = [
        "score",
        str(tmp_path / "people.csv"),
        "-o",
        str(tmp_path / "out.csv"),
        "--model",
        str(small_run.bundle),
    ]
    fails(arguments, capsys, status=3, code=code)
    assert (tmp_path / "out.csv").read_text("utf-8") == "the old answer"
    assert left_over(tmp_path) == []


def test_a_damaged_bundle_is_refused(small_run: Run, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    shutil.copytree(small_run.bundle, tmp_path / "bundle")
    path = tmp_path / "bundle" / "calibrator.json"
    path.write_text(path.read_text("utf-8").replace("slope", "s1ope"), encoding="utf-8")
    (tmp_path / "people.csv").write_text("age_years,sex\n50,male\n", encoding="utf-8")
    arguments = ["score", str(tmp_path / "people.csv"), "-o", "-", "--model", str(tmp_path / "bundle")]
    fails(arguments, capsys, status=5, code="bundle.bad_sum")


def test_no_model_anywhere_says_what_to_do(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    command = ["score", "x.csv", "-o", "-", "--model", "mine@champion"]
    assert "--model" in fails(command, capsys, status=5, code="registry.none")
    assert "undiagnosed" in fails([*command[:-1], "mine"], capsys, status=5, code="bundle.unknown")


def test_a_leaking_feature_stops_the_run(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    from mgrisk.features.registry import FEATURES, Feature

    glucose = FEATURES["bmi_kg_m2"].model_dump() | {"name": "glucose_mg_dl", "sources": ("LBXGLU",), "derived_from": ()}
    leaking = {**FEATURES, "glucose_mg_dl": Feature.model_validate(glucose)}
    monkeypatch.setattr("mgrisk.features.registry.FEATURES", leaking)
    arguments = ["run", str(DEMO), "--out", str(tmp_path / "run"), "--set", 'model.features=["glucose_mg_dl"]']
    said = fails(arguments, capsys, status=2, code="leakage.by_name")
    assert "LBXGLU" in said


def test_a_bug_of_ours_says_so(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    def breaks(*_: object, **__: object) -> None:
        raise ZeroDivisionError("division by zero")

    monkeypatch.setattr("mgrisk.pipeline.run.run", breaks)
    assert main(["run", str(DEMO)]) == 1
    assert "bug in mgrisk" in capsys.readouterr().err


def test_cycles_across_a_break_are_refused_until_the_break_is_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ["run", str(DEMO), "--out", str(tmp_path / "run"), "--set", 'cohort.across_breaks=["race-2011"]']
    said = fails(arguments, capsys, status=2, code="eras.not_comparable")
    assert "2015" in said
    assert not (tmp_path / "run").exists()

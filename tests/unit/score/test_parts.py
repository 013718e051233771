"""Folders of parts: each part is scored as if alone, completely or not at all, and resumed after interruptions."""

from __future__ import annotations

import csv
import gzip
import json
import shutil
from collections.abc import Iterator, Sequence
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pytest

from mgrisk.errors import MgRiskError
from mgrisk.model.bundle import Bundle
from mgrisk.score import parts
from mgrisk.score.batch import BatchOptions, Progress, score_table
from mgrisk.score.folders import part_names
from mgrisk.score.parts import Job, Receipt, on_threads, score_folder, score_part
from mgrisk.score.scorer import load_scorer

TABLE = pd.DataFrame(
    {
        "person_id": list("abcd"),
        "age_years": [50.0, 430.0, 61.5, 33.0],
        "sex": ["male", "female", "male", None],
        "magnesium_total_mg": [300.0, None, 250.0, 410.0],
    }
)
NAMES = ["a.parquet", "c.csv", "d.csv.gz", "deep/er/b.parquet", "e.csv"]


@pytest.fixture(scope="module")
def bundle(toy_bundles: dict[str, Bundle], tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = toy_bundles["spline_logistic"]
    folder = tmp_path_factory.mktemp("bundle") / "bundle"
    made.write(folder)
    return folder


@pytest.fixture
def source(tmp_path: Path) -> Path:
    folder = tmp_path / "people"
    (folder / "deep" / "er").mkdir(parents=True)
    TABLE.to_parquet(folder / "a.parquet")
    TABLE.iloc[:0].to_parquet(folder / "deep" / "er" / "b.parquet")
    TABLE.to_csv(folder / "c.csv", index=False)
    (folder / "d.csv.gz").write_bytes(gzip.compress(TABLE.to_csv(index=False).encode()))
    (folder / "e.csv").write_text("age_years,sex\n50,male\n", "utf-8")
    (folder / "_SUCCESS").touch()
    (folder / ".hidden").touch()
    return folder


def scored(bundle: Path, source: Path, target: Path, **chosen: Any) -> parts.Summary:
    """Score a folder; what is no option of the batch is passed on as it is."""
    names = {field.name for field in fields(BatchOptions)} & chosen.keys()
    options = BatchOptions(**{"reasons": 2, **{name: chosen.pop(name) for name in names}})
    return score_folder(bundle, source, target, options, **{"engine": on_threads(1), **chosen})


def tree(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def left_behind(folder: Path) -> list[str]:
    return [path.name for path in folder.iterdir() if path.name.startswith(".")]


def test_each_part_is_scored_as_if_alone(bundle: Path, source: Path, tmp_path: Path) -> None:
    summary = scored(bundle, source, tmp_path / "out", rejects=str(tmp_path / "rejects.csv"))
    assert sorted(tree(tmp_path / "out")) == sorted(NAMES)
    scorer = load_scorer(bundle)
    for name in NAMES:
        alone = tmp_path / "alone" / name
        score_table(scorer, str(source / name), str(alone), BatchOptions(reasons=2))
        assert (tmp_path / "out" / name).read_bytes() == alone.read_bytes()
    assert (summary.tally.rows, summary.tally.rejected) == (13, 6)
    said = json.loads((tmp_path / "out.summary.json").read_text("utf-8"))
    assert list(said["parts"]) == NAMES
    assert sum(part["rows"] for part in said["parts"].values()) == said["rows"] == 13
    with (tmp_path / "rejects.csv").open(newline="") as stream:
        rejects = list(csv.DictReader(stream))
    assert [(row["part"], row["row"]) for row in rejects] == [
        (name, row) for name in ("a.parquet", "c.csv", "d.csv.gz") for row in ("2", "4")
    ]
    assert left_behind(tmp_path) == []


def test_the_order_and_the_repetition_of_parts_do_not_matter(bundle: Path, source: Path, tmp_path: Path) -> None:
    def chaotic(job: Job, names: Sequence[str]) -> Iterator[tuple[str, Receipt]]:
        for name in reversed(names):
            first = score_part(job, name)
            # A machine that was thought dead and was not.
            (Path(job.staging) / parts.RECEIPTS / f"{name}.json").unlink()
            assert score_part(job, name) == first
            yield name, first

    scored(bundle, source, tmp_path / "one", rejects=str(tmp_path / "one.csv"))
    scored(bundle, source, tmp_path / "two", rejects=str(tmp_path / "two.csv"), engine=chaotic)
    scored(bundle, source, tmp_path / "three", engine=on_threads(4))
    scored(bundle, source, tmp_path / "four", engine=on_threads(9))
    assert tree(tmp_path / "one") == tree(tmp_path / "three") == tree(tmp_path / "four")
    assert tree(tmp_path / "one") == tree(tmp_path / "two")
    assert (tmp_path / "one.csv").read_bytes() == (tmp_path / "two.csv").read_bytes()
    assert (tmp_path / "one.summary.json").read_bytes() == (tmp_path / "two.summary.json").read_bytes()


def stopping_after(count: int, asked: list[str]) -> parts.Engine:
    def engine(job: Job, names: Sequence[str]) -> Iterator[tuple[str, Receipt]]:
        for name in names:
            if len(asked) == count:
                raise KeyboardInterrupt
            asked.append(name)
            yield name, score_part(job, name)

    return engine


def test_a_folder_is_summed_up_as_the_file_of_all_its_rows(bundle: Path, tmp_path: Path) -> None:
    rows = pd.concat([TABLE] * 6, ignore_index=True).assign(age_years=range(20, 44), waist=90)
    (tmp_path / "people").mkdir()
    for part in range(4):
        rows.iloc[6 * part : 6 * (part + 1)].to_csv(tmp_path / "people" / f"{part}.csv", index=False)
    rows.to_csv(tmp_path / "all.csv", index=False)
    folder = scored(bundle, tmp_path / "people", tmp_path / "out", engine=on_threads(2))
    whole = score_table(
        load_scorer(bundle), str(tmp_path / "all.csv"), str(tmp_path / "o.csv"), BatchOptions(reasons=2)
    )
    assert folder.lines() == whole.lines()
    assert folder.expected == whole.expected
    assert folder.unused == {"waist": ""}


def counting(made: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    def counted(*arguments: object, **options: object) -> object:
        made.append(Path(str(arguments[1])).name)
        return score_table(*arguments, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(parts, "score_table", counted)


def test_an_interrupted_folder_is_gone_on_with(
    bundle: Path, source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    scored(bundle, source, tmp_path / "whole", rejects=str(tmp_path / "whole.csv"))
    rejects = tmp_path / "out.csv"
    with pytest.raises(KeyboardInterrupt):
        scored(bundle, source, tmp_path / "out", rejects=str(rejects), engine=stopping_after(3, []))
    assert not (tmp_path / "out").exists()
    assert not rejects.exists()
    # One of the three changed since, one was cut: both are made again.
    (source / "c.csv").write_text("age_years,sex\n44,female\n", "utf-8")
    (tmp_path / ".out.parts" / parts.PARTS / "a.parquet").write_bytes(b"PAR1")
    made: list[str] = []
    counting(made, monkeypatch)
    scored(bundle, source, tmp_path / "out", rejects=str(rejects), resume=True)
    assert made == ["a.parquet", "c.csv", "b.parquet", "e.csv"]
    monkeypatch.undo()
    said = json.loads((tmp_path / "out.summary.json").read_text("utf-8"))
    scored(bundle, source, tmp_path / "again", rejects=str(tmp_path / "again.csv"))
    assert tree(tmp_path / "out") == tree(tmp_path / "again")
    assert rejects.read_bytes() == (tmp_path / "again.csv").read_bytes()
    # Counts of a part that was done before come from its receipt.
    assert said == json.loads((tmp_path / "again.summary.json").read_text("utf-8"))
    assert said["rejected_by"]["out_of_range:age_years"] == 2
    assert left_behind(tmp_path) == []


@pytest.mark.parametrize("changed", [{}, {"reasons": 1, "resume": True}])
def test_what_another_job_left_is_not_taken(
    bundle: Path, source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, changed: dict[str, object]
) -> None:
    with pytest.raises(KeyboardInterrupt):
        scored(bundle, source, tmp_path / "out", engine=stopping_after(3, []))
    made: list[str] = []
    counting(made, monkeypatch)
    scored(bundle, source, tmp_path / "out", **changed)
    assert made == [Path(name).name for name in NAMES]


def test_a_part_that_cannot_be_read_stops_the_folder_and_names_itself(
    bundle: Path, source: Path, tmp_path: Path
) -> None:
    (source / "c.csv").write_text("age_years,sex,sex\n50,male,male\n", "utf-8")
    with pytest.raises(MgRiskError, match="is there twice") as refused:
        scored(bundle, source, tmp_path / "out")
    assert refused.value.where.endswith("c.csv")
    assert not (tmp_path / "out").exists()
    # What was complete is kept.
    (source / "c.csv").write_text("age_years,sex\n50,male\n", "utf-8")
    assert scored(bundle, source, tmp_path / "out", resume=True).tally.rows == 10


def test_an_error_before_the_first_part_leaves_nothing(bundle: Path, tmp_path: Path) -> None:
    (tmp_path / "people").mkdir()
    (tmp_path / "people" / "a.parquet").write_bytes(b"no Parquet")
    with pytest.raises(MgRiskError, match="the Parquet file cannot be read"):
        scored(bundle, tmp_path / "people", tmp_path / "out")
    assert left_behind(tmp_path) == []


def test_strict_stops_at_the_first_rejected_row(bundle: Path, source: Path, tmp_path: Path) -> None:
    with pytest.raises(MgRiskError, match="row 2 is rejected"):
        scored(bundle, source, tmp_path / "out", strict=True)
    assert not (tmp_path / "out").exists()


def test_no_file_is_passed_over_in_silence(source: Path) -> None:
    (source / "more.xlsx").touch()
    with pytest.raises(MgRiskError) as refused:
        part_names(source)
    assert (refused.value.code, refused.value.where) == ("input.not_a_part", str(source / "more.xlsx"))


def test_an_ending_in_capitals_or_of_another_habit_is_a_part_and_comes_out_so(bundle: Path, tmp_path: Path) -> None:
    folder = tmp_path / "people"
    folder.mkdir()
    text = TABLE.to_csv(index=False).encode()
    packed = {".CSV": text, ".csv.GZ": gzip.compress(text), ".Csv.Zstd": pa.Codec("zstd").compress(text, asbytes=True)}
    for ending, content in packed.items():
        (folder / f"a{ending}").write_bytes(content)
    for ending in (".pq", ".parq", ".PARQUET", ".Pq"):
        TABLE.to_parquet(folder / f"b{ending}")
    summary = scored(bundle, folder, tmp_path / "out")
    assert summary.tally.rows == 7 * len(TABLE)
    for path in folder.iterdir():
        # A packed part is packed again, a Parquet file is one again.
        assert (tmp_path / "out" / path.name).read_bytes()[:3] == path.read_bytes()[:3], path.name


def test_an_empty_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(MgRiskError, match="no files to score"):
        part_names(tmp_path)


def test_an_output_that_is_there_is_not_overwritten(bundle: Path, source: Path, tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "precious").touch()
    with pytest.raises(MgRiskError, match="output folder exists"):
        scored(bundle, source, tmp_path / "out")
    assert sorted(tree(tmp_path / "out")) == ["precious"]


def test_two_at_once_do_not_write_one_folder(bundle: Path, source: Path, tmp_path: Path) -> None:
    def second(job: Job, names: Sequence[str]) -> Iterator[tuple[str, Receipt]]:
        with pytest.raises(MgRiskError, match="another mgrisk is writing") as refused:
            scored(bundle, source, tmp_path / "out")
        assert refused.value.code == "output.in_use"
        yield from on_threads(1)(job, names)

    assert scored(bundle, source, tmp_path / "out", engine=second).tally.rows == 13


def test_another_version_or_bundle_on_a_machine_is_refused(bundle: Path, source: Path, tmp_path: Path) -> None:
    def other(job: Job, names: Sequence[str]) -> Iterator[tuple[str, Receipt]]:
        with pytest.raises(MgRiskError, match="another version"):
            score_part(replace(job, version="0.0.1"), names[0])
        with pytest.raises(MgRiskError, match="not the bundle of the job"):
            score_part(replace(job, fingerprint="0" * 64), names[0])
        shutil.rmtree(Path(job.staging) / parts.ATTEMPTS, ignore_errors=True)
        yield from on_threads(1)(job, names)

    assert scored(bundle, source, tmp_path / "out", engine=other).tally.rows == 13


def test_progress_ends_at_all_rows_and_the_whole(bundle: Path, source: Path, tmp_path: Path) -> None:
    told: list[Progress] = []
    scored(bundle, source, tmp_path / "out", progress=told.append)
    assert told[-1] == Progress(13, 1.0)
    assert [each.rows for each in told] == [4, 8, 12, 12, 13]

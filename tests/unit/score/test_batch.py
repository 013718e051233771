"""Results come in the order of the tasks, few at a time, with errors in their place.

Batches give the same bytes for any block size and number of workers, and after any interruption.
"""

from __future__ import annotations

import csv
import functools
import gzip
import io
import itertools
import json
import random
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mgrisk.errors import MgRiskError
from mgrisk.model.bundle import Bundle
from mgrisk.score import batch, sources
from mgrisk.score.answers import RISKS
from mgrisk.score.batch import AHEAD, BatchOptions, Progress, in_order, score_table, validate_table
from mgrisk.score.cells import Missing
from mgrisk.score.csv.decimals import ALL_DIGITS, SHOWN_DIGITS
from mgrisk.score.csv.source import CsvSource
from mgrisk.score.input_schema import RESULTS
from mgrisk.score.journal import journal_of, part_of
from mgrisk.score.scorer import Scorer


@pytest.mark.parametrize("workers", [1, 2, 5])
def test_results_come_in_order_whoever_is_first(workers: int) -> None:
    def slow(number: int) -> int:
        time.sleep(random.random() / 500)
        return number

    assert list(in_order(range(40), slow, workers=workers)) == list(range(40))


def test_items_are_taken_only_as_they_are_needed() -> None:
    taken = []

    def items() -> Iterator[int]:
        for number in range(100):
            taken.append(number)
            yield number

    results = in_order(items(), lambda number: number, workers=2)
    for expected in range(5):
        assert next(results) == expected
        assert len(taken) <= expected + 1 + 2 + AHEAD


def test_an_error_is_raised_where_its_result_would_have_stood() -> None:
    results = in_order([1, 0, 2], lambda number: 1 / number, workers=2)
    assert next(results) == 1
    with pytest.raises(ZeroDivisionError):
        next(results)


def test_whoever_stops_early_leaves_no_thread_behind() -> None:
    before = threading.active_count()
    results = in_order(range(100), lambda number: number, workers=3)
    next(results)
    results.close()  # type: ignore[attr-defined]
    assert threading.active_count() == before


LINES = [
    b"person_id,age_years,sex,smoking,height_in,weight_kg,magnesium_total_mg,note",
    b'a,50,male,never,70,80,300,"kept, as ""it"" is"',
    b"b,430,female,,,,,",
    b'c,"45",FEMALE,"former",60.5,1e2,,\xc3\xa4',
    b"d,45,female,sometimes,x,,,",
    b"e,60",
    b'f,61,male,,,,,"two\nlines",surplus',
    b"g,,male,,,,,",
    b"h, 47 ,Male ,,,,,",
    b"",
    b'i,"4""7",male,,,,,',
    b"j,20.000000000000000001,male,,,,,'",
]
HOSTILE = b"\r\n".join(LINES)


@pytest.fixture(scope="module", params=["spline_logistic", "xgboost"])
def scorer(request: pytest.FixtureRequest, toy_bundles: dict[str, Bundle]) -> Scorer:
    return Scorer(toy_bundles[request.param])


@pytest.fixture
def people(tmp_path: Path) -> Path:
    (tmp_path / "people.csv").write_bytes(HOSTILE)
    return tmp_path / "people.csv"


@pytest.fixture
def small_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sources, "CsvSource", functools.partial(CsvSource, block_bytes=100))


def rows_of(path: Path) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(path.read_text("utf-8"), newline="")))


def test_each_record_is_one_row_in_order_with_its_own_cells(scorer: Scorer, people: Path, tmp_path: Path) -> None:
    tally = score_table(scorer, str(people), str(tmp_path / "out.csv"), BatchOptions(reasons=2)).tally
    rows = rows_of(tmp_path / "out.csv")
    assert [row["person_id"] for row in rows] == list("abcdefghij")
    assert [row["status"] == "scored" for row in rows] == [x in "achj" for x in "abcdefghij"]
    assert tally.rows == 10
    assert tally.rejected == 6
    problems = {row["person_id"]: row["problems"] for row in rows}
    assert problems["d"] == "unknown_level:smoking;not_a_number:height_cm"
    assert problems["e"] == "wrong_field_count:2"
    assert problems["f"] == "wrong_field_count:9"
    assert problems["i"] == "not_a_number:age_years"
    assert rows[0]["note"] == 'kept, as "it" is'
    assert rows[5]["note"] == "two\nlines"
    assert all(row["risk"] == row["reason_1"] == "" for row in rows if row["status"] == "rejected")


def test_a_frame_gives_the_same_answers(scorer: Scorer, people: Path, tmp_path: Path) -> None:
    score_table(scorer, str(people), str(tmp_path / "out.csv"), BatchOptions(reasons=2, digits=ALL_DIGITS))
    from_file = pd.read_csv(tmp_path / "out.csv", dtype=str, keep_default_na=False)
    from_file = from_file[~from_file["problems"].str.startswith("wrong_field_count")]
    answer = scorer.score(from_file.iloc[:, :8], reasons=2)
    for name in answer.columns:
        if name == "inputs_used":
            # A whole number in the file; in a frame a float, since of a rejected row it is not known.
            assert [f"{used:.0f}" if used == used else "" for used in answer[name]] == from_file[name].tolist()
            continue
        texts = ["" if value != value else repr(value) if isinstance(value, float) else value for value in answer[name]]
        assert texts == from_file[name].tolist(), name


def test_numbers_have_the_digits_that_were_asked_for_in_text_and_all_in_parquet(
    scorer: Scorer, people: Path, tmp_path: Path
) -> None:
    for digits in (SHOWN_DIGITS, 3, ALL_DIGITS):
        score_table(scorer, str(people), str(tmp_path / f"{digits}.csv"), BatchOptions(reasons=1, digits=digits))
    score_table(scorer, str(people), str(tmp_path / "out.parquet"), BatchOptions(reasons=1, digits=3))
    score_table(scorer, str(people), str(tmp_path / "default.csv"), BatchOptions(reasons=1))
    assert (tmp_path / "default.csv").read_bytes() == (tmp_path / "6.csv").read_bytes()
    whole = rows_of(tmp_path / "17.csv")
    for name in (*RISKS, "reason_1_effect"):
        for digits in (SHOWN_DIGITS, 3):
            expected = [f"{float(row[name]):.{digits}g}" if row[name] else "" for row in whole]
            assert [row[name] for row in rows_of(tmp_path / f"{digits}.csv")] == expected
        written = [float(row[name]) if row[name] else None for row in whole]
        assert pq.read_table(tmp_path / "out.parquet")[name].to_pylist() == written
    assert any(len(row["risk"]) > 10 for row in whole)


def test_no_byte_depends_on_blocks_or_workers(
    scorer: Scorer, people: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    outputs = set()
    for number, (block_bytes, workers) in enumerate(itertools.product([1, 50, 10**6], [1, 3])):
        monkeypatch.setattr(sources, "CsvSource", functools.partial(CsvSource, block_bytes=block_bytes))
        target, rejects = tmp_path / f"{number}.csv", tmp_path / f"{number}.rejects.csv"
        score_table(scorer, str(people), str(target), BatchOptions(reasons=3, rejects=str(rejects)), workers=workers)
        summary = Path(f"{target}.summary.json")
        outputs.add((target.read_bytes(), rejects.read_bytes(), summary.read_bytes()))
    assert len(outputs) == 1


def test_rejects_are_numbered_and_kept_as_they_were(scorer: Scorer, people: Path, tmp_path: Path) -> None:
    score_table(
        scorer, str(people), str(tmp_path / "out.csv"), BatchOptions(reasons=0, rejects=str(tmp_path / "rejects.csv"))
    )
    rejects = rows_of(tmp_path / "rejects.csv")
    assert [row["row"] for row in rejects] == ["2", "4", "5", "6", "7", "9"]
    assert json.loads(rejects[2]["original"]) == ["e", "60"]
    assert json.loads(rejects[5]["original"])["age_years"] == '4"7'


def test_packed_and_parquet_outputs_hold_the_same(scorer: Scorer, people: Path, tmp_path: Path) -> None:
    for name in ("out.csv", "out.csv.gz", "out.csv.zst", "out.parquet"):
        score_table(scorer, str(people), str(tmp_path / name), BatchOptions(reasons=1, digits=ALL_DIGITS))
    plain = (tmp_path / "out.csv").read_bytes()
    assert gzip.decompress((tmp_path / "out.csv.gz").read_bytes()) == plain
    with pa.input_stream(str(tmp_path / "out.csv.zst"), compression="zstd") as unpacked:
        assert unpacked.read() == plain
    table = pd.read_parquet(tmp_path / "out.parquet")
    rows = rows_of(tmp_path / "out.csv")
    assert list(table.columns) == list(rows[0])
    for name in RISKS:
        assert [str(value) if value == value else "" for value in table[name]] == [row[name] for row in rows]
    assert pq.read_schema(tmp_path / "out.parquet").field("inputs_used").type == pa.int64()
    assert [f"{used:.0f}" if used == used else "" for used in table["inputs_used"]] == [
        row["inputs_used"] for row in rows
    ]
    assert table["note"].tolist() == [row["note"] for row in rows]


def test_a_table_without_rows_gives_its_header(scorer: Scorer, tmp_path: Path) -> None:
    (tmp_path / "people.csv").write_bytes(LINES[0])
    for name in ("out.csv", "out.parquet"):
        assert (
            score_table(scorer, str(tmp_path / "people.csv"), str(tmp_path / name), BatchOptions(reasons=1)).tally.rows
            == 0
        )
    header = (tmp_path / "out.csv").read_text("utf-8").strip().split(",")
    assert pd.read_parquet(tmp_path / "out.parquet").columns.tolist() == header


@pytest.mark.usefixtures("small_blocks")
@pytest.mark.parametrize("complete", [0, 1, 3])
@pytest.mark.parametrize("suffix", [".csv", ".csv.gz"])
def test_a_killed_batch_is_gone_on_with_to_the_same_bytes(
    complete: int, suffix: str, scorer: Scorer, people: Path, tmp_path: Path
) -> None:
    whole, target, rejects = (tmp_path / f"{name}{suffix}" for name in ("whole", "out", "rejects"))
    score_table(scorer, str(people), str(whole), BatchOptions(reasons=2, rejects=str(rejects)))
    expected = whole.read_bytes(), rejects.read_bytes(), Path(f"{whole}.summary.json").read_bytes()
    blocks_done = itertools.count()

    def killed(progress: Progress) -> None:
        if next(blocks_done) == complete:
            raise KeyboardInterrupt

    options = BatchOptions(reasons=2, rejects=str(rejects))
    with pytest.raises(KeyboardInterrupt):
        score_table(scorer, str(people), str(target), options, progress=killed)
    assert not target.exists()
    told: list[int] = []
    score_table(
        scorer,
        str(people),
        str(target),
        replace(options, resume=True),
        progress=lambda now: told.append(now.rows),
    )
    assert (target.read_bytes(), rejects.read_bytes(), Path(f"{target}.summary.json").read_bytes()) == expected
    assert len(told) < next(blocks_done) + 5
    assert not part_of(target).exists()
    assert not journal_of(target).exists()


@pytest.mark.usefixtures("small_blocks")
def test_an_input_that_has_changed_is_not_gone_on_with(scorer: Scorer, people: Path, tmp_path: Path) -> None:
    target = tmp_path / "out.csv"

    def killed(progress: Progress) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        score_table(scorer, str(people), str(target), BatchOptions(reasons=0), progress=killed)
    for other in (BatchOptions(reasons=1, resume=True), BatchOptions(reasons=0, digits=3, resume=True)):
        with pytest.raises(MgRiskError) as caught:
            score_table(scorer, str(people), str(target), other)
        assert caught.value.code == "resume.other_batch"
    people.write_bytes(HOSTILE.replace(b"a,50", b"a,51"))
    with pytest.raises(MgRiskError) as caught:
        score_table(scorer, str(people), str(target), BatchOptions(reasons=0, resume=True))
    assert caught.value.code == "resume.other_input"


@pytest.mark.usefixtures("small_blocks")
def test_an_input_that_was_cut_since_is_not_gone_on_with(scorer: Scorer, people: Path, tmp_path: Path) -> None:
    blocks = itertools.count()

    def killed(progress: Progress) -> None:
        if next(blocks) == 2:
            raise KeyboardInterrupt

    target = tmp_path / "out.csv"
    with pytest.raises(KeyboardInterrupt):
        score_table(scorer, str(people), str(target), BatchOptions(reasons=0), progress=killed)
    people.write_bytes(LINES[0])
    with pytest.raises(MgRiskError) as caught:
        score_table(scorer, str(people), str(target), BatchOptions(reasons=0, resume=True))
    assert caught.value.code == "resume.other_input"
    assert not target.exists()


@pytest.mark.parametrize("suffix", [".csv.gz", ".csv.zst"])
def test_rejected_rows_are_packed_whole(suffix: str, scorer: Scorer, people: Path, tmp_path: Path) -> None:
    for name in ("rejects.csv", f"rejects{suffix}"):
        score_table(scorer, str(people), str(tmp_path / "o.csv"), BatchOptions(reasons=0, rejects=str(tmp_path / name)))
    with pa.input_stream(str(tmp_path / f"rejects{suffix}"), compression="detect") as unpacked:
        assert unpacked.read() == (tmp_path / "rejects.csv").read_bytes()


@pytest.mark.parametrize("target", ["-", "out.parquet"])
def test_what_cannot_be_gone_on_with_says_so(target: str, scorer: Scorer, people: Path) -> None:
    with pytest.raises(MgRiskError) as caught:
        score_table(scorer, str(people), target, BatchOptions(reasons=0, resume=True))
    assert caught.value.code == "resume.not_possible"


def test_strict_names_the_first_rejected_row(scorer: Scorer, people: Path, tmp_path: Path) -> None:
    with pytest.raises(MgRiskError) as caught:
        score_table(scorer, str(people), str(tmp_path / "out.csv"), BatchOptions(reasons=0, strict=True))
    assert caught.value.code == "input.rejected_row"
    assert "row 2 is rejected: out_of_range:age_years" in caught.value.what()
    assert list(tmp_path.iterdir()) == [people]


def test_validate_counts_what_score_would_say(scorer: Scorer, people: Path, tmp_path: Path) -> None:
    scored = score_table(scorer, str(people), str(tmp_path / "out.csv"), BatchOptions(reasons=0)).tally
    assert validate_table(scorer, str(people), workers=2).tally.problems == scored.problems


@given(lines=st.lists(st.text(st.sampled_from('50,"\n\r malefä'), max_size=20), max_size=8))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60)
def test_whatever_stands_in_a_file_its_rows_come_back_or_it_is_refused(
    lines: list[str], scorer: Scorer, tmp_path: Path
) -> None:
    text = "\n".join(["age_years,sex", *lines])
    people, target = tmp_path / "people.csv", tmp_path / "out.csv"
    people.write_text(text, "utf-8", newline="")
    target.unlink(missing_ok=True)
    # A row more is not the last one where a quote is open.
    if [*csv.reader(io.StringIO(f"{text}\nx,y", newline=""))][-1] != ["x", "y"]:
        with pytest.raises(MgRiskError, match="a quote is open"):
            batch.score_table(scorer, str(people), str(target), BatchOptions(reasons=1))
        assert not target.exists()
        return
    expected = [row for row in csv.reader(io.StringIO(text, newline="")) if row][1:]
    batch.score_table(scorer, str(people), str(target), BatchOptions(reasons=1))
    found = list(csv.reader(io.StringIO(target.read_bytes().decode(), newline="")))
    assert [row[:2] for row in found[1:]] == [[*row, "", ""][:2] for row in expected]
    assert {len(row) for row in found} == {2 + len(RESULTS) + 3}


def test_strict_names_the_row_by_its_place_in_the_file_and_not_in_its_block(
    scorer: Scorer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sources, "CsvSource", functools.partial(CsvSource, block_bytes=25))
    rows = ["50,male,28", "50,male,14", "430,male,120", "60,female,x", "33,female,25", "70,neither,15", "71,male,31"]
    (tmp_path / "people.csv").write_text("\n".join(["age_years,sex,bmi_kg_m2", *rows, ""]), "utf-8")
    rejects = tmp_path / "rejects.csv"
    score_table(scorer, str(tmp_path / "people.csv"), str(tmp_path / "out.csv"), BatchOptions(0, rejects=str(rejects)))
    assert pd.read_csv(rejects)["row"].tolist() == [3, 4, 6]
    with pytest.raises(MgRiskError, match=r"row 3 is rejected"):
        score_table(scorer, str(tmp_path / "people.csv"), str(tmp_path / "strict.csv"), BatchOptions(0, strict=True))


def test_a_batch_with_other_words_for_missing_is_another_batch(scorer: Scorer, people: Path, tmp_path: Path) -> None:
    def killed(_: Progress) -> None:
        raise KeyboardInterrupt

    target = str(tmp_path / "out.csv")
    with pytest.raises(KeyboardInterrupt):
        score_table(scorer, str(people), target, BatchOptions(reasons=0), progress=killed)
    other = Scorer(scorer.bundle, missing=Missing.also(["-9"]))
    with pytest.raises(MgRiskError) as caught:
        score_table(other, str(people), target, BatchOptions(reasons=0, resume=True))
    assert caught.value.code == "resume.other_batch"


@pytest.mark.parametrize("column", ["risk", "reason_1", "reason_3_effect"])
def test_validate_refuses_what_score_would(scorer: Scorer, tmp_path: Path, column: str) -> None:
    (tmp_path / "people.csv").write_text(f"age_years,sex,{column}\n50,male,1\n", "utf-8")
    with pytest.raises(MgRiskError) as caught:
        validate_table(scorer, str(tmp_path / "people.csv"))
    assert caught.value.code == "input.column_taken"

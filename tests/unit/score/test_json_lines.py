"""JSON lines give the same results as CSV with the same rows, and values are kept."""

from __future__ import annotations

import csv
import gzip
import io
import json
from contextlib import nullcontext, suppress
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pandas as pd
import pytest

from mgrisk.errors import MgRiskError
from mgrisk.model.bundle import Bundle
from mgrisk.score import json_lines, sources
from mgrisk.score.batch import BatchOptions, score_table
from mgrisk.score.cells import Missing
from mgrisk.score.json_lines import JsonLinesAsCsv, json_columns
from mgrisk.score.scorer import Scorer
from mgrisk.score.sources import open_source

ROWS: list[dict[str, Any]] = [
    {"person_id": 9007199254740993, "age_years": 50, "sex": "male", "bmi_kg_m2": 28.50, "note": 'a, "b"\n=1+1'},
    {"person_id": 7, "sex": "female", "age_years": 61, "bmi_kg_m2": None, "tags": ["x", {"y": 1.5}]},
    {"age_years": 430, "sex": "neither", "note": "süß"},
    {"age_years": "40", "sex": "male", "flag": True},
]
TEXT = "\n".join(json.dumps(row, ensure_ascii=False) for row in ROWS) + "\n"


@pytest.fixture(scope="module")
def scorer(toy_bundles: dict[str, Bundle]) -> Scorer:
    return Scorer(toy_bundles["spline_logistic"])


def scored(scorer: Scorer, source: Path, target: Path) -> bytes:
    score_table(scorer, str(source), str(target), BatchOptions(reasons=1, rejects=str(target.with_name("r.csv"))))
    return target.read_bytes()


def as_csv(text: bytes, *, keys: list[str] | None = None) -> str:
    columns = json_columns(io.BytesIO(text), where="people.jsonl") if keys is None else keys
    return JsonLinesAsCsv(io.BytesIO(text), columns, where="people.jsonl").read().decode()


def test_each_kind_of_value_is_the_cell_that_says_it() -> None:
    listed = '[1, {"e": 2.50, "é": [""]}]'
    text = f'{{"a": 1.50, "b": true, "c": null, "d": {listed}, "f": "=x"}}\n\n{{"a": NaN, "g": 9007199254740993}}'
    assert list(csv.reader(as_csv(text.encode()).splitlines())) == [
        ["a", "b", "c", "d", "f", "g"],
        ["1.50", "true", "", listed, "'=x", ""],
        ["NaN", "", "", "", "", "9007199254740993"],
    ]


@pytest.mark.parametrize(
    ("text", "line"),
    [
        (b'{"a": 1}\n{"a": \n', 2),
        (b'{"a": 1}\n[1]\n', 2),
        (b'{"a": 1, "a": 2}\n', 1),
        (b'{"a": "\xff"}\n', 1),
        (b'{"a": "\\ud800"}\n', 1),
        (b'{"a": 1}\n{"\\udfff": 1}\n', 2),
        (b'{"a": ' + b"[" * 100_000 + b"\n", 1),
        (b'\n{"a": 1} {"a": 2}\n', 2),
    ],
)
def test_what_is_no_object_is_refused_with_its_line_and_without_its_content(text: bytes, line: int) -> None:
    with pytest.raises(MgRiskError) as caught:
        as_csv(text)
    assert caught.value.code == "input.not_json_lines"
    assert caught.value.what().startswith(f"line {line} is ")


def test_a_number_in_a_list_may_have_any_number_of_digits() -> None:
    digits = "7" * 5000  # more than Python makes a number of
    assert as_csv(f'{{"a": [{digits}]}}'.encode()).splitlines() == ["a", f"[{digits}]"]


@pytest.mark.parametrize("depth", [100, 300, 450, 600, 900])
def test_what_is_nested_is_read_or_refused(depth: int) -> None:
    nested = "[" * depth + "]" * depth
    # How deep it may be, Python says; no other error comes out.
    with suppress(MgRiskError) if depth > 100 else nullcontext():
        assert as_csv(f'{{"a": {nested}}}'.encode()).splitlines() == ["a", nested]


def test_a_line_without_end_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(json_lines, "LONGEST_LINE", 100)
    monkeypatch.setattr(json_lines, "AT_ONCE", 64)
    with pytest.raises(MgRiskError, match="line 3 is longer than 100 bytes"):
        as_csv(b'{"a": 1}\n\n{"a": "' + b"x" * 1000 + b'"}')


@pytest.mark.parametrize("at_once", [1, 7, 1 << 20])
def test_it_does_not_matter_how_the_stream_is_cut(at_once: int, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = as_csv(TEXT.encode())
    monkeypatch.setattr(json_lines, "AT_ONCE", at_once)
    assert as_csv("\ufeff".encode() + TEXT.encode()) == whole
    assert as_csv(TEXT.replace("\n", "\r\n").encode()) == whole


def test_people_in_json_lines_get_the_answers_of_the_same_people_in_csv(scorer: Scorer, tmp_path: Path) -> None:
    (tmp_path / "people.jsonl").write_text(TEXT, "utf-8")
    (tmp_path / "people.csv").write_text(as_csv(TEXT.encode()), "utf-8", newline="")
    expected = scored(scorer, tmp_path / "people.csv", tmp_path / "a.csv")
    rejects = (tmp_path / "r.csv").read_bytes()
    assert scored(scorer, tmp_path / "people.jsonl", tmp_path / "b.csv") == expected
    assert (tmp_path / "r.csv").read_bytes() == rejects
    assert b"9007199254740993" in expected
    # By its bytes, and packed.
    (tmp_path / "people.data").write_bytes(gzip.compress(TEXT.encode()))
    assert scored(scorer, tmp_path / "people.data", tmp_path / "c.csv") == expected


def test_json_lines_come_out_with_the_answers(scorer: Scorer, tmp_path: Path) -> None:
    (tmp_path / "people.jsonl").write_text(TEXT, "utf-8")
    lines = scored(scorer, tmp_path / "people.jsonl", tmp_path / "out.JSONL").decode().splitlines()
    rows = [json.loads(line) for line in lines]
    assert [row["status"] for row in rows] == ["scored", "scored", "rejected", "scored"]
    first, second, third, _ = rows
    assert (first["age_years"], first["bmi_kg_m2"], first["note"]) == (50, 28.5, 'a, "b"\n=1+1')
    # An id is a text, whatever it looks like.
    assert first["person_id"] == "9007199254740993"
    assert second["bmi_kg_m2"] is None
    assert third["risk"] is None
    frame = scorer.score(pd.DataFrame(ROWS), reasons=1)
    assert [row["risk"] for row in rows if row["risk"]] == frame["risk"].dropna().tolist()
    assert list(first) == [*json_columns(io.BytesIO(TEXT.encode()), where=""), *scorer.columns(reasons=1)]
    packed = scored(scorer, tmp_path / "people.jsonl", tmp_path / "out.ndjson.gz")
    assert gzip.decompress(packed).decode().splitlines() == lines


def test_parquet_keeps_its_types_in_json_lines(scorer: Scorer, tmp_path: Path) -> None:
    pd.DataFrame({"age_years": [50, 60], "sex": ["male", None], "id": [1, 2]}).to_parquet(tmp_path / "people.parquet")
    rows = [json.loads(line) for line in scored(scorer, tmp_path / "people.parquet", tmp_path / "o.jsonl").splitlines()]
    assert [(row["id"], row["sex"], row["status"]) for row in rows] == [(1, "male", "scored"), (2, None, "rejected")]


def test_no_rows_are_no_lines(scorer: Scorer, tmp_path: Path) -> None:
    (tmp_path / "people.csv").write_text("age_years,sex\n", "utf-8")
    assert scored(scorer, tmp_path / "people.csv", tmp_path / "out.jsonl") == b""


def test_of_a_stream_the_first_block_tells_the_keys(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sources, "LONGEST", 8)
    monkeypatch.setattr(sources, "BLOCK_BYTES", 60)
    late = '{"age_years": 50, "sex": "male"}\n' * 5 + '{"age_years": 50, "smoking": "never"}\n'
    for text, known in ((late, False), (late.replace("smoking", "sex"), True)):
        monkeypatch.setattr("sys.stdin", SimpleNamespace(buffer=io.BytesIO(text.encode())))
        if known:
            with open_source("-", missing=Missing()) as source:
                assert source.columns == ["age_years", "sex"]
                assert sum(len(source.read(block, ()).checked.state.T) for block in source.blocks()) == 6
            continue
        with pytest.raises(MgRiskError) as caught, open_source("-") as source:
            list(source.blocks())
        assert caught.value.code == "input.other_columns"

"""The history of batches: a damaged line does not affect others, and the last line of a batch counts."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from tests.conftest import ToyPeople

from mgrisk.errors import MgRiskError
from mgrisk.model.bundle import Bundle
from mgrisk.score.history import append, batch_line, outcomes_line, read_history
from mgrisk.score.input_schema import check
from mgrisk.score.scorer import Scorer
from mgrisk.score.summary import Summary, Tally

BUNDLE = {"name": "toy", "sha256": "0" * 64}


@pytest.fixture(scope="module")
def line(toy_people: ToyPeople, toy_bundles: dict[str, Bundle]) -> dict[str, Any]:
    scorer = Scorer(toy_bundles["spline_logistic"])
    answers = scorer.answer(check(toy_people.frame.iloc[:300], scorer.schema_features), reasons=0)
    tally = Tally.of(answers, scorer.reference_bins, ["north", "south", ""] * 100)
    summary = Summary.of(scorer, tally, {"bundle": BUNDLE})
    return batch_line(summary, batch="monday", time="2026-11-30T01:00:00Z", by="site")


def test_what_was_counted_is_read_back(line: dict[str, Any], tmp_path: Path) -> None:
    path = tmp_path / "history.jsonl"
    append(path, line)
    append(path, {**line, "batch": "tuesday"})
    found = read_history(path)
    assert [batch.batch for batch in found.batches] == ["monday", "tuesday"]
    monday = found.batches[0]
    assert (monday.whole.rows, sorted(monday.groups)) == (300, ["", "north", "south"])
    assert sum(group.rows for group in monday.groups.values()) == 300
    assert monday.synthetic
    for name, shift in monday.whole.shifts().items():
        parts = [group.shifts()[name].counts for group in monday.groups.values()]
        assert shift.counts == tuple(map(sum, zip(*parts, strict=True)))
    assert (found.again, found.unread) == (0, ())


@pytest.mark.parametrize("cut", [1, 100, -1])
def test_a_line_that_was_cut_short_costs_itself_alone(line: dict[str, Any], tmp_path: Path, cut: int) -> None:
    path = tmp_path / "history.jsonl"
    append(path, line)
    whole = path.read_bytes()
    path.write_bytes(whole + whole[:cut])
    append(path, {**line, "batch": "tuesday"})
    found = read_history(path)
    assert [batch.batch for batch in found.batches] == ["monday", "tuesday"]
    # Cut at its end, all but the end of the line is there.
    assert (found.unread, found.again) == (((2,), 0) if cut > 0 else ((), 1))


@pytest.mark.parametrize(
    "change",
    [
        'line["kind"] = "other"',
        'line["format"] = 2',
        'line["whole"] = {}',
        'line["batch"] = 7',
        'line["groups"]["north"]["rows"] = -1',
        'line["groups"]["north"]["rows"] = 0',
        'line["whole"]["rejected_by"] = {"missing:age_years": 400}',
        'line["whole"]["risk_quantiles"] = {"x": 0.1}',
        'line["whole"]["outside_domain"] = 301',
        'line["groups"]["north"]["drift"][0]["counts"].pop()',
        'line["groups"]["north"]["drift"][0]["counts"].append(0)',
        'line["groups"]["north"]["drift"].pop()',
        'line["whole"]["drift"][0]["rows"] = 0',
        'line["whole"]["drift"][0]["psi"] = 1e300',
    ],
)
def test_a_line_that_somebody_edited_is_passed_over_and_told(line: dict[str, Any], tmp_path: Path, change: str) -> None:
    path = tmp_path / "history.jsonl"
    append(path, line)
    edited = json.loads(path.read_text("utf-8"))
    exec(change, {"line": edited})
    path.write_text(f"{json.dumps(edited)}\n[1, 2\n\n", "utf-8")
    append(path, line)
    found = read_history(path)
    assert (len(found.batches), found.unread) == (1, (1, 2))


def test_a_batch_that_is_scored_again_counts_once_and_outcomes_find_their_batch(
    line: dict[str, Any], tmp_path: Path
) -> None:
    path = tmp_path / "history.jsonl"
    for time in ("first", "second"):
        append(path, {**line, "time": time})
    observed = {"n": 200, "cases": 20, "metrics": {"auroc": [0.8, 0.7, float("nan")]}}
    append(path, outcomes_line(observed, {}, bundle=BUNDLE, batch="monday", time="later", by=None))
    found = read_history(path)
    assert [batch.time for batch in found.batches] == ["second"]
    assert found.again == 1
    assert found.outcomes["monday", BUNDLE["sha256"]].whole.metrics["auroc"] == [0.8, 0.7, None]


@pytest.mark.parametrize("content", [b"age_years,sex\n50,male\n", b"{}", b"\n", b'[{"format": 1}]'])
def test_nothing_is_appended_to_another_file(line: dict[str, Any], tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "thesis.txt"
    path.write_bytes(content)
    with pytest.raises(MgRiskError) as caught:
        append(path, line)
    assert (caught.value.code, path.read_bytes()) == ("history.other_file", content)


def test_a_history_whose_first_line_was_cut_short_is_gone_on_with(line: dict[str, Any], tmp_path: Path) -> None:
    path = tmp_path / "history.jsonl"
    for content in (b"", b'{"for', b'{"format":1,"ki'):
        path.write_bytes(content)
        append(path, line)
        assert len(read_history(path).batches) == 1


def test_lines_of_several_writers_do_not_mix(line: dict[str, Any], tmp_path: Path) -> None:
    path = tmp_path / "history.jsonl"
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda k: append(path, {**line, "batch": str(k)}), range(24)))
    found = read_history(path)
    assert {batch.batch for batch in found.batches} == set(map(str, range(24)))
    assert found.unread == ()


def test_no_history_and_none_of_a_batch_are_refused(line: dict[str, Any], tmp_path: Path) -> None:
    with pytest.raises(MgRiskError) as caught:
        read_history(tmp_path / "none.jsonl")
    assert caught.value.code == "history.missing_file"
    (tmp_path / "table.csv").write_text("age_years,sex\n50,male\n", "utf-8")
    with pytest.raises(MgRiskError) as caught:
        read_history(tmp_path / "table.csv")
    assert (caught.value.code, caught.value.got) == ("history.empty", "2 lines that cannot be read")
    with pytest.raises(MgRiskError) as caught:
        append(tmp_path, line)
    assert caught.value.code == "history.not_a_file"

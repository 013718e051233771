"""Each input row is output exactly once, in order, or the file is refused and no output remains."""

from __future__ import annotations

import csv
import functools
import io
import json
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mgrisk.errors import ExitStatus, MgRiskError
from mgrisk.model.bundle import Bundle
from mgrisk.score import sources
from mgrisk.score.batch import BatchOptions, Progress, score_table
from mgrisk.score.csv.source import CsvSource
from mgrisk.score.scorer import Scorer

HEAD = "person_id,age_years,sex,note\n"
CELLS = st.text(st.characters(codec="utf-8", exclude_characters="\r"), max_size=12) | st.sampled_from(
    ["", "50", "430", "male", "female", "NA", ".", "-9", "=1+1", "'", '"', ",", "\n", "\x00", "1e400", "x" * 90]
)
PIECES = (b"50", b"male", b",", b"\n", b"\r\n", b'"', b"\xff", b"\x00", b" ")
ROWS = st.lists(st.lists(CELLS, min_size=0, max_size=6), max_size=30)


@pytest.fixture(scope="module")
def scorer(toy_bundles: dict[str, Bundle]) -> Scorer:
    return Scorer(toy_bundles["spline_logistic"])


@pytest.fixture(autouse=True)
def _small_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sources, "CsvSource", functools.partial(CsvSource, block_bytes=256))


def as_csv(rows: Sequence[Sequence[str]]) -> bytes:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n", quoting=csv.QUOTE_ALL).writerows(
        [f"id-{number}", *cells] for number, cells in enumerate(rows)
    )
    return (HEAD + text.getvalue()).encode()


def ids(output: Path) -> list[str]:
    if output.suffix == ".parquet":
        return [str(each) for each in pd.read_parquet(output)["person_id"]]
    with output.open(encoding="utf-8", newline="") as stream:
        return [row["person_id"] for row in csv.DictReader(stream)]


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(rows=ROWS, name=st.sampled_from(["o.csv", "o.parquet"]), workers=st.integers(1, 3), stop=st.integers(0, 4))
def test_each_row_comes_out_once_and_in_order_also_after_an_interruption(
    scorer: Scorer, rows: list[list[str]], name: str, workers: int, stop: int
) -> None:
    with TemporaryDirectory() as made:
        people, target, rejects = (Path(made) / each for each in ("people.csv", name, "rejects.csv"))
        people.write_bytes(as_csv(rows))
        blocks = iter(range(stop, -1, -1))

        def interrupt(_: Progress) -> None:
            if next(blocks) == 0:
                raise KeyboardInterrupt

        options = BatchOptions(reasons=0, rejects=str(rejects))
        try:
            score_table(scorer, str(people), str(target), options, workers=workers, progress=interrupt)
        except KeyboardInterrupt:
            resume = BatchOptions(reasons=0, rejects=str(rejects), resume=name == "o.csv")
            score_table(scorer, str(people), str(target), resume, workers=workers)
        expected = [f"id-{number}" for number in range(len(rows))]
        assert ids(target) == expected
        said = json.loads(Path(f"{target}.summary.json").read_text("utf-8"))
        assert said["rows"] == said["scored"] + said["rejected"] == len(rows)
        with rejects.open(encoding="utf-8", newline="") as stream:
            rejected = [int(row["row"]) for row in csv.DictReader(stream)]
        assert rejected == sorted(set(rejected))
        assert len(rejected) == said["rejected"]
        assert sorted(path.name for path in Path(made).iterdir()) == sorted(
            ["people.csv", name, f"{name}.summary.json", "rejects.csv"]
        )


@settings(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    head=st.sampled_from([HEAD.encode(), b"", b"age_years,sex\n", b'"age_years",sex', b"age_years;sex\n", b"sex\n"]),
    body=st.binary(max_size=600)
    | st.lists(st.sampled_from([b"50", b"male", b",", b"\n", b"\r\n", b'"', b"\xff", b"\x00", b" "]), max_size=80).map(
        b"".join
    ),
)
def test_a_file_is_answered_whole_or_refused_with_nothing_left(scorer: Scorer, head: bytes, body: bytes) -> None:
    with TemporaryDirectory() as made:
        people, target = Path(made) / "people.csv", Path(made) / "new" / "out.csv"
        people.write_bytes(head + body)
        options = BatchOptions(reasons=0, rejects=str(Path(made) / "new" / "rejects.csv"))
        try:
            summary = score_table(scorer, str(people), str(target), options)
        except MgRiskError as refusal:
            status = refusal.status
        else:
            with target.open(encoding="utf-8", newline="") as stream:
                assert len([*csv.reader(stream)]) - 1 == summary.tally.rows
            return
        assert status == ExitStatus.INPUT
        assert [path.name for path in Path(made).iterdir()] == ["people.csv"]

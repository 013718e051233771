"""For every kind of table and every command, each row is output once and read correctly, or the file is refused.

A refusal is one error with status 3 and the same code everywhere, and leaves nothing behind.
"""

from __future__ import annotations

import functools
from pathlib import Path

import pytest
from hostile_tables import Kind, canonical, kinds, read_back

from mgrisk.errors import ExitStatus, MgRiskError
from mgrisk.own_data.explain import explain_people
from mgrisk.own_data.labelled import LabelColumns, read_labelled
from mgrisk.score.batch import BatchOptions, score_table, validate_table
from mgrisk.score.csv.decimals import ALL_DIGITS
from mgrisk.score.mapping import map_file
from mgrisk.score.mapping_file import Mapping
from mgrisk.score.scorer import Scorer, load_scorer

MODEL = Path(__file__).parents[3] / "models" / "undiagnosed"
KINDS = kinds()
SHAPES = sorted(name for name, kind in KINDS.items() if "Parquet" in name or len(kind.content) > 100_000)
"""Kinds whose output in Parquet may be another story than that in CSV."""
COLUMNS = {name: {"from": name} for name in ("age_years", "sex")}


@pytest.fixture(scope="module")
def scorer() -> Scorer:
    return load_scorer(MODEL)


@pytest.fixture(params=sorted(KINDS))
def kind(request: pytest.FixtureRequest) -> Kind:
    return KINDS[request.param]


@pytest.fixture
def source(kind: Kind, tmp_path: Path) -> str:
    path = tmp_path / "in" / kind.file
    path.parent.mkdir(parents=True)
    path.write_bytes(kind.content)
    return str(path)


@functools.cache
def risk_of(scorer: Scorer, row: str) -> float:
    return float(scorer.score(canonical([row]), reasons=0)["risk"].iloc[0])


def codes(kind: Kind) -> list[str]:
    """Problems of the rows of a kind, empty for those that are scored."""
    if isinstance(kind.expected, str):
        return []
    return ["" if "," in row else row for row in kind.expected]


def refused(kind: Kind, error: MgRiskError, folder: Path) -> None:
    """Check a refusal: its code and status, one line of each sort, nothing written."""
    assert (error.code, error.status) == (kind.expected, ExitStatus.INPUT)
    assert not any("\n" in line or len(line) > 400 for line in error.lines())
    assert [path.name for path in folder.iterdir()] == ["in"]


def test_each_command_answers_each_row_or_refuses_the_file(
    kind: Kind, source: str, scorer: Scorer, tmp_path: Path
) -> None:
    """Score and validate; what is an input of one is one of the other."""
    target, rejects = tmp_path / "out.csv", tmp_path / "rejects.csv"
    options = BatchOptions(reasons=3, rejects=str(rejects), digits=ALL_DIGITS)
    if isinstance(kind.expected, str):
        with pytest.raises(MgRiskError) as caught:
            validate_table(scorer, source)
        refused(kind, caught.value, tmp_path)
        with pytest.raises(MgRiskError) as caught:
            score_table(scorer, source, str(target), options)
        refused(kind, caught.value, tmp_path)
        return
    tally = validate_table(scorer, source).tally
    assert (tally.rows, tally.rejected) == (len(kind.expected), sum(map(bool, codes(kind))))
    score_table(scorer, source, str(target), options)
    rows = read_back(target.read_bytes())
    assert [row["problems"] for row in rows] == codes(kind)
    for row, expected in zip(rows, kind.expected, strict=True):
        assert row["risk"] == (str(risk_of(scorer, expected)) if "," in expected else "")
    assert [row["problems"] for row in read_back(rejects.read_bytes())] == [code for code in codes(kind) if code]


@pytest.mark.parametrize("kind", SHAPES, indirect=True)
def test_explain_shows_each_scored_row_or_refuses_the_file(
    kind: Kind, source: str, scorer: Scorer, tmp_path: Path
) -> None:
    """Explanation goes by way of an output in Parquet, which has to take what any input holds."""
    page = tmp_path / "page.html"
    if isinstance(kind.expected, str):
        with pytest.raises(MgRiskError) as caught:
            explain_people(scorer, source, str(page))
        refused(kind, caught.value, tmp_path)
        return
    found = explain_people(scorer, source, str(page))
    assert (found.rows, found.rejected) == (len(kind.expected), sum(map(bool, codes(kind))))


def test_map_writes_each_row_or_refuses_the_file(kind: Kind, source: str, tmp_path: Path) -> None:
    target = tmp_path / "mapped.csv"
    mapping = Mapping.model_validate({"features": COLUMNS})
    ragged = any(row.startswith("wrong_field_count") for row in codes(kind))
    if kind.expected in ("input.no_header", "input.missing_column", "input.unclear_name"):
        kind = kind._replace(expected="mapping.missing_column")
    elif ragged:
        kind = kind._replace(expected="input.wrong_field_count")
    # `map` looks at no other columns than those that the mapping names.
    if isinstance(kind.expected, str) and kind.expected not in ("input.unknown_unit", "input.column_taken"):
        with pytest.raises(MgRiskError) as caught:
            map_file(source, mapping, str(target))
        refused(kind, caught.value, tmp_path)
        return
    rows = 1 if isinstance(kind.expected, str) else len(kind.expected)
    assert map_file(source, mapping, str(target)).rows == len(read_back(target.read_bytes())) >= rows


def test_people_with_an_outcome_are_read_or_the_file_is_refused(
    kind: Kind, source: str, scorer: Scorer, tmp_path: Path
) -> None:
    with pytest.raises(MgRiskError) as caught:
        read_labelled(source, scorer.inputs, LabelColumns("bmi_kg_m2"))
    if not isinstance(kind.expected, str):
        # No file has both cases and others; that is what is said of it.
        kind = kind._replace(expected=caught.value.code)
        assert caught.value.code in ("input.one_class", "input.bad_outcome")
    if kind.expected != "input.column_taken":
        refused(kind, caught.value, tmp_path)

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from mgrisk.nhanes.eras import CONCEPTS
from mgrisk.steps.description import Description
from mgrisk.survey.design import WeightLevel

NAN = float("nan")
RECORD = {
    "variable": "BMXBMI",
    "level": "",
    "by": "sex=male",
    "statistic": "mean",
    "estimate": 28.123456,
    "se": 0.1234,
    "low": 27.9,
    "high": 28.4,
    "n": 1234,
    "df": 15,
    "missing": 0.051,
    "data": "NHANES",
}
EMPTY = {**RECORD, "by": "sex=female", "estimate": NAN, "se": NAN, "low": NAN, "high": NAN, "n": 0, "missing": 1.0}


@pytest.fixture
def found() -> Description:
    return Description((RECORD, EMPTY), WeightLevel.EXAM, ("WTMEC2YR",), "BMXBMI", ("2017-2018",), 0.0, False)


def test_a_table_has_two_digits_of_the_error_and_no_empty_column(found: Description) -> None:
    head, first, second = found.lines()
    assert head.split() == [
        "variable",
        "by",
        "statistic",
        "estimate",
        "se",
        "95",
        "%",
        "interval",
        "n",
        "df",
        "missing",
    ]
    assert "28.12  0.12  27.90 to 28.40  1,234  15    5.1 %" in first
    assert second.split()[3:6] == ["-", "-", "-"]
    assert len({line.index("sex=") for line in (first, second)}) == 1


def test_an_exact_share_is_written_without_an_error(found: Description) -> None:
    sure = {**RECORD, "estimate": 1.0, "se": 0.0, "low": NAN, "high": NAN}
    assert replace(found, records=(sure,)).lines()[1].split()[3:8] == ["1.0000", "0.0000", "-", "to", "-"]


def test_json_has_no_nan(found: Description) -> None:
    text = json.dumps(found.plain_records(), allow_nan=False)
    assert json.loads(text)[1]["estimate"] is None
    assert json.loads(text)[0] == RECORD


def test_a_break_that_was_accepted_is_said(found: Description) -> None:
    crossed = CONCEPTS[0].breaks[0]
    assert any(crossed.reason in note for note in replace(found, crossed=(crossed,)).notes())


def test_the_plain_dict_says_weight_cycles_and_records(found: Description) -> None:
    assert found.to_dict() == {
        "weight_level": "exam",
        "weight": ["WTMEC2YR"],
        "forced_by": "BMXBMI",
        "cycles": ["2017-2018"],
        "undecided": 0.0,
        "records": [RECORD, EMPTY],
    }
    assert found.frame()["n"].tolist() == [1234, 0]

"""Several rows of a person are combined, independent of the division into blocks."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mgrisk.errors import MgRiskError
from mgrisk.score import person_rows
from mgrisk.score.cells import Missing
from mgrisk.score.mapped_columns import ColumnMaker
from mgrisk.score.mapping_file import Mapping
from mgrisk.score.person_rows import PersonRows

MAPPING = Mapping.model_validate(
    {
        "people": {"person": "ID"},
        "missing": ["-9"],
        "features": {
            "weight_kg": {"from": "W"},
            "energy_kcal": {"from": "K", "rows": "mean"},
            "magnesium_supplement_mg": {"from": "M", "rows": "sum", "empty": 0},
            "fiber_g": {"from": "M", "rows": "sum"},
            "diabetes_told": {"from": "D", "rows": "any", "levels": "boolean"},
            "hypertension_told": {"from": "D", "rows": "all", "levels": "boolean"},
        },
    }
)
MAKERS = [ColumnMaker.of(name, MAPPING) for name in MAPPING.columns]
NUMBER = st.sampled_from(["", "-9", "1", "2.5", "40", "x"])
ROW = st.tuples(st.sampled_from("abc"), st.integers(0, 3), NUMBER, NUMBER, NUMBER, st.sampled_from(["", "Y", "n", "?"]))


def made(rows: list[tuple[str, int, str, str, str, str]], block: int) -> list[dict[str, str]]:
    people = PersonRows(MAKERS, Missing.also(["-9"]), where="extract.csv")
    frame = pd.DataFrame(rows, columns=["ID", "DAY", "W", "K", "M", "D"])
    frame.index += 1
    for first in range(0, len(frame), block):
        part = frame[first : first + block]
        columns = {maker.name: maker.cells(part, where="extract.csv") for maker in MAKERS}
        people.add(part["ID"], part["DAY"].to_numpy(np.float64), columns)
    return [row for columns in people.blocks() for row in pd.DataFrame(columns).to_dict("records")]


def expected(rows: list[tuple[str, int, str, str, str, str]]) -> list[dict[str, str]]:
    """The same, person by person, in plain Python."""
    found = []
    for who in dict.fromkeys(row[0] for row in rows):
        own = sorted((row for row in rows if row[0] == who), key=lambda row: row[1])

        def known(column: int, own: list = own) -> list[str]:
            return [row[column] for row in own if row[column] not in ("", "-9")]

        def number(column: int, how: str, empty: str = "", rows: list = rows, who: str = who) -> str:
            # What is not understood is the first one in the file.
            strange = [row[column] for row in rows if row[0] == who and row[column] == "x"]
            values = [float(cell) for cell in known(column) if cell != "x"]
            if strange or not values:
                return strange[0] if strange else empty
            total = sum(values) / (len(values) if how == "mean" else 1)
            return repr(int(total)) if total.is_integer() else repr(total)

        flags = known(5)
        strange = "?" if "?" in flags else ""
        found.append(
            {
                "weight_kg": (known(2) or [""])[-1],
                "energy_kcal": number(3, "mean"),
                "magnesium_supplement_mg": number(4, "sum", "0"),
                "fiber_g": number(4, "sum"),
                "diabetes_told": strange or ("yes" if "Y" in flags else "no" if flags else ""),
                "hypertension_told": strange or ("no" if "n" in flags else "yes" if flags else ""),
            }
        )
    return found


@given(st.lists(ROW, min_size=1, max_size=12), st.integers(1, 12), st.sampled_from([1, 3, 10**6]))
@settings(max_examples=60, deadline=None)
def test_blocks_do_not_matter_and_it_is_what_plain_python_says(rows: list, block: int, at_once: int) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(person_rows, "ROWS_AT_ONCE", at_once)
        assert made(rows, block) == expected(rows)


@pytest.mark.parametrize("nobody", [" ", "NA", "-9.0"])
def test_a_row_of_nobody_is_refused_by_its_number(nobody: str) -> None:
    with pytest.raises(MgRiskError, match="row 2 does not identify a person") as refused:
        made([("a", 0, "", "", "", ""), (nobody, 0, "", "", "", "")], 1)
    assert refused.value.code == "mapping.no_person"


def test_more_people_than_memory_is_meant_for_are_refused_in_words(monkeypatch: pytest.MonkeyPatch) -> None:
    rows = [(str(number), 0, "1", "1", "1", "Y") for number in range(5)]
    monkeypatch.setattr(person_rows, "MOST_PEOPLE", 5)
    assert len(made(rows, 2)) == 5
    monkeypatch.setattr(person_rows, "MOST_PEOPLE", 4)
    with pytest.raises(MgRiskError, match="more than 4 people") as refused:
        made(rows, 2)
    assert refused.value.code == "mapping.too_many_people"


def test_rows_wait_no_longer_than_they_may(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(person_rows, "ROWS_AT_ONCE", 10)
    people = PersonRows(MAKERS, Missing.also(["-9"]), where="extract.csv")
    frame = pd.DataFrame({"ID": ["a", "b"] * 4, "W": "1", "K": "2", "M": "3", "D": "Y"})
    for _ in range(50):
        columns = {maker.name: maker.cells(frame, where="extract.csv") for maker in MAKERS}
        people.add(frame["ID"], np.zeros(8), columns)
        assert all(sum(map(len, frames)) <= 10 + 8 for frames in people._rows.values())
    assert next(people.blocks())["magnesium_supplement_mg"].tolist() == ["600", "600"]


def test_a_sum_over_rows_that_becomes_infinite_is_refused() -> None:
    with pytest.raises(MgRiskError) as refused:
        made([("a", 0, "", "", "1e308", ""), ("a", 0, "", "", "1e308", "")], 1)
    assert refused.value.code == "mapping.infinite"

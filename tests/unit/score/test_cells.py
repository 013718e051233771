"""Cells of any column: one list of words for missing, numeric codes, booleans in any case."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pandas._libs.parsers
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mgrisk.features.registry import features
from mgrisk.score.cells import BOOLEANS, EMPTY_CELLS, MISSING, Missing, as_code
from mgrisk.score.csv.decimals import EMPTY, GOOD
from mgrisk.score.input_schema import check

INPUTS = features(["age_years", "hypertension_told", "bmi_kg_m2"])
CODED = Missing.also(["-9", "999", "unknown", "weiß nicht"])


def test_all_that_pandas_reads_as_missing_is_missing_here() -> None:
    """MLflow reads its requests by pandas: what that takes away must be nothing to the file either."""
    assert set(pandas._libs.parsers.STR_NA_VALUES) <= EMPTY_CELLS


def test_the_missing_values_of_sas_and_stata_are_all_there() -> None:
    letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
    assert {".", "._", *(f".{sign}" for sign in letters + letters.lower())} <= EMPTY_CELLS


@pytest.mark.parametrize("cell", ["0", "-", "?", ".AA", "na", "none", "no", "-9", "unknown", "A"])
def test_no_other_word_is_missing_unless_it_is_named(cell: str) -> None:
    assert not MISSING.holds(cell)
    assert Missing.also([f" {cell} "]).holds(cell)


@pytest.mark.parametrize("cell", ["-9", "-9.0", " -9 ", "-09", "-9e0", "-0.9e1"])
def test_a_code_is_compared_as_a_number(cell: str) -> None:
    assert CODED.holds(cell)
    assert as_code(cell) == -9.0


def test_what_is_no_number_is_compared_as_text_and_booleans_without_case() -> None:
    assert [as_code(cell) for cell in (" a", "A", "TRUE", "1e999", "-9x")] == ["a", "A", "true", "1e999", "-9x"]


CELLS = st.sampled_from(
    [
        "-9",
        "-9.0",
        "999",
        "9.99e2",
        "unknown",
        "weiß nicht",
        "Unknown",
        ".",
        ".A",
        "25",
        "True",
        "FALSE",
        "yes",
        "",
        "x",
    ]
)


@given(st.lists(st.tuples(CELLS, CELLS), min_size=1, max_size=20))
def test_a_named_word_is_missing_in_every_kind_of_column(rows: list[tuple[str, str]]) -> None:
    told, bmi = ([row[k] for row in rows] for k in (0, 1))
    frame = pd.DataFrame({"age_years": ["50"] * len(rows), "hypertension_told": told, "bmi_kg_m2": bmi})
    checked = check(frame, INPUTS, CODED)
    for place, row in enumerate(rows):
        for i, cell in enumerate(row):
            assert (checked.state[i + 1, place] == EMPTY) == CODED.holds(cell)
            if i == 0 and cell.lower() in BOOLEANS:
                assert checked.values["hypertension_told"].iloc[place] == BOOLEANS[cell.lower()]


def test_numbers_that_mean_missing_are_looked_for_before_a_unit_is_converted() -> None:
    frame = pd.DataFrame({"age_years": [50.0, 61.0], "height_in": [-9.0, 70.0]})
    checked = check(frame, features(["age_years", "height_cm"]), CODED)
    assert checked.state[1].tolist() == [EMPTY, GOOD]
    np.testing.assert_allclose(checked.numbers[1], [np.nan, 177.8])

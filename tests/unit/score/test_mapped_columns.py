"""Each way to compute a column from an extract, and cells that are not understood."""

from __future__ import annotations

from typing import Any

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mgrisk.errors import MgRiskError
from mgrisk.score.mapped_columns import ColumnMaker, days, matches
from mgrisk.score.mapping_file import Mapping


def made(
    name: str,
    how: dict[str, Any],
    *columns: list[str],
    file: dict[str, Any] | None = None,
    missing: list[str] | None = None,
) -> list[str]:
    """Return a feature, or a column to carry over where its name begins with "other", from the columns A, B, C."""
    parts = {"features": {"age_years": {"from": "A"}}, "keep": {}, "file": file or {}, "missing": missing or []}
    parts["keep" if name.startswith("other") else "features"][name] = how
    extract = pd.DataFrame(dict(zip("ABC", columns, strict=False)), dtype=object)
    maker = ColumnMaker.of(name, Mapping.model_validate(parts))
    return maker.cells(extract, where="extract.csv").written().tolist()


def test_age_is_completed_years_from_one_date_to_another() -> None:
    born = ["17.03.1961", "17.03.1961", "18.03.1961", "29.02.1960", "29.02.1960", "2000-01-01"]
    seen = ["17.03.2024", "16.03.2024", "17.03.2024", "28.02.2023", "01.03.2023", "2024-12-31 10:30:00"]
    how = {"from": "A", "age_at": "B"}
    assert made("age_years", how, born, seen, file={"dates": "%d.%m.%Y"}) == ["63", "62", "62", "62", "63", "24"]


def test_age_at_a_day_that_is_the_same_for_everybody() -> None:
    how = {"from": "A", "age_at": "2025-06-30"}
    with pytest.raises(KeyError):  # a text is a column
        made("age_years", how, ["1961-07-01"])
    how["age_at"] = pd.Timestamp("2025-06-30").date()
    assert made("age_years", how, ["1961-07-01", "1961-06-30", ""]) == ["63", "64", ""]


def test_a_date_that_is_none_a_missing_one_and_one_after_the_other() -> None:
    how = {"from": "A", "age_at": "B"}
    born, seen = ["31.02.1961", "", "2024-05-01", "1961"], ["2024-01-01", "2024-01-01", "2024-04-30", "2024-01-01"]
    assert made("age_years", how, born, seen) == [
        "31.02.1961 | 2024-01-01",
        "",
        "2024-05-01 | 2024-04-30",
        "1961 | 2024-01-01",
    ]
    assert made("age_years", {**how, "missing": ["1900-01-01"]}, ["1900-01-01"], ["2024-01-01"]) == [""]


def test_the_first_format_of_dates_that_fits_is_taken_and_iso_is_always_read() -> None:
    found = days(
        pd.Series(["03/04/2020", "2020-04-03", "3 Apr 2020", "x", None], dtype=object), ["%m/%d/%Y", "%d %b %Y"]
    )
    assert found.dt.strftime("%Y-%m-%d").tolist()[:3] == ["2020-03-04", "2020-04-03", "2020-04-03"]
    assert found.isna().tolist() == [False, False, False, True, True]


def test_the_year_of_a_date() -> None:
    how = {"from": "A", "year": True}
    assert made("other", how, ["2019-12-31", "2020-01-01T00:00", "", "2020"]) == ["2019", "2020", "", "2020"]


@pytest.mark.parametrize(
    ("height", "cm"),
    [
        ("5'8.5\"", 68.5 * 2.54), ("5' 8", 68 * 2.54), ("6'", 72 * 2.54), ("5′11″", 71 * 2.54),
        ("5 ft 0 in", 60 * 2.54), ("5FT 7IN", 67 * 2.54), ("5'8''", 68 * 2.54),
        ("5 feet 8 inches", 68 * 2.54), ("5'8,5\"", 68.5 * 2.54),
    ],
)  # fmt: skip
def test_feet_and_inches(height: str, cm: float) -> None:
    assert float(made("height_cm", {"from": "A", "unit": "ft_in"}, [height])[0]) == pytest.approx(cm, rel=1e-12)


def test_a_height_that_is_not_in_feet_and_inches_is_no_number_afterwards() -> None:
    cells = ["172", "5'12\"", "5.8", "tall", ""]
    assert made("height_cm", {"from": "A", "unit": "ft_in"}, cells) == ["?172", "5'12\"", "?5.8", "tall", ""]


def test_a_pair_in_two() -> None:
    cells = ["128/82", " 128 / 82 ", "128-82", "128|82", "128", "128/", "128/82/70", ""]
    first = made("systolic_mmhg", {"from": "A", "part": 1}, cells)
    second = made("diastolic_mmhg", {"from": "A", "part": 2}, cells)
    assert first == ["128"] * 4 + ["?128", "128/", "128/82/70", ""]
    assert second == ["82"] * 4 + ["?128", "128/", "128/82/70", ""]
    kilopascals = made("systolic_mmhg", {"from": "A", "part": 1, "unit": "kpa"}, ["17,1/10,9"], file={"decimal": ","})
    assert float(kilopascals[0]) == pytest.approx(128.26, abs=0.01)


YES_NO = {"levels": {"yes": ["J"], "no": ["N"]}}


def test_one_yes_settles_any_and_one_no_settles_all_else_each_must_be_known() -> None:
    a, b = ["J", "N", "N", "J", "", "?"], ["N", "N", "", "", "", "J"]
    pair = {"from": ["A", "B"], **YES_NO}
    assert made("diabetes_told", {**pair, "combine": "any"}, a, b) == ["yes", "no", "", "yes", "", "yes"]
    assert made("diabetes_told", {**pair, "combine": "all"}, a, b) == ["no", "no", "no", "", "", "? | J"]
    assert made("diabetes_told", {**pair, "combine": "any"}, ["?"], ["N"]) == ["? | N"]


def test_an_empty_cell_is_a_level_only_where_it_is_named() -> None:
    codes = [["E11.9", "I10", ""], ["", "", ""]]
    how = {"from": ["A", "B"], "combine": "any", "levels": {"yes": ["E11*"], "no": ["*"]}}
    assert made("diabetes_told", how, *codes) == ["yes", "", ""]
    how["levels"] = {"yes": ["E11*"], "no": ["", "*"]}
    assert made("diabetes_told", how, *codes) == ["yes", "no", "no"]


def test_sums_and_means_of_columns() -> None:
    a, b, c = ["1.5", "1", "", "x"], ["2", "", "", "1"], ["0", "4", "", "1"]
    three = {"from": ["A", "B", "C"]}
    assert made("energy_kcal", {**three, "combine": "sum"}, a, b, c) == ["3.5", "", "", "x | 1 | 1"]
    assert made("energy_kcal", {**three, "combine": "sum", "empty": 0}, a, b, c) == ["3.5", "5", "0", "x | 1 | 1"]
    assert made("energy_kcal", {**three, "combine": "mean"}, a, b, c) == [repr(3.5 / 3), "2.5", "", "x | 1 | 1"]
    kj = made("energy_kcal", {**three, "combine": "sum", "unit": "kj"}, ["418.4"], ["418.4"], ["0"])
    assert float(kj[0]) == pytest.approx(200)


@pytest.mark.parametrize("cells", [["1e308", "1e308"], ["inf", "1"], ["inf", "-inf"]])
def test_an_infinite_sum_is_refused(cells: list[str]) -> None:
    with pytest.raises(MgRiskError) as refused:
        made("energy_kcal", {"from": ["A", "B"], "combine": "sum"}, *([cell] for cell in cells))
    assert refused.value.code == "mapping.infinite"


@pytest.mark.parametrize(
    ("file", "cells", "numbers"),
    [
        ({"decimal": ","}, ["82,5", "82", "-0,5", ",5"], ["82.5", "82", "-0.5", "0.5"]),
        ({"decimal": ","}, ["82.5", "1.234,5"], ["?82.5", "1.234,5"]),
        ({"decimal": ",", "thousands": "."}, ["1.234,5", "1.234", "1234,5"], ["1234.5", "1234", "1234.5"]),
        ({"decimal": ",", "thousands": "."}, ["82.5", "1.2345"], ["?82.5", "?1.2345"]),
        ({"thousands": ","}, ["1,234.5", "12,34", "1234"], ["1234.5", "12,34", "1234"]),
        ({"decimal": ",", "thousands": " "}, ["1 234,5", "1\u00a0234,5", "1\u202f234"], ["1234.5", "1234.5", "1234"]),
        ({"thousands": "'"}, ["1'234.5"], ["1234.5"]),
        ({}, ["1.50", "082"], ["1.50", "082"]),
    ],
)  # fmt: skip
def test_numbers_in_the_signs_of_the_file(file: dict[str, str], cells: list[str], numbers: list[str]) -> None:
    assert made("energy_kcal", {"from": "A"}, cells, file=file) == numbers


@given(st.floats(-1e9, 1e9), st.sampled_from([(".", ","), (",", "."), (",", " "), (".", "'"), (",", "")]))
def test_a_number_in_any_signs_is_the_number(value: float, signs: tuple[str, str]) -> None:
    decimal, thousands = signs
    text = f"{value:,.3f}".translate(str.maketrans({",": thousands, ".": decimal}))
    found = made("weight_change_1y_kg", {"from": "A"}, [text], file={"decimal": decimal, "thousands": thousands})
    assert float(found[0]) == float(f"{value:.3f}")


def test_levels_by_list_and_pattern_case_aside() -> None:
    levels = {"never": ["nie", "0"], "former": ["ex*", "*quit*"], "current": ["ja", "STRASSE"]}
    cells = ["nie", "NIE ", "0.0", "Ex-Raucher", "has quit", "JA", "straße", "jaja", ""]
    found = made("smoking", {"from": "A", "levels": levels}, cells)
    assert found == ["never", "never", "never", "former", "former", "current", "current", "jaja", ""]


def test_a_code_as_written_comes_before_case_and_a_code_before_a_pattern() -> None:
    levels = {"m": "male", "M": "female", "*": "male", "F": "female"}
    assert made("sex", {"from": "A", "levels": levels}, ["m", "M", "f", "x"]) == ["male", "female", "female", "male"]


def test_only_the_star_is_a_pattern() -> None:
    how = {"from": "A", "levels": {"yes": ["[a]?.+*"]}}
    assert made("other", how, ["[a]?.+b", "[A]?.+", "a"]) == ["yes", "yes", "a"]


@pytest.mark.parametrize(
    ("cells", "level"), [(["True", "t", "YES", "y", "1", "1.0"], "yes"), (["FALSE", "f", "no", "N", "0", "0.0"], "no")]
)
def test_booleans_of_any_type(cells: list[str], level: str) -> None:
    assert made("hypertension_told", {"from": "A", "levels": "boolean"}, cells) == [level] * 6
    assert made("hypertension_told", {"from": "A", "levels": "boolean"}, ["2", "maybe", ""]) == ["2", "maybe", ""]


def test_a_constant() -> None:
    assert made("pregnant", {"constant": "no"}, ["1", "2"]) == ["no", "no"]
    assert made("other", {"constant": "north"}, ["1"]) == ["north"]


def test_a_column_that_is_carried_over_is_not_looked_at_unless_something_is_made_of_it() -> None:
    cells = [" x", "NA", "-9", ""]
    assert made("other", {"from": "A"}, cells, missing=["-9"]) == cells
    assert made("other", {"from": "A", "missing": ["x"]}, cells) == ["", "", "-9", ""]
    assert made("other", {"from": "A", "factor": 2.0}, ["3", "x", ""]) == ["6", "x", ""]


def test_no_rows_are_no_rows() -> None:
    for how in ({"from": "A"}, {"from": ["A", "B"], "combine": "sum"}, {"from": "A", "age_at": "B"}):
        assert made("age_years", how, [], []) == []


def test_rows_are_excluded_by_code_number_case_aside_and_pattern() -> None:
    cells = pd.Series(["X", "x ", "2.0", "2", "Testfall 3", "xx", "", "3"], dtype=object)
    assert matches(cells, ["x", "2", "test*"]).tolist() == [True, True, True, True, True, False, False, False]
    assert matches(cells, [""]).tolist() == [False] * 6 + [True, False]

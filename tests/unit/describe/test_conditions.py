from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from mgrisk.describe.conditions import GRAMMAR, LONGEST, Amount, Condition, expression, parse
from mgrisk.errors import ExitStatus, MgRiskError

AGE = pd.Series([10.0, 20.0, 40.0, np.nan])
SEX = pd.Series(pd.Categorical(["male", "female", None, "male"], categories=["female", "male"]))
COLUMNS = {"age": AGE, "sex": SEX, "weight": pd.Series([0.0, 60.0, 80.0, 90.0])}
T, F, U = "true", "false", "undecided"


def decided(text: str) -> list[str]:
    truth = parse(text).holds(COLUMNS)
    assert not (truth.true & truth.undecided).any()
    return [T if true else U if unknown else F for true, unknown in zip(truth.true, truth.undecided, strict=True)]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("age >= 20", [F, T, T, U]),
        ("age > 20", [F, F, T, U]),
        ("20 < age", [F, F, T, U]),
        ("20 <= age < 40", [F, T, F, U]),
        ("age == 20", [F, T, F, U]),
        ("age != 20", [T, F, T, U]),
        ("age > -1.5", [T, T, T, U]),
        ("age in (10, 40)", [T, F, T, U]),
        ("age not in [10, 40]", [F, T, F, U]),
        ("sex == 'male'", [T, F, U, T]),
        ("'male' != sex", [F, T, U, F]),
        ("sex in ('male', 'female')", [T, T, U, T]),
        ("not sex == 'male'", [F, T, U, F]),
        ("missing(sex)", [F, F, T, F]),
        ("not missing(age)", [T, T, T, F]),
        ("age + 1 > 20", [F, T, T, U]),
        ("weight < 3 * age", [T, F, T, U]),
        ("weight / 2 >= age", [F, T, T, U]),
        ("age == weight / 2", [F, F, T, U]),
        ("age != weight / 2", [T, T, F, U]),
        ("age < weight", [F, T, T, U]),
        ("20 <= weight - age < 41", [F, T, T, U]),
        ("-age < -20", [F, F, T, U]),
        # A quotient by zero is no number.
        ("age / weight > 0", [U, T, T, U]),
        ("sex == 'male' or age / weight > 0.4", [T, F, T, T]),
        # Kleene: what one side settles, the other need not know.
        ("age >= 20 and sex == 'male'", [F, F, U, U]),
        ("age < 20 and sex == 'male'", [T, F, F, U]),
        ("age >= 20 or sex == 'male'", [T, T, T, T]),
        ("missing(sex) or sex != 'male'", [F, T, T, F]),
        ("not (age >= 20 and sex == 'male')", [T, T, U, U]),
    ],
)
def test_a_condition_is_true_false_or_undecided(text: str, expected: list[str]) -> None:
    assert decided(text) == expected


def test_and_binds_before_or_and_parentheses_before_both() -> None:
    assert decided("age == 10 or age == 20 and age == 40") == [T, F, F, U]
    assert decided("(age == 10 or age == 20) and age == 40") == [F, F, F, U]


@pytest.mark.parametrize(
    "text",
    [
        "",
        "age",
        "20",
        "True",
        "age >= True",
        "age = 20",
        "age >= 20 and",
        "20 <= 30",
        "1 + 1 > 20",
        "age + True > 20",
        "age + 'old' > 20",
        "age % 2 > 1",
        "age // 2 > 1",
        "age + 1",
        "age in (10 + 1, 20)",
        "age + 1 in (10, 20)",
        "age + (sex == 'male') > 20",
        "missing(age) + 1 > 1",
        "age > 10 ** 9",
        "age is 20",
        "age in 20",
        "age in ()",
        "age in (10, age)",
        "sex == f'{age}'",
        "sex == -'male'",
        "sex == b'male'",
        "age > 1j",
        "~(age > 20)",
        "age > 20 if age else 3",
        "lambda: age",
        "[age for age in (1, 2)]",
        "age.size > 1",
        "age[0] > 1",
        "(age := 3) > 1",
        "missing('age')",
        "missing(age, sex)",
        "missing(age >= 20)",
        "missing(age, key=1)",
        "isna(age)",
        "__import__('os').system('true')",
        "age >= 20; age",
        "age >= 20\nimport os",
        "age > 0\0",
        "age > 1" + "0" * 400,
        "age in (1, -1" + "0" * 400 + ")",
        "(" * 300 + "age > 1" + ")" * 300,
        "not " * 240 + "age > 1" + " " * LONGEST,
    ],
)
def test_anything_else_is_refused_with_the_grammar(text: str) -> None:
    with pytest.raises(MgRiskError) as caught:
        parse(text)
    assert caught.value.code == "condition.syntax"
    assert caught.value.hint == GRAMMAR
    assert caught.value.status is ExitStatus.USAGE


def test_the_part_that_is_not_understood_is_named() -> None:
    with pytest.raises(MgRiskError, match=r"'age % 1'"):
        parse("sex == 'male' and age % 1 > 20")


def test_names_come_once_and_in_order() -> None:
    assert parse("sex == 'male' or age > 3 and missing(bmi) and age < 4").names == ("sex", "age", "bmi")


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("sex == 'man'", "condition.unknown_level"),
        ("sex > 'female'", "condition.kind"),
        ("sex == 1", "condition.kind"),
        ("age == 'old'", "condition.kind"),
    ],
)
def test_a_comparison_that_makes_no_sense_is_refused(text: str, code: str) -> None:
    with pytest.raises(MgRiskError) as caught:
        parse(text).holds(COLUMNS)
    assert caught.value.code == code


def test_a_misspelt_level_is_answered_with_the_nearest() -> None:
    with pytest.raises(MgRiskError) as caught:
        parse("sex == 'femal'").holds(COLUMNS)
    assert caught.value.hint == "did you mean 'female'?"


def test_rows_are_told_by_place_whatever_the_index() -> None:
    moved = {"age": AGE.set_axis([7, 3, 3, 1])}
    assert parse("age >= 20").holds(moved).true.tolist() == [False, True, True, False]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("age + weight", [10.0, 80.0, 120.0, np.nan]),
        ("2 * (weight - 60) / age", [-12.0, 0.0, 1.0, np.nan]),
        ("weight - 60 / age", [-6.0, 57.0, 78.5, np.nan]),
        ("-weight", [0.0, -60.0, -80.0, -90.0]),
        ("age / weight", [np.nan, 20 / 60, 0.5, np.nan]),
        ("1e308 * weight * 10", [0.0, np.nan, np.nan, np.nan]),
    ],
)
def test_an_amount_is_computed_row_by_row(text: str, expected: list[float]) -> None:
    found = expression(text)
    assert isinstance(found, Amount)
    np.testing.assert_allclose(found.values(COLUMNS), expected)


def test_an_expression_is_an_amount_or_a_condition() -> None:
    assert isinstance(expression("age >= 20"), Condition)
    assert isinstance(expression("not age + 1 >= 20"), Condition)
    assert expression("weight / age + weight").names == ("weight", "age")


@pytest.mark.parametrize(
    "text", ["1 + 1", "age ** 2", "age + 'x'", "--age", "age + f(age)", "age + True", "age * 1j", "(age > 1) + 1", "20"]
)
def test_what_is_neither_is_refused(text: str) -> None:
    with pytest.raises(MgRiskError) as caught:
        expression(text)
    assert (caught.value.code, caught.value.hint) == ("condition.syntax", GRAMMAR)


def test_the_longest_amount_is_computed() -> None:
    text = "age" + "+1" * ((LONGEST - 3) // 2)
    found = expression(text)
    assert isinstance(found, Amount)
    assert found.values(COLUMNS)[0] == 10 + (LONGEST - 3) // 2


def test_arithmetic_on_a_category_is_refused() -> None:
    for text in ("sex + 1 > 2", "sex < age"):
        with pytest.raises(MgRiskError) as caught:
            parse(text).holds(COLUMNS)
        assert (caught.value.code, caught.value.where) == ("condition.kind", "sex")


@pytest.mark.parametrize(
    ("text", "sides"),
    [
        ("age * 9 / weight", ("age * 9", "weight")),
        ("(age + weight) / (weight - 1)", ("age + weight", "weight - 1")),
        ("age / 2", None),
        ("9 * (age / weight)", None),
        ("1 / age", None),
    ],
)
def test_a_quotient_has_two_sides_with_names(text: str, sides: tuple[str, str] | None) -> None:
    found = expression(text)
    assert isinstance(found, Amount)
    assert (None if (both := found.quotient()) is None else tuple(each.text for each in both)) == sides

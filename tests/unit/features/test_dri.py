"""Reference intakes: the break between 30 and 31, pregnancy, what has no value, what is refused."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from mgrisk.errors import MgRiskError
from mgrisk.features.dri import MAGNESIUM, reference_intakes


def values(age: float, sex: str, **state: bool) -> tuple[float, ...]:
    row = reference_intakes([age], [sex], **{name: [said] for name, said in state.items()})
    return tuple(row.iloc[0])


# Institute of Medicine (1997), Dietary Reference Intakes, chapter 6: EAR, RDA, UL of supplements, mg a day.
@pytest.mark.parametrize(
    ("age", "sex", "expected"),
    [
        (16, "male", (340, 410, 350)),
        (16, "female", (300, 360, 350)),
        (25, "male", (330, 400, 350)),
        (25, "female", (255, 310, 350)),
        (45, "male", (350, 420, 350)),
        (45, "female", (265, 320, 350)),
        (80, "male", (350, 420, 350)),
        (80, "female", (265, 320, 350)),
        (2, "female", (65, 80, 65)),
        (8, "male", (110, 130, 110)),
    ],
)
def test_adults_and_children_have_the_published_values(age: float, sex: str, expected: tuple[float, ...]) -> None:
    assert values(age, sex) == expected


@pytest.mark.parametrize(("age", "expected"), [(17, (335, 400)), (30, (290, 350)), (31, (300, 360)), (50, (300, 360))])
def test_pregnancy_has_its_own_values(age: float, expected: tuple[float, ...]) -> None:
    assert values(age, "female", pregnant=True)[:2] == expected


def test_lactation_has_the_values_of_other_women_of_the_age() -> None:
    for age in (16, 25, 40):
        assert values(age, "female", lactating=True) == values(age, "female")


def test_pregnancy_goes_before_lactation() -> None:
    assert values(25, "female", pregnant=True, lactating=True) == values(25, "female", pregnant=True)


def test_the_break_of_adults_lies_at_the_thirty_first_birthday() -> None:
    table = reference_intakes([30, 30.99, 31, 50, 51], ["male"] * 5)
    assert table["ear_mg"].tolist() == [330, 330, 350, 350, 350]
    assert table["rda_mg"].tolist() == [400, 400, 420, 420, 420]


def test_whom_no_row_speaks_of_has_no_value() -> None:
    table = reference_intakes(
        [0.5, np.nan, 40, 55], ["male", "male", None, "female"], pregnant=[None, None, None, True]
    )
    assert table.isna().all(axis=None)


def test_an_unknown_pregnancy_is_none() -> None:
    table = reference_intakes([25, 25], ["female"] * 2, pregnant=pd.Series([np.nan, False], dtype=object))
    assert table["ear_mg"].tolist() == [255, 255]


def test_the_answer_has_the_rows_of_the_question() -> None:
    age = pd.Series([40.0, 20.0], index=[7, 3])
    assert reference_intakes(age, ["male", "female"]).index.tolist() == [7, 3]


@pytest.mark.parametrize(
    ("age", "sex", "state", "code"),
    [
        ([40], ["Male"], {}, "dri.bad_sex"),
        ([40], ["male", "male"], {}, "dri.bad_length"),
        ([-1], ["male"], {}, "dri.bad_age"),
        (["forty"], ["male"], {}, "dri.bad_age"),
        ([40], ["male"], {"pregnant": [True]}, "dri.pregnant_man"),
        ([40], ["female"], {"pregnant": [True, False]}, "dri.bad_length"),
    ],
)
def test_what_cannot_be_is_refused(age: list[object], sex: list[str], state: dict[str, list[bool]], code: str) -> None:
    with pytest.raises(MgRiskError) as refused:
        reference_intakes(age, sex, **state)  # type: ignore[arg-type]
    assert refused.value.code == code


def test_rows_meet_without_gap_or_overlap_and_say_what_was_checked() -> None:
    for stage, sex in {(row.stage, row.sex) for row in MAGNESIUM}:
        rows = sorted((row for row in MAGNESIUM if (row.stage, row.sex) == (stage, sex)), key=lambda row: row.first)
        assert [row.first for row in rows[1:]] == [row.last + 1 for row in rows[:-1]]
    assert all(row.ear < row.rda and row.source and row.checked for row in MAGNESIUM)

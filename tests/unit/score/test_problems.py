"""Codes of rows: which, in which order, how often."""

from __future__ import annotations

import numpy as np

from mgrisk.features.registry import features
from mgrisk.score.cells import BAD, EMPTY, GOOD, OUTSIDE
from mgrisk.score.problems import Codes, first_rejected

INPUTS = features(["age_years", "sex", "bmi_kg_m2"])
CODES = Codes(INPUTS, features(["age_years", "bmi_kg_m2"]))


def test_codes_stand_in_the_order_of_the_contract_and_what_is_missing_after_them() -> None:
    state = np.array([[GOOD, OUTSIDE, EMPTY, GOOD], [GOOD, BAD, GOOD, GOOD], [EMPTY, BAD, EMPTY, GOOD]], dtype=np.uint8)
    rejected = np.array([False, True, True, True])
    absent = np.array([[False, True, True, False], [True, True, True, False]])
    problems = CODES.join(state, rejected, {3: 7}, absent)
    assert problems.texts().tolist() == [
        "missing:bmi_kg_m2",
        "out_of_range:age_years;unknown_level:sex;not_a_number:bmi_kg_m2",
        "missing:age_years",
        "wrong_field_count:7",
    ]
    assert problems.counts == {
        "missing:bmi_kg_m2": 1,
        "out_of_range:age_years": 1,
        "unknown_level:sex": 1,
        "not_a_number:bmi_kg_m2": 1,
        "missing:age_years": 1,
        "wrong_field_count:7": 1,
    }
    assert first_rejected(rejected, problems) == (1, problems.texts()[1])


def test_no_rows_have_no_problems() -> None:
    problems = CODES.join(np.empty((3, 0), dtype=np.uint8), np.empty(0, dtype=np.bool_), {})
    assert problems.texts().tolist() == []
    assert first_rejected(np.empty(0, dtype=np.bool_), problems) is None

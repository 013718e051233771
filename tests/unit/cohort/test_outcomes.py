"""Who is a case, who is a control, and who is neither."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from mgrisk.cohort.outcomes import OUTCOMES, Outcome, outcome
from mgrisk.errors import ExitStatus, MgRiskError
from mgrisk.nhanes.codebook import VARIABLES

NAN = float("nan")


def labels(name: str, hba1c: list[float], glucose: list[float]) -> list[float]:
    return outcome(name).label_people(pd.DataFrame({"LBXGH": hba1c, "LBXGLU": glucose})).tolist()


def test_either_value_in_the_diabetic_range_makes_a_case_and_the_bounds_belong_to_it() -> None:
    found = labels("undiagnosed", [6.5, 5.0, 7.0, 6.4, 6.4], [100.0, 126.0, 200.0, 125.0, 90.0])
    assert found == [1.0, 1.0, 1.0, 0.0, 0.0]


def test_who_lacks_a_needed_value_is_neither_case_nor_control_even_with_the_other_one_high() -> None:
    np.testing.assert_array_equal(
        labels("undiagnosed", [NAN, 9.0, NAN, 5.0], [90.0, NAN, NAN, NAN]), [NAN, NAN, NAN, NAN]
    )


def test_hba1c_alone_does_not_ask_for_glucose() -> None:
    np.testing.assert_array_equal(labels("undiagnosed-hba1c", [6.5, 6.4, NAN], [NAN, 200.0, 200.0]), [1.0, 0.0, NAN])


@pytest.mark.parametrize("row", OUTCOMES.values(), ids=lambda row: row.name)
def test_an_outcome_reads_known_variables_and_every_case_rule_is_on_a_required_one(row: Outcome) -> None:
    assert set(row.variables) <= VARIABLES.keys()
    assert {rule.variable for rule in row.case} <= set(row.required)


def test_an_unknown_outcome_is_refused_with_the_known_ones() -> None:
    with pytest.raises(MgRiskError) as caught:
        outcome("diabetes")
    assert caught.value.code == "outcomes.unknown"
    assert caught.value.status == ExitStatus.USAGE
    assert caught.value.hint == "one of: undiagnosed, undiagnosed-hba1c"

"""Values that cannot both be right reject the row, and only such."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from mgrisk import load_model
from mgrisk.features.registry import FEATURES, features
from mgrisk.score.contradictions import RULES, mark_contradictions
from mgrisk.score.eligibility import Exclusion, mark_excluded
from mgrisk.score.input_schema import check

INPUTS = features(
    ["age_years", "sex", "gestational_diabetes", "large_baby", "systolic_mmhg", "diastolic_mmhg", "pregnant"]
)


def problems(**values: object) -> str:
    people = pd.DataFrame([{"age_years": 50, "sex": "female", **values}])
    return str(mark_contradictions(check(people, INPUTS)).problems[0])


@pytest.mark.parametrize(
    ("values", "codes"),
    [
        ({"sex": "male", "gestational_diabetes": "yes"}, "contradiction:gestational_diabetes"),
        ({"sex": "male", "gestational_diabetes": "no", "large_baby": "yes"}, "contradiction:large_baby"),
        ({"sex": "female", "gestational_diabetes": "yes", "large_baby": "yes"}, ""),
        ({"sex": "", "large_baby": "yes"}, "missing:sex"),
        ({"systolic_mmhg": 80, "diastolic_mmhg": 120}, "contradiction:diastolic_mmhg"),
        ({"systolic_mmhg": 80, "diastolic_mmhg": 80}, "contradiction:diastolic_mmhg"),
        ({"systolic_mmhg": 80.5, "diastolic_mmhg": 80}, ""),
        ({"diastolic_mmhg": 120}, ""),
        ({"systolic_mmhg": 900, "diastolic_mmhg": 120}, "out_of_range:systolic_mmhg"),
    ],
)
def test_what_cannot_be_is_named_and_what_is_not_known_is_not(values: dict[str, object], codes: str) -> None:
    assert problems(**values) == codes


def test_a_rejected_row_has_no_risk_in_file_and_frame_alike() -> None:
    people = pd.DataFrame({"age_years": 50, "sex": ["male", "female"], "gestational_diabetes": "yes"})
    found = load_model("undiagnosed").score(people, reasons=0)
    assert found["status"].tolist() == ["rejected", "scored"]
    assert found["risk"].notna().tolist() == [False, True]


def test_who_is_not_eligible_need_not_be_mended() -> None:
    people = pd.DataFrame([{"age_years": 50, "sex": "male", "large_baby": "yes", "pregnant": "yes"}])
    excluded = [Exclusion(FEATURES["pregnant"], "pregnant", level="yes")]
    checked = mark_excluded(mark_contradictions(check(people, INPUTS)), excluded)
    assert checked.problems.tolist() == ["not_eligible:pregnant"]
    assert not np.any(checked.rejected)


def test_every_rule_is_of_inputs_and_levels_of_the_registry() -> None:
    for rule in RULES:
        assert rule.get("level", "yes") in {*FEATURES[rule["column"]].levels, "yes"}
        assert rule.get("other", rule.get("below")) in FEATURES
        assert rule["why"]
        assert rule["source"]

"""What defines, treats or follows an outcome cannot be a feature of its model."""

from __future__ import annotations

import pytest

from mgrisk.cohort.leakage import refuse_leaks
from mgrisk.cohort.outcomes import OUTCOMES, Outcome, outcome
from mgrisk.errors import ExitStatus, MgRiskError
from mgrisk.features.registry import FEATURES, features

every_outcome = pytest.mark.parametrize("row", OUTCOMES.values(), ids=lambda row: row.name)


@every_outcome
def test_every_leaking_source_is_refused_by_name_with_feature_source_and_pattern(row: Outcome) -> None:
    innocent = FEATURES["waist_cm"]
    for pattern in row.leaks:
        source = pattern.replace("*", "020")
        leaking = innocent.model_copy(update={"name": "glucose_like", "sources": ("BMXWAIST", source)})
        with pytest.raises(MgRiskError) as caught:
            refuse_leaks(row, [innocent, leaking])
        assert caught.value.code == "leakage.by_name"
        assert caught.value.status == ExitStatus.USAGE
        for part in ("glucose_like", row.name, source, pattern):
            assert part in caught.value.what()


@every_outcome
def test_what_defines_an_outcome_is_on_its_own_leak_list(row: Outcome) -> None:
    for name in row.variables:
        defining = FEATURES["waist_cm"].model_copy(update={"sources": (name,)})
        with pytest.raises(MgRiskError, match=name):
            refuse_leaks(row, [defining])


# Serum glucose and an osmolality computed from it; a diabetic diet; metformin; insulin; what a diagnosis brings.
KNOWN = ("LBXSGL", "LBXSOSSI", "LBXGLT", "DRQSDT7", "RXDDRUG", "LBXIN", "DIQ050", "URDACT", "MCQ365A", "SEQN")


@pytest.mark.parametrize("source", KNOWN)
def test_known_leaks_of_the_field_are_refused(source: str) -> None:
    leaking = FEATURES["waist_cm"].model_copy(update={"sources": (source,)})
    with pytest.raises(MgRiskError, match=source):
        refuse_leaks(outcome("undiagnosed"), [leaking])


@every_outcome
def test_no_feature_of_the_registry_leaks(row: Outcome) -> None:
    refuse_leaks(row, features(FEATURES))


def test_a_name_that_only_holds_a_leaking_one_is_no_leak() -> None:
    other = FEATURES["waist_cm"].model_copy(update={"sources": ("LBXGHX", "XDIQ010")})
    refuse_leaks(outcome("undiagnosed"), [other])

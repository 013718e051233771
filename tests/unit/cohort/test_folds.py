"""Folds have whole PSUs, the PSUs of a stratum in different folds, and no held-out people."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mgrisk.cohort.folds import assign_folds, check_folds
from mgrisk.cohort.select import DEVELOPMENT, HELD_OUT
from mgrisk.errors import MgRiskError


def cohort(psus: list[int], *, people: int = 3) -> pd.DataFrame:
    """Make strata with so many PSUs each, and as many people of a held-out cycle in other strata."""
    rows = [
        (100 + stratum, 1 + psu) for stratum, count in enumerate(psus) for psu in range(count) for _ in range(people)
    ]
    frame = pd.DataFrame(rows, columns=["stratum", "psu"])
    both = pd.concat([frame.assign(set=DEVELOPMENT), frame.assign(set=HELD_OUT, stratum=frame["stratum"] + 500)])
    shuffled = both.sample(frac=1, random_state=1).reset_index(drop=True)
    return shuffled.assign(SEQN=np.arange(1000, 1000 + len(shuffled)))


def refused(folds: pd.DataFrame, frame: pd.DataFrame) -> str:
    with pytest.raises(MgRiskError) as caught:
        check_folds(folds, frame)
    return caught.value.code


@given(
    psus=st.lists(st.integers(2, 4), min_size=1, max_size=20),
    folds=st.integers(4, 10),
    seed=st.integers(0, 2**32),
)
def test_no_psu_is_in_two_folds_and_the_psus_of_a_stratum_are_in_different_ones(
    psus: list[int], folds: int, seed: int
) -> None:
    frame = cohort(psus)
    dealt = assign_folds(frame, folds=folds, seed=seed)
    check_folds(dealt, frame)
    assert dealt.groupby(["stratum", "psu"])["fold"].nunique().eq(1).all()
    by_stratum = dealt.drop_duplicates(["stratum", "psu"]).groupby("stratum")["fold"]
    assert (by_stratum.nunique() == by_stratum.size()).all()
    assert dealt["fold"].between(0, folds - 1).all()
    # As cards are dealt: no fold has two PSUs more than another.
    sizes = dealt.drop_duplicates(["stratum", "psu"])["fold"].value_counts().reindex(range(folds), fill_value=0)
    assert sizes.max() - sizes.min() <= 1


def test_everybody_of_development_and_nobody_held_out_has_a_fold() -> None:
    frame = cohort([2, 2, 3])
    dealt = assign_folds(frame, folds=3, seed=1)
    assert sorted(dealt["SEQN"]) == sorted(frame.loc[frame["set"] == DEVELOPMENT, "SEQN"])
    assert dealt["fold"].notna().all()


def test_folds_follow_from_the_seed_and_not_from_the_order_of_rows() -> None:
    frame = cohort([2] * 12)
    first = assign_folds(frame, folds=5, seed=3)
    again = assign_folds(frame.sample(frac=1, random_state=2), folds=5, seed=3)
    pd.testing.assert_frame_equal(first, again.sort_values("SEQN", ignore_index=True))
    assert not first["fold"].equals(assign_folds(frame, folds=5, seed=4)["fold"])


def test_folds_dealt_person_by_person_are_refused() -> None:
    frame = cohort([2, 2])
    dealt = assign_folds(frame, folds=2, seed=1)
    assert refused(dealt.assign(fold=np.arange(len(dealt)) % 2), frame) == "split.psu_in_two_folds"


def test_one_person_moved_to_another_fold_is_refused() -> None:
    frame = cohort([2, 2])
    dealt = assign_folds(frame, folds=2, seed=1)
    dealt.loc[4, "fold"] = 1 - dealt.loc[4, "fold"]
    assert refused(dealt, frame) == "split.psu_in_two_folds"


def test_person_wise_folds_with_invented_psus_are_refused() -> None:
    frame = cohort([2, 2])
    dealt = assign_folds(frame, folds=2, seed=1)
    forged = dealt.assign(fold=np.arange(len(dealt)) % 2, psu=np.arange(len(dealt)))
    assert refused(forged, frame) == "split.psu_in_two_folds"


def test_a_held_out_person_smuggled_into_the_folds_is_refused() -> None:
    frame = cohort([2, 2])
    dealt = assign_folds(frame, folds=2, seed=1)
    stranger = frame.loc[frame["set"] == HELD_OUT, ["SEQN", "stratum", "psu"]].head(1).assign(fold=0)
    assert refused(pd.concat([dealt, stranger]), frame) == "split.held_out_in_folds"

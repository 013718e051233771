"""Covariates of usual intake: the same columns in fitting and in scoring, and what stands in for a missing value."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest

from mgrisk.errors import MgRiskError
from mgrisk.features.intake_covariates import Covariates

PEOPLE = pd.DataFrame({"group": ["men", "women", "men", "boys"], "age": [30.0, 40.0, 50.0, 9.0]})
WEIGHT = np.array([1.0, 1.0, 2.0, 0.0])


@pytest.fixture
def covariates() -> Covariates:
    return Covariates.learn(PEOPLE, WEIGHT)


def test_only_people_with_a_weight_make_levels_and_means(covariates: Covariates) -> None:
    assert covariates.columns == ("group=women", "age")
    np.testing.assert_allclose(covariates.means, [0.25, 42.5])


def test_missing_and_unknown_values_are_replaced_by_the_mean_and_told(covariates: Covariates) -> None:
    matrix, missing = covariates.matrix(
        pd.DataFrame({"age": [np.nan, 20.0, 20.0], "group": ["men", "boys", None], "more": 1}), 3
    )
    np.testing.assert_allclose(matrix, [[1, 0, 42.5], [1, 0.25, 20], [1, 0.25, 20]])
    assert missing.tolist() == [True, True, True]


def test_the_columns_do_not_depend_on_who_else_is_there(covariates: Covariates) -> None:
    whole, _ = covariates.matrix(PEOPLE, 4)
    alone, _ = covariates.matrix(PEOPLE.iloc[[1]], 1)
    np.testing.assert_array_equal(alone, whole[[1]])


@pytest.mark.parametrize("words", ["category", "string", object])
def test_words_are_words_however_they_are_stored(words: str) -> None:
    people = PEOPLE.astype({"group": words})
    assert Covariates.learn(people, WEIGHT).columns == ("group=women", "age")


def test_no_covariates_leave_the_intercept() -> None:
    matrix, missing = Covariates.learn(None, WEIGHT).matrix(None, 4)
    assert matrix.tolist() == [[1.0]] * 4
    assert not missing.any()


def test_covariates_go_through_json(covariates: Covariates) -> None:
    back = Covariates.from_dict(json.loads(json.dumps(covariates.to_dict())))
    np.testing.assert_array_equal(back.matrix(PEOPLE, 4)[0], covariates.matrix(PEOPLE, 4)[0])


def test_what_cannot_be_used_is_refused(covariates: Covariates) -> None:
    cases = {
        "intake_covariates.missing": lambda: Covariates.learn(PEOPLE.assign(age=np.nan), WEIGHT),
        "intake_covariates.absent": lambda: covariates.matrix(PEOPLE[["age"]], 4),
        "intake_covariates.bad_length": lambda: covariates.matrix(PEOPLE, 3),
    }
    for code, use in cases.items():
        with pytest.raises(MgRiskError) as refused:
            use()
        assert refused.value.code == code

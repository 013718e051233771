"""A candidate of a run must be a classifier with a unique name."""

from __future__ import annotations

from typing import Any

import pytest
from sklearn.linear_model import LinearRegression, LogisticRegression

from mgrisk.config.pipeline_file import Model
from mgrisk.errors import MgRiskError
from mgrisk.model.estimators import identity
from mgrisk.pipeline.candidates import accepted

SETTINGS = Model.model_validate(
    {"features": ["age_years"], "spline_logistic": {}, "sums": {"blend": ["spline_logistic"]}}
)


def test_a_classifier_is_accepted_with_its_identity() -> None:
    given = LogisticRegression(C=3)
    found = accepted({"mine": given}, SETTINGS)
    assert found["mine"].estimator is given
    assert found["mine"].identity == identity(given)
    assert accepted({}, SETTINGS) == {}


@pytest.mark.parametrize(
    "name", ["spline_logistic", "xgboost", "blend", "ada", "findrisc", "Mine", "ada:mine", "../x", "", "SEQN", "m" * 41]
)
def test_a_name_that_something_else_has_is_refused(name: str) -> None:
    with pytest.raises(MgRiskError) as caught:
        accepted({name: LogisticRegression()}, SETTINGS)
    assert caught.value.code == "candidates.bad_name"


@pytest.mark.parametrize("what", [LogisticRegression, LinearRegression(), "logistic", None])
def test_what_is_no_classifier_is_refused(what: Any) -> None:
    with pytest.raises(MgRiskError, match="mine") as caught:
        accepted({"mine": what}, SETTINGS)
    assert caught.value.code == "candidates.no_classifier"

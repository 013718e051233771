"""The logged model has the same output columns for any bundle and for rejected rows."""

from __future__ import annotations

import json

import pandas as pd
import pytest
from mlflow.types import DataType

from mgrisk.model.bundle import Bundle
from mgrisk.score.scorer import Scorer
from mgrisk.track.served import _Pyfunc, example_people, signature

PEOPLE = pd.DataFrame({"age_years": [50.0, 430.0, 61.0], "sex": ["male", "male", "female"]})


@pytest.mark.parametrize("learner", ["spline_logistic", "xgboost"])
def test_a_column_that_the_signature_calls_a_number_is_one_and_no_other(
    learner: str, toy_bundles: dict[str, Bundle]
) -> None:
    scorer = Scorer(toy_bundles[learner])
    answer = scorer.results(PEOPLE, reasons=3)
    declared = {column.name: column.type for column in signature(scorer).outputs}
    assert list(declared) == list(answer)
    numbers = {name for name in answer if pd.api.types.is_float_dtype(answer[name])}
    assert {name for name, kind in declared.items() if kind == DataType.double} == numbers
    assert {"risk_low_inputs", "risk_high_inputs", "inputs_used"} <= numbers


@pytest.mark.parametrize("learner", ["spline_logistic", "xgboost"])
def test_what_is_not_known_is_null_in_json(learner: str, toy_bundles: dict[str, Bundle]) -> None:
    served = _Pyfunc(Scorer(toy_bundles[learner]))
    rows = json.loads(json.dumps(served.predict(PEOPLE).to_dict("records"), allow_nan=False))
    assert (rows[1]["status"], rows[1]["risk"], rows[1]["inputs_used"]) == ("rejected", None, None)
    assert rows[0]["inputs_used"] == 2
    assert (rows[0]["risk_low_inputs"] is None) == (learner == "xgboost")


def test_the_example_is_of_one_who_lacks_nothing_and_one_who_gave_what_is_required(
    toy_bundles: dict[str, Bundle],
) -> None:
    scorer = Scorer(toy_bundles["spline_logistic"])
    used = scorer.score(example_people(scorer))["inputs_used"].tolist()
    assert used == [len(scorer.bundle.features), 2]

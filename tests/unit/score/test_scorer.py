"""A scorer is a fitted classifier of scikit-learn, and gives the sources of uncertainty of each risk."""

from __future__ import annotations

import pickle
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import pytest

from mgrisk.errors import MgRiskError
from mgrisk.model.bundle import Bundle
from mgrisk.score.scorer import Scorer

if TYPE_CHECKING:
    from tests.conftest import ToyPeople


def test_the_standard_error_is_that_of_the_scored_interval_and_rejected_people_have_none(
    toy_bundles: dict[str, Bundle],
) -> None:
    scorer = Scorer(toy_bundles["spline_logistic"])
    people = pd.DataFrame({"age_years": [50, 430, 61], "sex": ["male", "male", "female"]}, index=["a", "b", "c"])
    found = scorer.uncertainty(people)
    assert list(found.index) == ["a", "b", "c"]
    assert found.loc["b"].isna().all()
    assert found["recall_share"].isna().all()  # the model reads no usual intake
    scored = scorer.score(people, reasons=0).loc[["a", "c"]]
    logit = {name: np.log(scored[name] / (1 - scored[name])) for name in ("risk", "risk_high")}
    reach = (logit["risk_high"] - logit["risk"]) / found.loc[["a", "c"], "se_log_odds"]
    assert np.ptp(reach) < 1e-9
    assert 1.6 < reach.iloc[0] < 2.2  # t for 90 %


def test_probabilities_are_the_scored_risks_whatever_is_absent(toy_bundles: dict[str, Bundle]) -> None:
    scorer = Scorer(toy_bundles["spline_logistic"])
    people = pd.DataFrame({"age_years": [50, 61], "sex": ["male", "female"]})
    found = scorer.predict_proba(people)
    np.testing.assert_array_equal(found[:, 1], scorer.score(people)["risk"])
    np.testing.assert_array_equal(found.sum(axis=1), 1.0)
    assert scorer.classes_.tolist() == [0, 1]
    assert set(people) < set(scorer.feature_names_in_)
    inputs = [row["name"] for row in scorer.schema() if not row["not_eligible"]]
    assert scorer.n_features_in_ == len(inputs)
    assert scorer.feature_names_in_.tolist() == inputs


def test_rows_that_the_input_schema_rejects_are_named_with_their_codes_and_without_their_values(
    toy_bundles: dict[str, Bundle],
) -> None:
    people = pd.DataFrame({"age_years": [50, 430, 61], "sex": ["male", "male", "woman"]}, index=["Ann", "Bo", "Cy"])
    with pytest.raises(MgRiskError) as caught:
        Scorer(toy_bundles["xgboost"]).predict_proba(people)
    assert caught.value.code == "input.rejected_rows"
    assert "2 of 3 rows" in caught.value.message
    assert caught.value.where.endswith("1: out_of_range:age_years, 2: unknown_level:sex"), caught.value.where
    assert not any(word in str(caught.value) for word in ("430", "woman", "Bo", "Cy"))


def test_scikit_learn_takes_it_for_a_fitted_classifier(toy_bundles: dict[str, Bundle], toy_people: ToyPeople) -> None:
    from sklearn.base import is_classifier
    from sklearn.inspection import permutation_importance
    from sklearn.metrics import get_scorer, roc_auc_score
    from sklearn.utils.validation import check_is_fitted

    scorer = Scorer(toy_bundles["spline_logistic"])
    frame, y = toy_people.frame.iloc[:200], toy_people.y[:200]
    assert is_classifier(scorer)
    check_is_fitted(scorer)
    with pytest.raises(MgRiskError, match="is_fitted"):
        scorer.fit(frame, y)
    auroc = get_scorer("roc_auc")(scorer, frame, y)
    assert auroc == roc_auc_score(y, scorer.score(frame)["risk"])
    found = permutation_importance(scorer, frame, y, scoring="neg_log_loss", n_repeats=1, random_state=1)
    assert int(np.argmax(found.importances_mean)) in (0, list(frame).index("bmi_kg_m2"))


@pytest.mark.parametrize("learner", ["spline_logistic", "xgboost", "blend"])
def test_a_pickled_scorer_answers_and_explains_the_same(
    learner: str, toy_bundles: dict[str, Bundle], toy_people: ToyPeople
) -> None:
    scorer, people = Scorer(toy_bundles[learner]), toy_people.frame.iloc[:9]
    wanted = scorer.score(people), scorer.explain(people)
    back = pickle.loads(pickle.dumps(scorer))
    pd.testing.assert_frame_equal(back.score(people), wanted[0])
    pd.testing.assert_frame_equal(back.explain(people).frame(), wanted[1].frame())
    pd.testing.assert_frame_equal(pickle.loads(pickle.dumps(wanted[1])).frame(), wanted[1].frame())


def test_what_a_notebook_shows_is_short_says_synthetic_and_runs_no_markup(toy_bundles: dict[str, Bundle]) -> None:
    bundle = toy_bundles["spline_logistic"]
    hostile = replace(bundle, about={**bundle.about, "name": "<script>x</script>"})
    scorer = Scorer(hostile)
    assert "SYNTHETIC" in repr(scorer)
    assert "\n" not in repr(scorer)
    assert "<script" not in scorer._repr_html_()
    assert "age_years (required)" in scorer._repr_html_()

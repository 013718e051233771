"""Metrics as frames: the results of a run, of R and of scikit-learn; paired differences; weighted scorers."""

from __future__ import annotations

import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pytest
import sklearn
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import average_precision_score, brier_score_loss, log_loss, roc_auc_score
from sklearn.model_selection import GridSearchCV, cross_val_score

from mgrisk import metrics
from mgrisk.cohort import select
from mgrisk.errors import MgRiskError
from mgrisk.evaluate.intervals import paired_differences
from mgrisk.survey.design import SurveyDesign, WeightLevel
from mgrisk.survey.folds import DesignKFold

COLUMNS = ["metric", "estimate", "se", "low", "high", "n", "events", "problem"]


def test_the_numbers_are_those_of_a_runs_evaluation(finished_run: Path) -> None:
    cohort, written = (pd.read_parquet(finished_run / name) for name in ("cohort.parquet", "predictions.parquet"))
    rows, design = select.design(cohort, level=WeightLevel.FASTING, set_name=select.DEVELOPMENT)
    people = rows[["SEQN", "outcome"]].merge(written.drop(columns="outcome"), on="SEQN", how="left")
    of_run = pd.read_json(finished_run / "evaluation.json").query(
        "set == 'cross-validated' and group == 'all' and model == 'xgboost'"
    )
    assert len(of_run) > 20
    # With everybody, and with the analysed people alone, as load_nhanes gives them.
    for mask in (np.ones(len(rows), dtype=bool), rows["analysis"].to_numpy()):
        ours = metrics.evaluate(people["outcome"][mask], people["xgboost"][mask], design.keep(mask))
        assert list(ours.columns) == COLUMNS
        both = ours.merge(of_run, on="metric", suffixes=("", "_of_run"))
        assert len(both) == len(ours) == len(of_run)
        for name in ("estimate", "se", "low", "high", "n", "events"):
            np.testing.assert_allclose(both[name].astype(float), both[f"{name}_of_run"].astype(float), rtol=1e-9)


def test_the_standard_error_is_that_of_r(toy: pd.DataFrame, part: SurveyDesign, golden: dict[str, Any]) -> None:
    found = metrics.evaluate(toy["y"], toy["risk"], part, metrics=["auroc", "net_benefit@0.3"]).set_index("metric")
    for metric, name in (("auroc", "auroc"), ("net_benefit@0.3", "net_benefit_30")):
        assert found.loc[metric, ["estimate", "se"]].tolist() == pytest.approx(list(golden[name].values()), rel=1e-6)


def test_a_comparison_is_paired(toy: pd.DataFrame, part: SurveyDesign, golden: dict[str, Any]) -> None:
    rival = 1 / (1 + np.exp(1.5 - 0.8 * toy["x1"]))
    risks = {"mine": toy["risk"], "theirs": rival}
    found = metrics.compare(toy["y"], risks, part, metrics=["net_benefit@0.3"])
    assert list(found.columns) == ["model", "reference", *COLUMNS]
    theirs = golden["net_benefit_30_above_rival"]
    assert found.loc[0, ["estimate", "se"]].tolist() == pytest.approx(list(theirs.values()), rel=1e-6)
    assert found.loc[0, ["model", "reference"]].tolist() == ["mine", "theirs"]
    turned = metrics.compare(toy["y"], risks, part, reference="mine", metrics=["net_benefit@0.3"])
    assert turned["estimate"].item() == -found["estimate"].item()
    narrow = metrics.compare(toy["y"], risks, part, metrics=["auroc"], level=0.5)
    record = paired_differences(toy["y"], risks, part, reference="theirs", metrics=["auroc"], level=0.5)[0]
    assert narrow.loc[0, ["low", "high"]].tolist() == [record["low"], record["high"]]
    points = np.floor(10 * toy["risk"])
    ranked = metrics.compare(toy["y"], {"mine": toy["risk"], "points": points}, part, ranking_only=["points"])
    assert ranked["metric"].tolist() == ["auroc", "auprc"]


def test_risks_come_as_series_as_arrays_and_from_predict_proba(toy: pd.DataFrame, part: SurveyDesign) -> None:
    names = ["auroc", "brier"]
    expected = metrics.evaluate(toy["y"], toy["risk"], part, metrics=names)
    both = np.column_stack((1 - toy["risk"], toy["risk"]))
    frame = pl.from_pandas(toy)
    for y, risk in ((toy["y"] == 1, both), (frame["y"], frame["risk"]), (toy["y"].tolist(), toy["risk"].to_numpy())):
        pd.testing.assert_frame_equal(metrics.evaluate(y, risk, part, metrics=names), expected)


@pytest.mark.parametrize(
    ("ask", "code"),
    [
        (lambda t, d: metrics.evaluate(t["y"], t["risk"].iloc[::-1], d), "survey.index"),
        (lambda t, d: metrics.evaluate(t["y"], np.ones((len(t), 3)), d), "metric.bad_length"),
        (lambda t, d: metrics.evaluate(t["y"], t["amount"], d), "metric.bad_risk"),
        (lambda t, d: metrics.evaluate(t["y"].where(t["x1"] > 0), t["risk"], d), "metric.bad_outcome"),
        (lambda t, d: metrics.compare(t["y"], {"mine": t["risk"]}, d), "metric.one_model"),
        (lambda t, d: metrics.compare(t["y"], {"a": t["risk"], "b": t["risk"].iloc[::-1]}, d), "survey.index"),
        (lambda t, d: metrics.compare(t["y"], {"a": t["risk"], "b": t["risk"]}, d, reference="c"),
         "metric.unknown_reference"),
        (lambda t, d: metrics.scorer("accuracy"), "metric.unknown"),
        (lambda t, d: metrics.scorer("calibration_slope"), "metric.no_scorer"),
    ],
)  # fmt: skip
def test_what_cannot_be_evaluated_is_refused_with_its_reason(
    ask: Callable[[pd.DataFrame, SurveyDesign], object], code: str, toy: pd.DataFrame, full: SurveyDesign
) -> None:
    with pytest.raises(MgRiskError) as caught:
        ask(toy, full)
    assert caught.value.code == code


@pytest.mark.parametrize(
    ("metric", "theirs"),
    [
        ("auroc", roc_auc_score),
        ("auprc", average_precision_score),
        ("log_loss", lambda *given, **weight: -log_loss(*given, **weight)),
        ("brier", lambda *given, **weight: -brier_score_loss(*given, **weight)),
    ],
)
def test_a_scorer_gives_the_weighted_metric_of_scikit_learn(
    metric: str, theirs: Callable[..., float], toy: pd.DataFrame, full: SurveyDesign
) -> None:
    X, y, weight = toy[["x1", "x2"]].to_numpy(), toy["y"].to_numpy(), full.weights + 1.0
    model = LogisticRegression().fit(X, y)
    risk = model.predict_proba(X)[:, 1]
    score = pickle.loads(pickle.dumps(metrics.scorer(metric)))
    assert score(model, X, y) == pytest.approx(theirs(y, risk), rel=1e-10)
    assert score(model, X, y, sample_weight=weight) == pytest.approx(theirs(y, risk, sample_weight=weight), rel=1e-10)
    assert score(model, X, y, sample_weight=weight) != score(model, X, y)


def test_fits_and_scores_of_a_grid_search_are_weighted(toy: pd.DataFrame, full: SurveyDesign) -> None:
    rows = full.weights > 0
    design = full.keep(rows)
    X, y, cv = toy.loc[rows, ["x1", "x2"]].to_numpy(), toy["y"][rows].to_numpy(), DesignKFold(3, design=design)
    by_hand = []
    for train, test in cv.split(X):
        model = LogisticRegression().fit(X[train], y[train], sample_weight=design.weights[train])
        risk = model.predict_proba(X[test])[:, 1]
        by_hand.append(roc_auc_score(y[test], risk, sample_weight=design.weights[test]))
    search = GridSearchCV(LogisticRegression(), {"C": [1.0]}, cv=cv, scoring=metrics.scorer("auroc"))
    assert search.fit(X, y, sample_weight=design.weights).best_score_ == pytest.approx(np.mean(by_hand), rel=1e-9)
    with sklearn.config_context(enable_metadata_routing=True):
        routed = cross_val_score(
            LogisticRegression().set_fit_request(sample_weight=True), X, y,
            cv=cv, scoring=metrics.scorer("auroc"), params={"sample_weight": design.weights},
        )  # fmt: skip
    assert routed == pytest.approx(by_hand, rel=1e-9)

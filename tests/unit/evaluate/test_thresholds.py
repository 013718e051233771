"""Metrics of a threshold from sums over PSUs equal those from people, with every set of weights.

Threshold tables: thresholds chosen on some people and evaluated on others.
"""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from mgrisk.errors import MgRiskError
from mgrisk.evaluate import metrics
from mgrisk.evaluate.intervals import with_intervals
from mgrisk.evaluate.predictions import Predictions
from mgrisk.evaluate.thresholds import (
    MEASURES,
    RISKS,
    choose_thresholds,
    classify,
    threshold_for_sensitivity,
    threshold_table,
)
from mgrisk.survey.design import SurveyDesign, WeightLevel
from mgrisk.survey.variance import jackknife


@pytest.mark.parametrize("name", [*MEASURES, "net_benefit"])
def test_every_measure_is_that_of_the_people_with_every_set_of_weights(
    name: str, toy: pd.DataFrame, part: SurveyDesign
) -> None:
    at = np.array([0.2, 0.3])
    classified = classify(toy["y"], toy["risk"].to_numpy()[:, None] >= at, part)
    found = classified.net_benefit(at) if name == "net_benefit" else classified.measure(name)
    sets = [part.analysis_weight, *jackknife(part).weights()]
    expected = [
        [getattr(metrics, name)(toy["y"], toy["risk"], weight, threshold=threshold) for threshold in at]
        for weight in sets
    ]
    np.testing.assert_allclose(found, expected, rtol=1e-9, atol=1e-12)


def test_a_rule_that_flags_nobody_has_no_predictive_value(toy: pd.DataFrame, part: SurveyDesign) -> None:
    classified = classify(toy["y"], np.zeros((len(toy), 1), dtype=bool), part)
    assert np.isnan(classified.measure("ppv")).all()
    assert np.isnan(classified.measure("number_to_test")).all()
    assert (classified.measure("sensitivity") == 0.0).all()
    assert (classified.measure("specificity") == 1.0).all()


def test_a_rule_that_flags_no_case_finds_none_by_whatever_number_of_tests(
    toy: pd.DataFrame, part: SurveyDesign
) -> None:
    classified = classify(toy["y"], (toy["y"] == 0).to_numpy()[:, None], part)
    assert (classified.measure("ppv") == 0.0).all()
    assert np.isnan(classified.measure("number_to_test")).all()


def test_what_stands_outside_the_domain_changes_nothing(toy: pd.DataFrame, part: SurveyDesign) -> None:
    flagged = toy["risk"].to_numpy()[:, None] >= 0.3
    beyond = np.where(part.domain[:, None], flagged, ~flagged)
    y = toy["y"].where(part.domain)
    assert (classify(y, beyond, part).true == classify(toy["y"], flagged, part).true).all()


@pytest.mark.parametrize("wanted", [0.5, 0.8, 0.9])
def test_the_threshold_is_the_highest_that_reaches_the_sensitivity(
    wanted: float, toy: pd.DataFrame, part: SurveyDesign
) -> None:
    at = threshold_for_sensitivity(toy["y"], toy["risk"], part, sensitivity=wanted)
    y, risk, weight = toy["y"], toy["risk"], part.analysis_weight
    assert metrics.sensitivity(y, risk, weight, threshold=at) >= wanted
    above = float(risk[(weight > 0) & (risk > at)].min())
    assert metrics.sensitivity(y, risk, weight, threshold=above) < wanted


def test_without_cases_there_is_no_such_threshold() -> None:
    design = SurveyDesign([1.0] * 4, [1, 1, 2, 2], [1, 2, 1, 2], WeightLevel.EXAM)
    with pytest.raises(MgRiskError) as caught:
        threshold_for_sensitivity(np.zeros(4), np.arange(4.0), design, sensitivity=0.8)
    assert caught.value.code == "metric.one_class"


@pytest.fixture
def scores(toy: pd.DataFrame) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray]]:
    return {"m": toy["risk"].to_numpy()}, {"points": np.floor(10 * toy["risk"].to_numpy())}


def test_models_have_fixed_risks_and_scores_their_published_cut(
    toy: pd.DataFrame, part: SurveyDesign, scores: tuple[dict[str, np.ndarray], dict[str, np.ndarray]]
) -> None:
    chosen = choose_thresholds(Predictions(toy["y"].to_numpy(), *scores, part), cuts={"points": 4.0})
    reached = threshold_for_sensitivity(toy["y"], toy["risk"], part, sensitivity=0.9)
    assert list(chosen["m"]) == [*(f"risk {risk:g}" for risk in RISKS), "sensitivity 0.8", "sensitivity 0.9"]
    assert chosen["m"]["sensitivity 0.9"] == reached
    assert list(chosen["points"]) == ["published cut", "sensitivity 0.8", "sensitivity 0.9"]
    assert chosen["points"]["published cut"] == 4.0


def test_a_row_is_what_the_metrics_say_at_its_threshold(
    toy: pd.DataFrame, part: SurveyDesign, scores: tuple[dict[str, np.ndarray], dict[str, np.ndarray]]
) -> None:
    y = toy["y"].to_numpy()
    thresholds = {"m": {"risk 0.3": 0.3}, "points": {"published cut": 3.0}}
    records = threshold_table(Predictions(y, *scores, part), thresholds=thresholds)
    names = ("sensitivity", "specificity", "ppv", "npv", "flagged", "number_to_test", "net_benefit")
    expected = with_intervals(y, scores[0], part, metrics=[f"{name}@0.3" for name in names])
    found = [record for record in records if record["model"] == "m"]
    assert [record["metric"] for record in found] == list(names)
    for mine, theirs in zip(found, expected, strict=True):
        assert (mine["rule"], mine["threshold"]) == ("risk 0.3", 0.3)
        keys = ("estimate", "low", "high", "se")
        assert [mine[key] for key in keys] == pytest.approx([theirs[key] for key in keys])
        assert (mine["n"], mine["events"], mine["problem"]) == (theirs["n"], theirs["events"], "")
        assert mine["presentation"] == theirs["presentation"]
    # Points of 3 and more are risks of 0.3 and more: the same people.
    points = [record["estimate"] for record in records if record["model"] == "points"]
    assert points == pytest.approx([record["estimate"] for record in found[:-1]])


def test_a_rule_that_flags_nobody_is_in_the_table_with_its_problem(toy: pd.DataFrame, part: SurveyDesign) -> None:
    risks = {"m": toy["risk"].to_numpy()}
    records = threshold_table(
        Predictions(toy["y"].to_numpy(), risks, {}, part), thresholds={"m": {"risk 0.9999": 0.9999}}
    )
    problems = {record["metric"]: record["problem"] for record in records}
    assert problems["ppv"] == problems["number_to_test"] == "metric.undefined"
    assert problems["sensitivity"] == "interval.undefined"

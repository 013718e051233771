"""Threshold tables: thresholds chosen on some people and shown on others."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from mgrisk.evaluate.intervals import with_intervals
from mgrisk.evaluate.rules import threshold_for_sensitivity
from mgrisk.evaluate.thresholds import RISKS, choose_thresholds, threshold_table
from mgrisk.survey.design import SurveyDesign


@pytest.fixture
def scores(toy: pd.DataFrame) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray]]:
    return {"m": toy["risk"].to_numpy()}, {"points": np.floor(10 * toy["risk"].to_numpy())}


def test_models_have_fixed_risks_and_scores_their_published_cut(
    toy: pd.DataFrame, part: SurveyDesign, scores: tuple[dict[str, np.ndarray], dict[str, np.ndarray]]
) -> None:
    chosen = choose_thresholds(toy["y"].to_numpy(), *scores, part, cuts={"points": 4.0})
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
    records = threshold_table(y, *scores, part, thresholds=thresholds)
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
    records = threshold_table(toy["y"].to_numpy(), risks, {}, part, thresholds={"m": {"risk 0.9999": 0.9999}})
    problems = {record["metric"]: record["problem"] for record in records}
    assert problems["ppv"] == problems["number_to_test"] == "metric.undefined"
    assert problems["sensitivity"] == "interval.undefined"

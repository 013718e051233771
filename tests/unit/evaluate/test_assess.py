"""Groups are domains of the whole design; people without a value and groups without people are listed.

Published scores on one set: ranking against scikit-learn, cuts by hand, differences with the score and the model.

The evaluation of a run: every model on the same people, and scores without probabilities.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import pytest
from scipy.special import expit
from sklearn.metrics import brier_score_loss, roc_auc_score

from mgrisk.evaluate.assess import (
    CONTROLS,
    METRICS,
    NO_PREDIABETES,
    Assessment,
    assess,
    assess_scores,
    at_cut,
    groupings,
    subgroups,
)
from mgrisk.evaluate.intervals import paired_differences, with_intervals
from mgrisk.evaluate.metrics import RANK_METRICS, metric_names
from mgrisk.evaluate.predictions import Predictions
from mgrisk.evaluate.thresholds import RISKS, choose_thresholds
from mgrisk.features.registry import FEATURES
from mgrisk.storage.files import to_json
from mgrisk.survey.design import SurveyDesign

if TYPE_CHECKING:
    from tests.conftest import ToyPeople


@pytest.fixture
def people(toy: pd.DataFrame) -> pd.DataFrame:
    random = np.random.default_rng(1)
    levels = ["white", "black", "asian"]
    return pd.DataFrame(
        {
            "sex": pd.Categorical(np.where(toy["x2"] == 1, "male", "female"), categories=["female", "male"]),
            "age_years": np.where(np.arange(len(toy)) % 2, 44.0, 45.0),
            "race_ethnicity": pd.Categorical(random.choice(levels[:2], len(toy)), categories=levels),
            "bmi_kg_m2": np.where(np.arange(len(toy)) % 5, 27.0, np.nan),
        }
    )


def found(toy: pd.DataFrame, design: SurveyDesign, frame: pd.DataFrame) -> list[dict[str, Any]]:
    risk = toy["risk"].to_numpy()
    return subgroups(
        Predictions(toy["y"].to_numpy(dtype=float), {"m": risk}, {"points": np.floor(10 * risk)}, design), frame,
        outcome="undiagnosed", set_name="2017-2018",
    )  # fmt: skip


def test_a_group_is_a_domain_of_the_whole_design(toy: pd.DataFrame, full: SurveyDesign, people: pd.DataFrame) -> None:
    women = [r for r in found(toy, full, people) if (r["model"], r["group"], r["level"]) == ("m", "sex", "female")]
    expected = with_intervals(toy["y"], {"m": toy["risk"]}, full.where(toy["x2"] == 0), metrics=METRICS)
    assert [{key: record[key] for key in expected[0]} for record in women] == expected
    assert {(record["outcome"], record["set"]) for record in women} == {("undiagnosed", "2017-2018")}


def test_a_score_that_only_ranks_has_only_its_rank_metric(
    toy: pd.DataFrame, full: SurveyDesign, people: pd.DataFrame
) -> None:
    assert {r["metric"] for r in found(toy, full, people) if r["model"] == "points"} == {"auroc"}


def test_a_bound_belongs_to_the_group_above_it(toy: pd.DataFrame, full: SurveyDesign, people: pd.DataFrame) -> None:
    ages = {r["level"]: r["n"] for r in found(toy, full, people) if r["group"] == "age"}
    assert list(ages) == ["below 45 years", "45 to 64 years", "65 years and older"]
    inside = full.analysis_weight > 0
    assert ages["below 45 years"] == int((inside & (people["age_years"] == 44)).sum())
    assert ages["45 to 64 years"] == int((inside & (people["age_years"] == 45)).sum())


def test_nobody_vanishes(toy: pd.DataFrame, full: SurveyDesign, people: pd.DataFrame) -> None:
    records = found(toy, full, people)
    bmi = {r["level"]: r["n"] for r in records if r["group"] == "bmi"}
    assert sum(bmi.values()) == full.n
    assert bmi["missing"] > 0
    (empty,) = (r for r in records if (r["model"], r["group"], r["level"]) == ("m", "race_ethnicity", "asian"))
    assert (empty["n"], empty["problem"], empty["presentation"]) == (0, "metric.empty", "suppress:effective_size")
    absent = [r for r in records if r["group"] == "income"]
    assert {(r["model"], r["level"], r["problem"]) for r in absent} == {
        ("m", "all", "subgroup.absent"), ("points", "all", "subgroup.absent"),
    }  # fmt: skip


def test_groups_are_made_of_features_of_the_registry() -> None:
    for each in groupings():
        feature = FEATURES[each.feature]
        assert (feature.kind == "number") is bool(each.bounds)
        assert len(each.levels) == (len(each.bounds) + 1 if each.bounds else 0)
        assert list(each.bounds) == sorted(each.bounds)
    assert [each.name for each in groupings()] == ["sex", "age", "race_ethnicity", "income", "bmi"]


Found = tuple[list[dict[str, Any]], list[dict[str, Any]]]


def scores(toy_people: ToyPeople) -> dict[str, np.ndarray]:
    random = np.random.default_rng(5)
    n = len(toy_people.y)
    return {
        name: np.round(3 + skill * toy_people.y + random.normal(size=n)) for name, skill in (("ada", 1), ("cdc", 0.4))
    }


@pytest.fixture(scope="module")
def found_assess_scores(toy_people: ToyPeople) -> Found:
    points = scores(toy_people)
    return assess_scores(
        Predictions(
            toy_people.y,
            {"cdc:logistic": expit(points["cdc"] - 5), "formula": expit(points["ada"] - 4)},
            points,
            toy_people.design,
        ),
        cuts={"ada": [4.0], "cdc": [3.0, 4.0], "formula": [0.25]},
        reference=("ada",),
        model={"ours": expit(points["ada"] + points["cdc"] - 8)},
        context={"set": "2017-2018", "group": "all"},
    )


def test_the_reference_and_the_model_are_not_reported_twice(found_assess_scores: Found) -> None:
    metrics: dict[str, set[str]] = {}
    for record in found_assess_scores[0]:
        assert (record["set"], record["group"]) == ("2017-2018", "all")
        metrics.setdefault(record["model"], set()).add(record["metric"])
    cut = {f"{name}@4" for name in ("sensitivity", "specificity", "ppv", "npv")}
    assert metrics["ada"] == cut
    assert metrics["cdc"] >= {*RANK_METRICS, *cut, "sensitivity@3"}
    assert metrics["cdc:logistic"] == set(metric_names())
    assert metrics["formula"] >= {*metric_names(), "specificity@0.25"}
    assert "ours" not in metrics


def test_each_score_is_compared_with_the_reference_and_with_the_model(
    found_assess_scores: Found, toy_people: ToyPeople
) -> None:
    pairs = {(row["model"], row["reference"]) for row in found_assess_scores[1]}
    assert pairs == {
        ("cdc", "ada"), ("formula", "ada"), ("ada", "ours"), ("cdc", "ours"), ("formula", "ours"),
    }  # fmt: skip
    assert {row["metric"] for row in found_assess_scores[1]} == set(RANK_METRICS)
    points, weight = scores(toy_people), toy_people.design.analysis_weight
    inside = weight > 0
    auroc = {
        name: roc_auc_score(toy_people.y[inside], value[inside], sample_weight=weight[inside])
        for name, value in points.items()
    }
    row = next(
        r for r in found_assess_scores[1] if (r["model"], r["reference"], r["metric"]) == ("cdc", "ada", "auroc")
    )
    assert row["estimate"] == pytest.approx(auroc["cdc"] - auroc["ada"])


def test_who_has_the_cut_or_more_is_positive(toy_people: ToyPeople) -> None:
    points = scores(toy_people)
    records = at_cut(toy_people.y, {"ada": points["ada"]}, toy_people.design, cuts={"ada": [4.0]})
    weight, positive, case = toy_people.design.analysis_weight, points["ada"] >= 4, toy_people.y == 1
    by_hand = {
        "sensitivity@4": weight[positive & case].sum() / weight[case].sum(),
        "specificity@4": weight[~positive & ~case].sum() / weight[~case].sum(),
        "ppv@4": weight[positive & case].sum() / weight[positive].sum(),
        "npv@4": weight[~positive & ~case].sum() / weight[~positive].sum(),
    }
    assert {row["metric"]: row["estimate"] for row in records} == pytest.approx(by_hand)
    assert all(row["low"] < row["estimate"] < row["high"] for row in records)


def risks(toy_people: ToyPeople) -> dict[str, np.ndarray]:
    random = np.random.default_rng(4)
    n = len(toy_people.y)
    return {
        name: expit(-1.5 + skill * toy_people.y + random.normal(size=n)) for name, skill in (("good", 2), ("poor", 0.3))
    }


def assessed(toy_people: ToyPeople, *, beyond: float = np.nan, prediabetes: np.ndarray | None = None) -> Assessment:
    outside = toy_people.design.analysis_weight == 0
    points = np.round(toy_people.frame["age_years"].to_numpy() / 10)
    y = np.where(outside, beyond, toy_people.y)
    models = {name: np.where(outside, beyond, risk) for name, risk in risks(toy_people).items()}
    scores = {"ada": np.where(outside, beyond, points)}
    predictions = Predictions(y, models, scores, toy_people.design)
    return assess(
        predictions,
        toy_people.frame,
        chosen="good",
        thresholds=choose_thresholds(predictions, cuts={"ada": 5.0}),
        outcome="undiagnosed",
        set_name="2017-2018",
        prediabetes=prediabetes,
    )


@pytest.fixture(scope="module")
def found_assess(toy_people: ToyPeople) -> Assessment:
    return assessed(toy_people)


def whole(found_assess: Assessment) -> list[dict[str, Any]]:
    return [record for record in found_assess.records if record["group"] == "all"]


def estimate(found_assess: Assessment, model: str, metric: str) -> float:
    return float(next(r["estimate"] for r in found_assess.records if (r["model"], r["metric"]) == (model, metric)))


def test_every_model_has_every_metric_and_a_point_score_those_that_rank(found_assess: Assessment) -> None:
    metrics: dict[str, list[str]] = {}
    for record in whole(found_assess):
        metrics.setdefault(record["model"], []).append(record["metric"])
    assert metrics.keys() == {"good", "poor", "ada"}
    assert sorted(metrics["good"]) == sorted(metrics["poor"]) == sorted(metric_names())
    assert set(metrics["ada"]) == set(RANK_METRICS)


def test_a_record_says_what_it_is_about(found_assess: Assessment, toy_people: ToyPeople) -> None:
    for record in whole(found_assess):
        assert (record["outcome"], record["set"], record["group"], record["level"]) == (
            "undiagnosed", "2017-2018", "all", "all",
        )  # fmt: skip
        assert (record["n"], record["events"]) == (len(toy_people.inside), int(toy_people.case.sum()))
        # A share of exactly 1 has no interval on the logit.
        if record["estimate"] not in (0.0, 1.0):
            assert record["low"] <= record["estimate"] <= record["high"]


def test_estimates_are_those_of_scikit_learn_with_sample_weights_on_the_domain(
    found_assess: Assessment, toy_people: ToyPeople
) -> None:
    for name, risk in risks(toy_people).items():
        people = toy_people.case, risk[toy_people.inside]
        assert estimate(found_assess, name, "auroc") == pytest.approx(
            roc_auc_score(*people, sample_weight=toy_people.weight)
        )
        assert estimate(found_assess, name, "brier") == pytest.approx(
            brier_score_loss(*people, sample_weight=toy_people.weight)
        )


def test_whatever_stands_outside_the_domain_changes_nothing(found_assess: Assessment, toy_people: ToyPeople) -> None:
    assert to_json(assessed(toy_people, beyond=0.5).records) == to_json(found_assess.records)


def test_each_model_differs_from_every_other_and_from_every_score(found_assess: Assessment) -> None:
    ranks = {(r["model"], r["reference"]) for r in found_assess.differences if r["metric"] == "auroc"}
    assert ranks == {("good", "poor"), ("good", "ada"), ("poor", "good"), ("poor", "ada")}
    for record in found_assess.differences:
        if "@" not in record["metric"]:
            expected = estimate(found_assess, record["model"], record["metric"]) - estimate(
                found_assess, record["reference"], record["metric"]
            )
            assert record["estimate"] == pytest.approx(expected)


def test_net_benefits_differ_from_what_gives_a_risk_and_from_treat_all_and_never_from_points(
    found_assess: Assessment, toy_people: ToyPeople
) -> None:
    benefits = [r for r in found_assess.differences if r["model"] == "good" and r["metric"].startswith("net_benefit")]
    assert {(r["reference"], r["metric"]) for r in benefits} == {
        (reference, f"net_benefit@{risk:g}") for reference in ("poor", "everybody") for risk in RISKS
    }
    outside = toy_people.design.analysis_weight == 0
    models = {name: np.where(outside, 0.5, risk) for name, risk in risks(toy_people).items()}
    (expected,) = paired_differences(
        toy_people.y, models, toy_people.design, reference="poor", metrics=["net_benefit@0.1"]
    )
    record = next(r for r in benefits if (r["reference"], r["metric"]) == ("poor", "net_benefit@0.1"))
    assert {key: record[key] for key in expected} == pytest.approx(expected)


def test_the_chosen_model_and_the_scores_are_evaluated_in_groups(found_assess: Assessment) -> None:
    groups = [record for record in found_assess.records if record["group"] != "all"]
    assert {record["model"] for record in groups} == {"good", "ada"}
    assert {r["metric"] for r in groups if (r["group"], r["model"]) == ("sex", "good")} == set(METRICS)


def test_a_probability_has_all_curves_and_a_point_score_that_of_its_ranking(found_assess: Assessment) -> None:
    assert set(found_assess.curves["good"]) == {"calibration", "calibration_groups", "roc", "decision"}
    assert set(found_assess.curves["ada"]) == {"roc"}
    to_json(found_assess.curves)


def test_leaving_prediabetes_out_keeps_every_case_and_drops_those_controls_alone(
    found_assess: Assessment, toy_people: ToyPeople
) -> None:
    prediabetes = np.random.default_rng(8).random(len(toy_people.y)) < 0.4
    records = assessed(toy_people, prediabetes=prediabetes).records
    fewer = {r["model"]: r for r in records if r["group"] == CONTROLS}
    assert fewer.keys() == {"good", "poor", "ada"}
    kept = (toy_people.y == 1.0) | ~prediabetes
    inside = kept & (toy_people.design.analysis_weight > 0)
    weight = toy_people.design.analysis_weight[inside]
    for name, risk in risks(toy_people).items():
        found = fewer[name]
        expected = roc_auc_score(toy_people.y[inside], risk[inside], sample_weight=weight)
        assert found["estimate"] == pytest.approx(expected)
        assert found["low"] < found["estimate"] < found["high"]
        assert (found["metric"], found["level"], found["n"]) == ("auroc", NO_PREDIABETES, int(inside.sum()))
        assert found["events"] == int(toy_people.case.sum())
    # Everybody's records are what they are without.
    assert to_json([r for r in records if r["group"] != CONTROLS]) == to_json(found_assess.records)


def test_auroc_without_prediabetes_is_that_of_r(toy: pd.DataFrame, part: SurveyDesign, golden: dict[str, Any]) -> None:
    predictions = Predictions(toy["y"].to_numpy(dtype=float), {"m": toy["risk"].to_numpy()}, {}, part)
    records = assess(
        predictions,
        pd.DataFrame({"sex": pd.Categorical(["female"] * len(toy))}),
        chosen="m",
        thresholds=choose_thresholds(predictions, cuts={}),
        outcome="y",
        set_name="toy",
        prediabetes=(toy["x2"] == 1).to_numpy(),
    ).records
    (found,) = (record for record in records if record["group"] == CONTROLS)
    theirs = golden["auroc_without_near_controls"]
    assert (found["estimate"], found["se"]) == pytest.approx((theirs["estimate"], theirs["se"]), rel=1e-6)

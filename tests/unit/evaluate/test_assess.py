"""The evaluation of a run: every model on the same people, scores that only rank beside probabilities."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from scipy.special import expit
from sklearn.metrics import brier_score_loss, roc_auc_score

from mgrisk.artifacts import to_json
from mgrisk.evaluate.assess import Assessment, assess
from mgrisk.evaluate.intervals import paired_differences
from mgrisk.evaluate.metrics import RANK_METRICS, metric_names
from mgrisk.evaluate.subgroups import METRICS
from mgrisk.evaluate.thresholds import RISKS, choose_thresholds

if TYPE_CHECKING:
    from tests.conftest import ToyPeople


def risks(toy_people: ToyPeople) -> dict[str, np.ndarray]:
    random = np.random.default_rng(4)
    n = len(toy_people.y)
    return {
        name: expit(-1.5 + skill * toy_people.y + random.normal(size=n)) for name, skill in (("good", 2), ("poor", 0.3))
    }


def assessed(toy_people: ToyPeople, *, beyond: float = np.nan) -> Assessment:
    outside = toy_people.design.analysis_weight == 0
    points = np.round(toy_people.frame["age_years"].to_numpy() / 10)
    y = np.where(outside, beyond, toy_people.y)
    models = {name: np.where(outside, beyond, risk) for name, risk in risks(toy_people).items()}
    scores = {"ada": np.where(outside, beyond, points)}
    return assess(
        y,
        models,
        scores,
        toy_people.design,
        toy_people.frame,
        chosen="good",
        thresholds=choose_thresholds(y, models, scores, toy_people.design, cuts={"ada": 5.0}),
        outcome="undiagnosed",
        set_name="2017-2018",
    )


@pytest.fixture(scope="module")
def found(toy_people: ToyPeople) -> Assessment:
    return assessed(toy_people)


def whole(found: Assessment) -> list[dict[str, Any]]:
    return [record for record in found.records if record["group"] == "all"]


def estimate(found: Assessment, model: str, metric: str) -> float:
    return float(next(r["estimate"] for r in found.records if (r["model"], r["metric"]) == (model, metric)))


def test_every_model_has_every_metric_and_a_point_score_those_that_rank(found: Assessment) -> None:
    metrics: dict[str, list[str]] = {}
    for record in whole(found):
        metrics.setdefault(record["model"], []).append(record["metric"])
    assert metrics.keys() == {"good", "poor", "ada"}
    assert sorted(metrics["good"]) == sorted(metrics["poor"]) == sorted(metric_names())
    assert set(metrics["ada"]) == set(RANK_METRICS)


def test_a_record_says_what_it_is_about(found: Assessment, toy_people: ToyPeople) -> None:
    for record in whole(found):
        assert (record["outcome"], record["set"], record["group"], record["level"]) == (
            "undiagnosed", "2017-2018", "all", "all",
        )  # fmt: skip
        assert (record["n"], record["events"]) == (len(toy_people.inside), int(toy_people.case.sum()))
        # A share of exactly 1 has no interval on the logit.
        if record["estimate"] not in (0.0, 1.0):
            assert record["low"] <= record["estimate"] <= record["high"]


def test_estimates_are_those_of_scikit_learn_with_sample_weights_on_the_domain(
    found: Assessment, toy_people: ToyPeople
) -> None:
    for name, risk in risks(toy_people).items():
        people = toy_people.case, risk[toy_people.inside]
        assert estimate(found, name, "auroc") == pytest.approx(roc_auc_score(*people, sample_weight=toy_people.weight))
        assert estimate(found, name, "brier") == pytest.approx(
            brier_score_loss(*people, sample_weight=toy_people.weight)
        )


def test_whatever_stands_outside_the_domain_changes_nothing(found: Assessment, toy_people: ToyPeople) -> None:
    assert to_json(assessed(toy_people, beyond=0.5).records) == to_json(found.records)


def test_each_model_differs_from_every_other_and_from_every_score(found: Assessment) -> None:
    ranks = {(r["model"], r["reference"]) for r in found.differences if r["metric"] == "auroc"}
    assert ranks == {("good", "poor"), ("good", "ada"), ("poor", "good"), ("poor", "ada")}
    for record in found.differences:
        if "@" not in record["metric"]:
            expected = estimate(found, record["model"], record["metric"]) - estimate(
                found, record["reference"], record["metric"]
            )
            assert record["estimate"] == pytest.approx(expected)


def test_net_benefits_differ_from_the_published_cut_and_from_calling_in_everybody(
    found: Assessment, toy_people: ToyPeople
) -> None:
    benefits = [r for r in found.differences if r["model"] == "good" and r["metric"].startswith("net_benefit")]
    assert {(r["reference"], r["metric"]) for r in benefits} == {
        (reference, f"net_benefit@{risk:g}") for reference in ("poor", "ada", "everybody") for risk in RISKS
    }
    outside = toy_people.design.analysis_weight == 0
    flagged = np.round(toy_people.frame["age_years"].to_numpy() / 10) >= 5
    models = {"good": np.where(outside, 0.5, risks(toy_people)["good"]), "ada": np.where(flagged, 0.999, 0.0)}
    (expected,) = paired_differences(
        toy_people.y, models, toy_people.design, reference="ada", metrics=["net_benefit@0.1"]
    )
    record = next(r for r in benefits if (r["reference"], r["metric"]) == ("ada", "net_benefit@0.1"))
    assert {key: record[key] for key in expected} == pytest.approx(expected)


def test_the_chosen_model_and_the_scores_are_evaluated_in_groups(found: Assessment) -> None:
    groups = [record for record in found.records if record["group"] != "all"]
    assert {record["model"] for record in groups} == {"good", "ada"}
    assert {r["metric"] for r in groups if (r["group"], r["model"]) == ("sex", "good")} == set(METRICS)


def test_a_probability_has_all_curves_and_a_point_score_those_of_its_points_and_its_cut(found: Assessment) -> None:
    assert set(found.curves["good"]) == {"calibration", "calibration_groups", "roc", "decision"}
    assert set(found.curves["ada"]) == {"roc", "decision"}
    to_json(found.curves)

"""Published scores on one set: ranking against scikit-learn, cuts by hand, differences with the score and the model."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from scipy.special import expit
from sklearn.metrics import roc_auc_score

from mgrisk.evaluate.assess_scores import assess_scores, at_cut
from mgrisk.evaluate.metrics import RANK_METRICS, metric_names

if TYPE_CHECKING:
    from tests.conftest import ToyPeople

Found = tuple[list[dict[str, Any]], list[dict[str, Any]]]


def scores(toy_people: ToyPeople) -> dict[str, np.ndarray]:
    random = np.random.default_rng(5)
    n = len(toy_people.y)
    return {
        name: np.round(3 + skill * toy_people.y + random.normal(size=n)) for name, skill in (("ada", 1), ("cdc", 0.4))
    }


@pytest.fixture(scope="module")
def found(toy_people: ToyPeople) -> Found:
    points = scores(toy_people)
    return assess_scores(
        toy_people.y,
        {"cdc:logistic": expit(points["cdc"] - 5), "formula": expit(points["ada"] - 4)},
        points,
        toy_people.design,
        cuts={"ada": [4.0], "cdc": [3.0, 4.0], "formula": [0.25]},
        reference=("ada",),
        model={"ours": expit(points["ada"] + points["cdc"] - 8)},
        context={"set": "2017-2018", "group": "all"},
    )


def test_the_reference_and_the_model_are_not_reported_twice(found: Found) -> None:
    metrics: dict[str, set[str]] = {}
    for record in found[0]:
        assert (record["set"], record["group"]) == ("2017-2018", "all")
        metrics.setdefault(record["model"], set()).add(record["metric"])
    cut = {f"{name}@4" for name in ("sensitivity", "specificity", "ppv", "npv")}
    assert metrics["ada"] == cut
    assert metrics["cdc"] >= {*RANK_METRICS, *cut, "sensitivity@3"}
    assert metrics["cdc:logistic"] == set(metric_names())
    assert metrics["formula"] >= {*metric_names(), "specificity@0.25"}
    assert "ours" not in metrics


def test_each_score_is_compared_with_the_reference_and_with_the_model(found: Found, toy_people: ToyPeople) -> None:
    pairs = {(row["model"], row["reference"]) for row in found[1]}
    assert pairs == {
        ("cdc", "ada"), ("formula", "ada"), ("ada", "ours"), ("cdc", "ours"), ("formula", "ours"),
    }  # fmt: skip
    assert {row["metric"] for row in found[1]} == set(RANK_METRICS)
    points, weight = scores(toy_people), toy_people.design.analysis_weight
    inside = weight > 0
    auroc = {
        name: roc_auc_score(toy_people.y[inside], value[inside], sample_weight=weight[inside])
        for name, value in points.items()
    }
    row = next(r for r in found[1] if (r["model"], r["reference"], r["metric"]) == ("cdc", "ada", "auroc"))
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

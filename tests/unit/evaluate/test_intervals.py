from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy.special import expit

from mgrisk.errors import MgRiskError
from mgrisk.evaluate.intervals import (
    BOOTSTRAP_REPLICATES,
    BOOTSTRAP_SEED,
    MetricReplicates,
    paired_differences,
    replicate_metrics,
    with_intervals,
)
from mgrisk.evaluate.metrics import Weighted, measure, metric_names, rank_domain
from mgrisk.survey.design import SurveyDesign, WeightLevel
from mgrisk.survey.estimates import proportion
from mgrisk.survey.presentation import presentation
from mgrisk.survey.variance import rao_wu, t_quantile


def only(records: list[dict[str, Any]], metric: str) -> dict[str, Any]:
    (found,) = (record for record in records if record["metric"] == metric)
    return found


@pytest.mark.parametrize(
    ("metric", "name"),
    [
        ("auroc", "auroc"),
        ("calibration_slope", "calibration_slope"),
        ("calibration_intercept", "calibration_intercept"),
        ("net_benefit@0.3", "net_benefit_30"),
    ],
)
def test_metric_and_jackknife_error_are_those_of_r(
    metric: str, name: str, toy: pd.DataFrame, part: SurveyDesign, golden: dict[str, Any]
) -> None:
    record = only(with_intervals(toy["y"], {"m": toy["risk"]}, part, metrics=[metric]), metric)
    assert record["estimate"] == pytest.approx(golden[name]["estimate"], rel=1e-7)
    assert record["se"] == pytest.approx(golden[name]["se"], rel=1e-6)


@pytest.mark.parametrize("metric", ["calibration_intercept", "calibration_slope"])
def test_a_coefficient_has_the_interval_of_svyglm(
    metric: str, toy: pd.DataFrame, full: SurveyDesign, golden: dict[str, Any]
) -> None:
    theirs = golden[f"{metric}_full"]
    record = only(with_intervals(toy["y"], {"m": toy["risk"]}, full, metrics=[metric]), metric)
    for name in ("estimate", "se", "low", "high"):
        assert record[name] == pytest.approx(theirs[name], rel=1e-6)


def test_a_difference_in_net_benefit_between_two_risks_is_that_of_r(
    toy: pd.DataFrame, part: SurveyDesign, golden: dict[str, Any]
) -> None:
    models = {"m": toy["risk"], "rival": expit(-1.5 + 0.8 * toy["x1"])}
    (found,) = paired_differences(toy["y"], models, part, reference="rival", metrics=["net_benefit@0.3"])
    theirs = golden["net_benefit_30_above_rival"]
    assert (found["estimate"], found["se"]) == pytest.approx((theirs["estimate"], theirs["se"]), rel=1e-6)


def test_flexible_calibration_is_that_of_r(toy: pd.DataFrame, part: SurveyDesign, golden: dict[str, Any]) -> None:
    records = with_intervals(toy["y"], {"m": toy["risk"]}, part, metrics=["ici", "e50", "e90"])
    np.testing.assert_allclose([r["estimate"] for r in records], golden["flexible"]["estimate"], rtol=1e-6)
    # E50 and E90 have the error of the bootstrap, of which R's random numbers know nothing.
    assert records[0]["se"] == pytest.approx(golden["flexible"]["se"][0], rel=1e-5)


def test_every_record_is_flat_and_complete(toy: pd.DataFrame, part: SurveyDesign) -> None:
    names = metric_names(thresholds=(0.2, 0.3))
    records = with_intervals(toy["y"], {"m": toy["risk"]}, part, metrics=names)
    assert [record["metric"] for record in records] == list(names)
    for record in records:
        assert list(record) == [
            "model", "metric", "estimate", "low", "high", "se", "n", "events", "problem", "presentation",
        ]  # fmt: skip
        assert record["problem"] == ""
        assert record["low"] < record["estimate"] < record["high"]
        assert (record["n"], record["events"]) == (part.n, int(toy["y"][part.analysis_weight > 0].sum()))


def test_intervals_stay_where_the_metric_lives(toy: pd.DataFrame, part: SurveyDesign) -> None:
    records = with_intervals(toy["y"], {"m": toy["risk"]}, part, metrics=metric_names(thresholds=(0.3,)))
    t, of_slope = t_quantile(0.95, part.df), t_quantile(0.95, part.df - 1)
    auroc, slope, ratio = (only(records, name) for name in ("auroc", "calibration_slope", "observed_expected"))
    assert auroc["estimate"] - auroc["low"] > auroc["high"] - auroc["estimate"]
    assert slope["high"] - slope["low"] == pytest.approx(2 * of_slope * slope["se"])
    assert np.sqrt(ratio["low"] * ratio["high"]) == pytest.approx(ratio["estimate"])
    for name in ("prevalence", "auroc", "auprc", "brier", "sensitivity@0.3", "ppv@0.3", "npv@0.3", "flagged@0.3"):
        record = only(records, name)
        assert record["low"] > 0
        assert record["high"] < 1
    for name in ("ici", "e50", "e90"):
        record = only(records, name)
        assert record["high"] - record["estimate"] == pytest.approx(t * record["se"])
        assert record["low"] == max(0.0, 2 * record["estimate"] - record["high"])


def test_quantiles_of_the_gap_have_the_interval_of_the_bootstrap(toy: pd.DataFrame, part: SurveyDesign) -> None:
    found = with_intervals(toy["y"], {"m": toy["risk"]}, part, metrics=["e50", "ici"])
    assert found == with_intervals(toy["y"], {"m": toy["risk"]}, part, metrics=["e50", "ici"])
    drawn = rao_wu(part, replicates=BOOTSTRAP_REPLICATES, seed=BOOTSTRAP_SEED)
    people, weight, cluster = rank_domain(toy["y"], toy["risk"], part)
    full = Weighted(people, weight)
    gaps = [measure("e50", Weighted(people, weight * f[cluster])) - measure("e50", full) for f in drawn.factors]
    assert only(found, "e50")["se"] == pytest.approx(np.sqrt(np.mean(np.square(gaps))), rel=1e-6)


def test_differences_of_quantiles_of_the_gap_have_no_interval(toy: pd.DataFrame, part: SurveyDesign) -> None:
    models = {"m": toy["risk"], "other": toy["risk"] ** 1.1}
    (difference,) = paired_differences(toy["y"], models, part, reference="m", metrics=["e90"])
    assert np.isfinite(difference["estimate"])
    assert np.isnan([difference["low"], difference["high"]]).all()


def test_a_share_is_judged_by_itself_and_the_rest_by_the_share_of_cases(toy: pd.DataFrame, full: SurveyDesign) -> None:
    names = ["prevalence", "auroc", "sensitivity@0.3", "calibration_slope"]
    few = full.where((toy["group"] == "c").to_numpy())
    found = {r["metric"]: r for r in with_intervals(toy["y"], {"m": toy["risk"]}, few, metrics=names)}
    case = proportion(toy["y"], few)
    assert found["prevalence"]["presentation"] == presentation(case) == "suppress:width"
    assert found["calibration_slope"]["presentation"] == "suppress:width"
    assert found["auroc"]["high"] - found["auroc"]["low"] < 0.3
    assert found["auroc"]["presentation"] == "present"
    # 25 cases can have no share of their own that may be shown.
    assert few.where((toy["y"] == 1).to_numpy()).n < 30
    assert found["sensitivity@0.3"]["presentation"] == "suppress:effective_size"


def test_scores_that_only_rank_are_not_asked_for_calibration(toy: pd.DataFrame, part: SurveyDesign) -> None:
    models = {"m": toy["risk"], "points": np.floor(10 * toy["risk"])}
    records = with_intervals(toy["y"], models, part, ranking_only=frozenset({"points"}))
    assert [r["metric"] for r in records if r["model"] == "points"] == ["auroc", "auprc"]
    with pytest.raises(MgRiskError) as caught:
        with_intervals(toy["y"], models, part)
    assert (caught.value.code, caught.value.where) == ("metric.bad_risk", "points")


def test_a_difference_of_a_model_from_its_copy_is_exactly_nothing(toy: pd.DataFrame, part: SurveyDesign) -> None:
    models = {"m": toy["risk"], "copy": toy["risk"]}
    for record in paired_differences(toy["y"], models, part, reference="m"):
        assert (record["model"], record["reference"]) == ("copy", "m")
        assert (record["estimate"], record["se"]) == (0.0, 0.0)
        if record["metric"] not in {"e50", "e90"}:
            assert (record["low"], record["high"]) == (0.0, 0.0)


def test_differences_use_the_same_replicates_and_are_sharper_than_their_parts(
    toy: pd.DataFrame, part: SurveyDesign
) -> None:
    near = np.clip(toy["risk"] + 0.02 * toy["x2"], 0, 0.999)
    found = replicate_metrics(toy["y"], {"a": toy["risk"], "b": near}, part, metrics=["auroc", "brier"])
    for record in found.differences("a"):
        metric = record["metric"]
        parts = {r["model"]: r for r in found.records() if r["metric"] == metric}
        assert record["estimate"] == pytest.approx(parts["b"]["estimate"] - parts["a"]["estimate"])
        gaps = found.replicates["b", metric] - found.replicates["a", metric] - record["estimate"]
        assert record["se"] == pytest.approx(np.sqrt(found.scale @ gaps**2))
        assert 0 < record["se"] < parts["a"]["se"] / 2
        half = t_quantile(0.95, part.df) * record["se"]
        assert (record["low"], record["high"]) == pytest.approx((record["estimate"] - half, record["estimate"] + half))


def test_differences_are_made_of_what_both_models_have(toy: pd.DataFrame, part: SurveyDesign) -> None:
    records = paired_differences(
        toy["y"],
        {"points": np.floor(10 * toy["risk"]), "m": toy["risk"]},
        part,
        reference="points",
        ranking_only=frozenset({"points"}),
    )
    assert [(r["model"], r["metric"]) for r in records] == [("m", "auroc"), ("m", "auprc")]


def test_what_stands_outside_the_domain_changes_nothing(toy: pd.DataFrame, part: SurveyDesign) -> None:
    y, risk = toy["y"].to_numpy(dtype=float), toy["risk"].to_numpy()
    holes, gone = np.where(part.domain, y, np.nan), np.where(part.domain, risk, np.nan)
    names = metric_names(thresholds=(0.3,))
    before = with_intervals(y, {"m": risk}, part, metrics=names)
    assert before == with_intervals(holes, {"m": gone}, part, metrics=names)


def test_a_missing_risk_inside_the_domain_is_an_error_that_names_the_model(
    toy: pd.DataFrame, part: SurveyDesign
) -> None:
    risk = toy["risk"].where(toy["x1"] < 1)
    with pytest.raises(MgRiskError) as caught:
        with_intervals(toy["y"], {"whole": toy["risk"], "holes": risk}, part)
    assert caught.value.code == "metric.missing_risk"
    assert "holes" in caught.value.where


def test_clustered_people_make_wider_intervals_than_independent_ones() -> None:
    rng = np.random.default_rng(11)
    stratum, psu = np.repeat(np.arange(15), 40), np.tile(np.repeat([1, 2], 20), 15)
    shift = rng.normal(0, 1.5, (15, 2))[stratum, psu - 1]
    y = (rng.random(600) < 1 / (1 + np.exp(1 - shift))).astype(float)
    risk = np.full(600, float(y.mean()))
    clustered = SurveyDesign(np.ones(600), stratum, psu, WeightLevel.EXAM)
    shuffled = rng.permutation(600)
    independent = SurveyDesign(np.ones(600), stratum[shuffled], psu[shuffled], WeightLevel.EXAM)
    wide, narrow = (
        with_intervals(y, {"m": risk}, design, metrics=["observed_expected"])[0] for design in (clustered, independent)
    )
    assert wide["se"] > 1.5 * narrow["se"]


def test_a_metric_that_cannot_be_had_stays_in_the_list_with_its_reason(toy: pd.DataFrame, part: SurveyDesign) -> None:
    nobody = with_intervals(np.zeros(len(toy)), {"m": toy["risk"]}, part, metrics=["auroc", "brier", "sensitivity@0.1"])
    assert [record["problem"] for record in nobody] == ["metric.undefined", "", "metric.undefined"]
    assert np.isnan(nobody[0]["estimate"])
    assert nobody[1]["se"] > 0

    cut = (toy["risk"] > 0.3).astype(float)
    perfect = with_intervals(cut, {"m": toy["risk"]}, part, metrics=["auroc", "calibration_slope"])
    assert [record["problem"] for record in perfect] == ["interval.undefined", "logistic.not_converged"]
    assert (perfect[0]["estimate"], perfect[0]["se"]) == pytest.approx((1.0, 0.0), abs=1e-12)


def test_an_estimate_without_its_uncertainty_says_so() -> None:
    # All cases in one PSU: without it there is no AUROC.
    design = SurveyDesign([1.0] * 8, [1, 1, 1, 1, 2, 2, 2, 2], [1, 1, 2, 2] * 2, WeightLevel.EXAM)
    risk = np.linspace(0.1, 0.8, 8)
    (record,) = with_intervals([1, 0, 0, 0, 0, 0, 0, 0], {"m": risk}, design, metrics=["auroc"])
    assert record["problem"] == "replicate:metric.undefined"
    assert record["estimate"] == 0.0
    assert np.isnan(record["se"])


@pytest.mark.parametrize("column", [[np.inf, np.inf, 2.0], [2.0, np.inf, 1.5]])
def test_an_infinite_ratio_has_no_interval_and_no_warning(column: list[float]) -> None:
    design = SurveyDesign([1.0, 1.0, 1.0, 1.0], [1, 1, 2, 2], [1, 2, 1, 2], WeightLevel.EXAM)
    found = MetricReplicates.of(
        [0, 1, 0, 1], {("model", "lr_positive@0.1"): np.array(column)}, design, scale=np.full(2, 0.5)
    )
    (record,) = found.records()
    assert record["estimate"] == column[0]
    assert np.isnan([record["se"], record["low"], record["high"]]).all()
    assert record["problem"]


def test_unknown_names_are_refused(toy: pd.DataFrame, part: SurveyDesign) -> None:
    models = {"m": toy["risk"]}
    calls = {
        "metric.unknown": lambda: with_intervals(toy["y"], models, part, metrics=["gini"]),
        "metric.unknown_model": lambda: with_intervals(toy["y"], models, part, ranking_only=frozenset({"ada"})),
        "metric.unknown_reference": lambda: paired_differences(toy["y"], models, part, reference="ada"),
        "metric.bad_length": lambda: with_intervals(toy["y"][:5], models, part),
    }
    for code, call in calls.items():
        with pytest.raises(MgRiskError) as caught:
            call()
        assert caught.value.code == code


def test_the_result_is_a_table_and_a_plain_dict(toy: pd.DataFrame, part: SurveyDesign) -> None:
    found = replicate_metrics(toy["y"], {"m": toy["risk"]}, part, metrics=["auroc"])
    assert found.frame().to_dict("records") == found.records()
    assert found.to_dict() == {"df": 6, "replicates": 14, "records": found.records()}

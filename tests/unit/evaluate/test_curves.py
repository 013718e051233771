from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from mgrisk.errors import MgRiskError
from mgrisk.evaluate import metrics
from mgrisk.evaluate.curves import calibration_curve, decision_curve, grouped_calibration, roc_curve
from mgrisk.survey.design import SurveyDesign
from mgrisk.survey.estimates import proportion, weighted_quantile
from mgrisk.survey.variance import jackknife, replicate_variance, t_quantile


def inside(toy: pd.DataFrame, design: SurveyDesign) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    return toy["y"].to_numpy(), toy["risk"].to_numpy(), np.array(design.analysis_weight)


def test_the_calibration_curve_lies_within_its_interval_and_within_0_and_1(
    toy: pd.DataFrame, part: SurveyDesign
) -> None:
    curve = calibration_curve(toy["y"], toy["risk"], part).frame()
    assert list(curve) == ["risk", "observed", "low", "high"]
    assert len(curve) == 50
    assert curve["risk"].is_monotonic_increasing
    assert ((curve["low"] > 0) & (curve["low"] < curve["observed"])).all()
    assert ((curve["observed"] < curve["high"]) & (curve["high"] < 1)).all()


def test_the_calibration_curve_is_the_one_behind_the_calibration_error(toy: pd.DataFrame, part: SurveyDesign) -> None:
    y, risk, weight = inside(toy, part)
    curve = calibration_curve(y, risk, part, grid=risk)
    gap = np.average(np.abs(curve["observed"] - risk), weights=weight)
    assert gap == pytest.approx(metrics.ici(y, risk, weight), rel=1e-9)


def test_people_outside_the_domain_do_not_bend_the_curve(toy: pd.DataFrame, part: SurveyDesign) -> None:
    y, risk, _ = inside(toy, part)
    changed = calibration_curve(np.where(part.domain, y, np.nan), np.where(part.domain, risk, np.nan), part)
    assert changed.to_dict() == calibration_curve(y, risk, part).to_dict()


def test_the_interval_of_a_flat_curve_is_that_of_the_prevalence(toy: pd.DataFrame, full: SurveyDesign) -> None:
    curve = calibration_curve(toy["y"], np.full(len(toy), 0.4), full, grid=[0.4])
    share = proportion(toy["y"], full)
    assert curve["observed"][0] == pytest.approx(share.estimate)
    # Jackknife of the log odds against Taylor: near, not the same.
    assert (curve["low"][0], curve["high"][0]) == pytest.approx((share.low, share.high), abs=0.01)


@pytest.mark.parametrize("grid", [[0.0, 0.5], [0.5, 1.0], [np.nan], [[0.1]]])
def test_a_grid_outside_0_and_1_is_refused(grid: list[float], toy: pd.DataFrame, part: SurveyDesign) -> None:
    with pytest.raises(MgRiskError) as caught:
        calibration_curve(toy["y"], toy["risk"], part, grid=grid)
    assert caught.value.code == "metric.bad_grid"


def test_a_calibration_curve_without_cases_is_refused(toy: pd.DataFrame, part: SurveyDesign) -> None:
    with pytest.raises(MgRiskError) as caught:
        calibration_curve(np.zeros(len(toy)), toy["risk"], part)
    assert caught.value.code == "metric.one_class"


def test_groups_share_the_population_and_add_up_to_it(toy: pd.DataFrame, part: SurveyDesign) -> None:
    y, risk, weight = inside(toy, part)
    groups = grouped_calibration(y, risk, part, groups=5).frame()
    assert groups["group"].tolist() == [1, 2, 3, 4, 5]
    assert groups["share"].sum() == pytest.approx(1.0)
    np.testing.assert_allclose(groups["share"], 0.2, atol=0.04)
    assert groups["n"].sum() == part.n
    assert groups["events"].sum() == y[weight > 0].sum()
    assert groups["predicted"].is_monotonic_increasing
    for column, values in (("predicted", risk), ("observed", y)):
        assert groups["share"] @ groups[column] == pytest.approx(np.average(values, weights=weight))


def test_a_group_is_a_domain_of_the_full_design(toy: pd.DataFrame, part: SurveyDesign) -> None:
    y, risk, _ = inside(toy, part)
    lower = grouped_calibration(y, risk, part, groups=2).frame().iloc[0]
    median = weighted_quantile(risk, part.analysis_weight, [0.5])[0]
    share = proportion(y, part.where(risk <= median))
    for name, value in share.to_dict().items():
        if name not in ("estimate", "df"):
            assert lower[name] == pytest.approx(value)
    assert lower["observed"] == pytest.approx(share.estimate)


def test_equal_risks_stay_in_one_group(toy: pd.DataFrame, part: SurveyDesign) -> None:
    two = np.where(toy["x2"] == 1, 0.5, 0.2)
    groups = grouped_calibration(toy["y"], two, part)
    assert groups["predicted"].tolist() == pytest.approx([0.2, 0.5])


def test_fewer_than_two_groups_are_refused(toy: pd.DataFrame, part: SurveyDesign) -> None:
    with pytest.raises(MgRiskError) as caught:
        grouped_calibration(toy["y"], toy["risk"], part, groups=1)
    assert caught.value.code == "metric.bad_groups"


def test_the_area_under_the_roc_curve_is_the_auroc(toy: pd.DataFrame, part: SurveyDesign) -> None:
    y, risk, weight = inside(toy, part)
    curve = roc_curve(y, risk, part)
    area = np.trapezoid(curve["sensitivity"], curve["false_positive_rate"])
    assert area == pytest.approx(metrics.auroc(y, risk, weight), rel=1e-12)
    assert (curve["sensitivity"][0], curve["sensitivity"][-1]) == (0.0, 1.0)
    third = curve["threshold"][3]
    assert curve["sensitivity"][3] == pytest.approx(metrics.sensitivity(y, risk, weight, threshold=third))


def test_a_roc_curve_without_cases_is_undefined_and_not_absent(toy: pd.DataFrame, part: SurveyDesign) -> None:
    curve = roc_curve(np.zeros(len(toy)), toy["risk"], part)
    assert np.isnan(curve["sensitivity"]).all()
    assert curve["false_positive_rate"][-1] == 1.0


def test_the_decision_curve_reads_the_net_benefit_of_model_all_and_none(toy: pd.DataFrame, part: SurveyDesign) -> None:
    y, risk, weight = inside(toy, part)
    curve = decision_curve(y, risk, part)
    assert curve["threshold"].tolist() == pytest.approx(np.arange(1, 21) / 100)
    for i in (0, 4, 19):
        at = float(curve["threshold"][i])
        assert curve["model"][i] == pytest.approx(metrics.net_benefit(y, risk, weight, threshold=at))
        everybody = metrics.net_benefit(y, np.full(len(toy), 0.999), weight, threshold=at)
        assert curve["all"][i] == pytest.approx(everybody)
    assert (curve["none"] == 0).all()


def test_the_interval_of_the_decision_curve_is_the_jackknife(toy: pd.DataFrame, part: SurveyDesign) -> None:
    y, risk, weight = inside(toy, part)
    curve = decision_curve(y, risk, part, thresholds=[0.3])
    replicates = jackknife(part)
    full = metrics.net_benefit(y, risk, weight, threshold=0.3)
    each = [metrics.net_benefit(y, risk, w, threshold=0.3) for w in replicates.weights()]
    half = t_quantile(0.95, part.df) * np.sqrt(replicate_variance(full, each, replicates.scale))
    assert (curve["low"][0], curve["high"][0]) == pytest.approx((full - half, full + half))


def test_the_gain_over_acting_on_everybody_is_paired(toy: pd.DataFrame, part: SurveyDesign) -> None:
    y, risk, _ = inside(toy, part)
    curve = decision_curve(y, risk, part, thresholds=[0.3])
    gain = curve["model"][0] - curve["all"][0]

    def gains(weight: np.ndarray) -> float:
        model = metrics.net_benefit(y, risk, weight, threshold=0.3)
        return model - metrics.net_benefit(y, np.full(len(toy), 0.999), weight, threshold=0.3)

    each = [gains(weight) for weight in jackknife(part).weights()]
    half = t_quantile(0.95, part.df) * np.sqrt(replicate_variance(gain, each, jackknife(part).scale))
    assert (curve["gain_low"][0], curve["gain_high"][0]) == pytest.approx((gain - half, gain + half))
    assert curve["gain_high"][0] - curve["gain_low"][0] < curve["all_high"][0] - curve["all_low"][0]

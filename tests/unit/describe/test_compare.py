from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from mgrisk.describe.compare import compared
from mgrisk.describe.question import Question
from mgrisk.errors import ExitStatus, MgRiskError
from mgrisk.nhanes.harmonise import Harmonised, TableRead
from mgrisk.survey.contingency import chi_square
from mgrisk.survey.design import SurveyDesign
from mgrisk.survey.frames import chi_square as chi_square_frame

GROUPS = "BMXARMC=10,20,30"
IN_DOMAIN = "BMXHIP == 1"


def ask(frame: pd.DataFrame, *of: str, by: tuple[str, ...], where: str = IN_DOMAIN, statistic: str = "") -> Any:
    years = tuple(frame["cycle"].unique())
    tables = Harmonised(frame, (TableRead(years[0], "BMX_J", len(frame), 1, "0", False),))
    return compared(Question(of, by, where, statistic), tables, cycles=years)


def by_heavier_psus(statistic: Callable[[np.ndarray], np.ndarray], design: SurveyDesign) -> np.ndarray:
    """Return the linearised covariance of a statistic of weights, found by making each PSU heavier and lighter."""
    step, slopes = 1e-4, []
    for cluster in range(design.n_clusters):
        more, less = (
            statistic(np.where(design.cluster == cluster, 1 + sign * step, 1.0) * design.analysis_weight)
            for sign in (1, -1)
        )
        slopes.append((more - less) / (2 * step))
    covariance = np.zeros((len(slopes[0]), len(slopes[0])))
    for stratum in np.unique(design.cluster_stratum):
        of_stratum = np.array(slopes)[design.cluster_stratum == stratum]
        off = of_stratum - of_stratum.mean(axis=0)
        covariance += len(off) / (len(off) - 1) * off.T @ off
    return covariance


def test_means_are_compared_by_their_covariance_under_the_design(
    toy_nhanes: pd.DataFrame, toy: pd.DataFrame, part: SurveyDesign
) -> None:
    wald = ask(toy_nhanes, "BMXWT", by=(GROUPS,)).records[0]

    def differences(weight: np.ndarray) -> np.ndarray:
        means = np.array([np.average(toy["amount"], weights=weight * (toy["group"] == each)) for each in "abc"])
        return means[1:] - means[0]

    apart = differences(part.analysis_weight)
    f = float(apart @ np.linalg.solve(by_heavier_psus(differences, part), apart)) / 2
    assert wald["test"] == "Wald test of means"
    assert wald["statistic"] == pytest.approx(f, rel=1e-5)
    assert (wald["numerator"], wald["denominator"], wald["n"]) == (2, part.df - 2, part.n)
    assert wald["p"] == pytest.approx(float(stats.f.sf(f, 2, part.df - 2)), rel=1e-4)


def test_a_trend_is_the_slope_over_the_ranges(toy_nhanes: pd.DataFrame, toy: pd.DataFrame, part: SurveyDesign) -> None:
    # Where in its range a value lies does not matter.
    within = toy_nhanes.assign(BMXARMC=toy_nhanes["BMXARMC"] + 5.0 * (toy_nhanes["RIAGENDR"] == 2))
    trend = ask(within, "BMXWT", by=(GROUPS,)).records[1]
    place = toy["group"].map({"a": 0.0, "b": 1.0, "c": 2.0}).to_numpy()

    def slope(weight: np.ndarray) -> np.ndarray:
        return np.polyfit(place, toy["amount"], 1, w=np.sqrt(weight))[:1]

    se = float(np.sqrt(by_heavier_psus(slope, part)[0, 0]))
    assert trend["test"] == "linear trend"
    assert trend["slope"] == pytest.approx(float(slope(part.analysis_weight)[0]))
    assert trend["se"] == pytest.approx(se, rel=1e-5)
    assert trend["p"] == pytest.approx(2 * float(stats.t.sf(abs(trend["slope"] / se), part.df - 1)), rel=1e-4)


def test_shares_are_compared_by_rao_and_scott_and_their_trend_is_of_log_odds(
    toy_nhanes: pd.DataFrame, toy: pd.DataFrame, part: SurveyDesign
) -> None:
    share, trend = ask(toy_nhanes, "BMXWAIST == 1", by=(GROUPS,)).records
    theirs = chi_square(toy["y"], toy["group"], part).to_dict()
    assert {key: share[key] for key in theirs} == pytest.approx(theirs)
    assert share["test"] == "Rao-Scott chi-square"
    (row,) = chi_square_frame(toy["y"], toy["group"], part).to_dict("records")
    assert row == pytest.approx(theirs)
    # At the maximum of the likelihood the weighted residuals have no mean and no slope.
    place = toy["group"].map({"a": 1.0, "b": 2.0, "c": 3.0}).to_numpy()
    weight = part.analysis_weight
    for middle in np.linspace(-6, 6, 2401):
        risk = 1 / (1 + np.exp(-(middle + trend["slope"] * place)))
        if abs(weight @ (toy["y"] - risk)) < 0.002 * weight.sum():
            assert (
                abs(weight @ ((toy["y"] - risk) * (place - np.average(place, weights=weight)))) < 0.005 * weight.sum()
            )
            break
    else:
        pytest.fail("no intercept fits")


def test_tests_of_groups_and_trends_are_those_of_r(toy_nhanes: pd.DataFrame, in_r: dict[str, Any]) -> None:
    ranges = ("BMXARMC=10,20,30",)
    shares, trend_of_shares = ask(toy_nhanes, "BMXWAIST == 1", by=ranges).records
    means, trend_of_means = ask(toy_nhanes, "BMXWT", by=ranges).records
    for found, name in (
        (shares, "chi_square_2x3"),
        (means, "means_differ"),
        (trend_of_shares, "trend_share"),
        (trend_of_means, "trend_mean"),
    ):
        for key, value in in_r[name].items():
            assert found[key] == pytest.approx(value, rel=1e-7), (name, key)


def test_the_trend_over_cycles_is_for_each_year(toy_nhanes: pd.DataFrame) -> None:
    years = ["2013-2014", "2015-2016", "2017-2018"]
    people = pd.concat(
        [
            toy_nhanes.assign(cycle=each, SDMVSTRA=toy_nhanes["SDMVSTRA"] + 100 * place, BMXWT=10.0 * place + 3)
            for place, each in enumerate(years)
        ]
    )
    people["BMXWT"] += people["BMXBMI"] * 0.001
    trend = ask(people, "BMXWT", by=("cycle",)).records[1]
    assert trend["slope"] == pytest.approx(5.0)
    assert trend["p"] < 1e-6


def test_the_last_grouping_is_compared_within_each_group_of_those_before(toy_nhanes: pd.DataFrame) -> None:
    found = ask(toy_nhanes, "BMXWT", "BMXWAIST == 1", by=("sex", GROUPS), where="").frame()
    assert found["within"].tolist() == ["sex=female"] * 2 + ["sex=male"] * 2 + ["sex=female"] * 2 + ["sex=male"] * 2
    alone = ask(toy_nhanes, "BMXWT", by=(GROUPS,), where="sex == 'male'").frame()
    assert found["statistic"].tolist()[2:4] == pytest.approx(alone["statistic"].tolist())


def test_groups_without_order_have_no_trend(toy_nhanes: pd.DataFrame) -> None:
    for by in ("sex", "BMXHT == 1", "BMXARMC=10,20"):
        assert [each["test"] for each in ask(toy_nhanes, "BMXWT", by=(by,)).records] == ["Wald test of means"]
    assert len(ask(toy_nhanes, "BMXWT", by=("BMXARMC",)).records) == 2


def test_categories_are_tested_as_one_and_have_a_trend_each(toy_nhanes: pd.DataFrame) -> None:
    found = ask(toy_nhanes, "sex", by=(GROUPS,)).frame()
    assert found["level"].tolist() == ["", "female", "male"]
    assert found["slope"].iloc[1] == pytest.approx(-found["slope"].iloc[2])
    assert found["p"].iloc[1] == pytest.approx(found["p"].iloc[2])


def test_what_nobody_can_tell_is_a_dash_and_not_an_error(toy_nhanes: pd.DataFrame) -> None:
    one_group = ask(toy_nhanes, "BMXWT", "BMXWAIST == 1", by=(GROUPS,), where="BMXARMC == 10")
    assert one_group.frame()["p"].isna().all()
    assert all(" - " in line and "nan" not in line for line in one_group.lines()[1:])
    nobody = ask(toy_nhanes, "BMXWAIST == 7", by=(GROUPS,))
    assert nobody.frame()["p"].isna().all()


def test_a_table_names_each_test(toy_nhanes: pd.DataFrame) -> None:
    found = ask(toy_nhanes, "BMXWT", by=(GROUPS,))
    head, wald, trend = found.lines()
    assert head.split() == ["variable", "by", "test", "F", "df", "p", "slope", "se", "n"]
    assert f"{found.records[0]['p']:.4f}" in wald
    assert "2, 4" in wald
    assert "linear trend" in trend


@pytest.mark.parametrize(("by", "statistic"), [((), ""), ((GROUPS,), "quantile=0.5"), ((GROUPS,), "age-adjusted")])
def test_what_has_no_test_is_refused(by: tuple[str, ...], statistic: str, toy_nhanes: pd.DataFrame) -> None:
    with pytest.raises(MgRiskError) as caught:
        ask(toy_nhanes, "BMXWT", by=by, statistic=statistic)
    assert (caught.value.code, caught.value.status) == ("describe.test", ExitStatus.USAGE)


def test_a_fault_of_the_design_is_no_missing_p(toy_nhanes: pd.DataFrame) -> None:
    gone = toy_nhanes[~((toy_nhanes["SDMVSTRA"] == 101) & (toy_nhanes["SDMVPSU"] == 1))]
    with pytest.raises(MgRiskError) as caught:
        ask(gone, "BMXWT", by=(GROUPS,))
    assert caught.value.code == "design.single_psu"

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import pytest

from mgrisk.evidence.association import associate, fifths
from mgrisk.evidence.record import FOOD, SUPPLEMENT, Evidence
from mgrisk.evidence.regression import CALIBRATED, NONE, fit_naive, linear_coding


@pytest.fixture(scope="module")
def eaters(draw_eaters: Callable[..., Any]) -> Any:
    return draw_eaters(np.random.default_rng(12), n=1500)


@pytest.fixture(scope="module")
def table(eaters: Any) -> pd.DataFrame:
    return Evidence(tuple(associate(eaters.panel, rungs=[eaters.rung]))).frame()


def test_every_outcome_has_naive_beside_corrected_and_food_beside_supplements(table: pd.DataFrame) -> None:
    per_100 = table[table["contrast"] == "per 100 mg/d"]
    found = set(per_100[["outcome", "exposure", "correction"]].itertuples(index=False, name=None))
    assert found == {
        (outcome, exposure, correction)
        for outcome in ("undiagnosed", "homa_ir")
        for exposure in (FOOD, SUPPLEMENT)
        for correction in (NONE, CALIBRATED)
    }
    assert (table["problem"] == "").all()


def test_a_ratio_is_the_exponential_of_its_coefficient(eaters: Any, table: pd.DataFrame) -> None:
    fit = next(fit for fit in fit_naive(eaters.panel, eaters.rung, [linear_coding()]) if fit.outcome == "undiagnosed")
    row = table[(table["outcome"] == "undiagnosed") & (table["exposure"] == FOOD) & (table["correction"] == NONE)]
    first = row.iloc[0]
    assert first["scale"] == "odds ratio"
    assert first["estimate"] == pytest.approx(math.exp(fit.coefficients[0]))
    assert math.log(first["high"] / first["estimate"]) == pytest.approx(math.log(first["estimate"] / first["low"]))
    assert (first["n"], first["events"]) == (1500, eaters.panel.outcomes["undiagnosed"].sum())


def test_fifths_hold_a_fifth_of_the_population_each(eaters: Any) -> None:
    intake = np.nanmean(eaters.panel.amounts["magnesium"], axis=1)
    weight = eaters.panel.design.analysis_weight
    by_fifth, trend = fifths(intake, weight)
    shares = np.average(by_fifth.columns(intake[:, None]), axis=0, weights=weight)
    assert shares == pytest.approx(0.2, abs=0.002)
    assert len(np.unique(trend.columns(intake[:, None]))) == 5


def test_a_trend_is_there_where_the_fifths_rise(table: pd.DataFrame) -> None:
    trend = table[table["contrast"].str.startswith("trend") & (table["outcome"] == "homa_ir")]
    assert set(trend["correction"]) == {NONE, CALIBRATED}
    assert (trend["p"] < 0.01).all()


def test_where_nobody_takes_supplements_there_is_no_estimate_of_them(eaters: Any) -> None:
    none = eaters.panel.where(eaters.panel.supplement == 0.0)
    found = Evidence(tuple(associate(none, rungs=[eaters.rung]))).frame()
    assert (found["problem"] == "").all()
    assert set(found["exposure"]) == {FOOD}


def test_what_cannot_be_estimated_is_there_with_its_reason(eaters: Any) -> None:
    nobody = replace(eaters.panel, outcomes={"undiagnosed": np.zeros(1500)})
    found = list(associate(nobody, rungs=[eaters.rung]))
    assert {each.problem for each in found} == {"logistic.not_converged"}
    assert all(each.estimate is None for each in found)

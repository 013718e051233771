"""The NCHS presentation standards: Korn and Graubard's interval as in R, and each limit of the standards."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from mgrisk.survey.design import SurveyDesign
from mgrisk.survey.estimates import Estimate, proportion
from mgrisk.survey.presentation import korn_graubard, presentation, presentation_code

GOLDEN = Path(__file__).parents[2] / "golden" / "presentation.json"


@pytest.fixture(scope="module")
def by_r() -> dict[str, Any]:
    values: dict[str, Any] = json.loads(GOLDEN.read_text(encoding="utf-8"))["values"]
    return values


def share(p: float, se: float, *, n: int = 1000, df: int = 15) -> Estimate:
    return Estimate(p, se, np.nan, np.nan, n=n, df=df)


@pytest.mark.parametrize("name", ["case", "group_c", "case_in_c", "case_in_domain"])
def test_the_interval_is_that_of_r(name: str, by_r: dict[str, Any], toy: pd.DataFrame, full: SurveyDesign) -> None:
    wanted = by_r[name]
    inside = {"case_in_c": toy["group"] == "c", "case_in_domain": toy["domain"] == 1}
    design = full.where(inside[name].to_numpy()) if name in inside else full
    values = toy["group"] == "c" if name == "group_c" else toy["y"] == 1
    found = proportion(values, design)
    assert (found.n, found.df) == (wanted["n"], wanted["df"])
    assert found.estimate == pytest.approx(wanted["estimate"], rel=1e-12)
    assert korn_graubard(found) == pytest.approx((wanted["low"], wanted["high"]), rel=1e-9)


def test_a_share_more_precise_than_its_people_is_taken_for_a_simple_sample() -> None:
    # binom.test(10, 100) in R 4.2.2.
    assert korn_graubard(share(0.1, 0.001, n=100)) == pytest.approx((0.04900469, 0.17622260), abs=5e-9)


@pytest.mark.parametrize(("p", "expected"), [(0.0, (0.0, 1 - 0.025**0.01)), (1.0, (0.025**0.01, 1.0))])
def test_none_and_all_have_a_one_sided_interval(p: float, expected: tuple[float, float]) -> None:
    assert korn_graubard(share(p, 0.0, n=100)) == pytest.approx(expected, abs=5e-9)


@pytest.mark.parametrize(
    ("found", "low", "high", "code"),
    [
        (share(0.5, 0.02), 0.46, 0.54, "present"),
        (share(0.5, 0.02, n=29), 0.46, 0.54, "suppress:effective_size"),
        # 0.25 / 0.0083 = 30.1 effective people, 29.9 with a little more error.
        (share(0.5, 0.0911), 0.4, 0.6, "present"),
        (share(0.5, 0.0915), 0.4, 0.6, "suppress:effective_size"),
        (share(0.5, 0.05), 0.36, 0.65, "present"),
        (share(0.5, 0.05), 0.35, 0.65, "suppress:width"),
        # A narrow interval may be wide in relation: a share of 1 % with 0.5 to 5.5 %.
        (share(0.01, 0.005), 0.005, 0.054, "present"),
        (share(0.01, 0.005), 0.005, 0.056, "suppress:relative_width"),
        (share(0.1, 0.02), 0.05, 0.18, "present"),
        (share(0.1, 0.02), 0.05, 0.181, "suppress:relative_width"),
        (share(0.0, 0.0), 0.0, 0.004, "review:none"),
        (share(1.0, 0.0), 0.996, 1.0, "review:none"),
        (share(0.5, 0.02, df=7), 0.46, 0.54, "review:df"),
        (share(0.5, 0.02, df=8), 0.46, 0.54, "present"),
        (share(np.nan, np.nan), np.nan, np.nan, "suppress:width"),
    ],
)
def test_each_limit_of_the_standards(found: Estimate, low: float, high: float, code: str) -> None:
    assert presentation_code(found, low, high) == code


def test_a_small_group_is_kept_back_by_its_own_interval(toy: pd.DataFrame, full: SurveyDesign) -> None:
    few = full.where(np.arange(len(toy)) < 24)
    assert presentation(proportion(toy["y"] == 1, few)) == "suppress:effective_size"
    assert presentation(proportion(toy["y"] == 1, full)) == "present"


def test_the_interval_is_that_of_the_beta_distribution_to_the_last_bit() -> None:
    tail = (1.0 - 0.95) / 2.0
    for n in range(2, 500):
        p = (n // 3) / n
        low, high = korn_graubard(Estimate(p, 0.0, p, p, n=n, df=15))
        assert low == (stats.beta.ppf(tail, n * p, n * (1.0 - p) + 1.0) if p else 0.0)
        assert high == stats.beta.ppf(1.0 - tail, n * p + 1.0, n * (1.0 - p))

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest

from mgrisk.errors import MgRiskError
from mgrisk.survey.design import SurveyDesign
from mgrisk.survey.estimates import mean
from mgrisk.survey.standardise import US_2000, standardised_mean, us_2000_age_group

STANDARD = {"a": 1.0, "b": 2.0, "c": 3.0}


@pytest.mark.parametrize(("column", "name"), [("amount", "standardised_mean"), ("y", "standardised_share")])
def test_estimate_and_error_are_those_of_svycontrast_over_svyby(
    column: str, name: str, toy: pd.DataFrame, part: SurveyDesign, golden: dict[str, Any]
) -> None:
    ours = standardised_mean(toy[column], toy["group"], part, standard=STANDARD)
    assert ours.estimate == pytest.approx(golden[name]["estimate"], rel=1e-10)
    assert ours.se == pytest.approx(golden[name]["se"], rel=1e-8)
    assert ours.df == golden[name]["df"]


def test_only_proportions_of_the_standard_matter(toy: pd.DataFrame, part: SurveyDesign) -> None:
    thousands = {name: 1000 * size for name, size in STANDARD.items()}
    plain = standardised_mean(toy["amount"], toy["group"], part, standard=STANDARD)
    other = standardised_mean(toy["amount"], toy["group"], part, standard=thousands)
    assert other.estimate == pytest.approx(plain.estimate, rel=1e-13)
    assert other.se == pytest.approx(plain.se, rel=1e-13)


def test_a_standard_of_one_group_is_the_plain_mean(toy: pd.DataFrame, part: SurveyDesign) -> None:
    ours = standardised_mean(toy["amount"], ["all"] * len(toy), part, standard={"all": 7.0})
    plain = mean(toy["amount"], part)
    assert (ours.estimate, ours.se, ours.low) == pytest.approx((plain.estimate, plain.se, plain.low))


def test_shares_of_the_us_population_of_2000_are_those_of_nchs() -> None:
    whole = sum(US_2000.values())
    assert [round(size / whole, 4) for size in US_2000.values()] == [0.3966, 0.3718, 0.2316]


def test_ages_fall_into_the_groups_of_nchs() -> None:
    groups = us_2000_age_group([19.9, 20.0, 39.0, 40.0, 59.0, 60.0, 80.0, np.nan])
    assert groups.fillna("none").tolist() == ["none", "20-39", "20-39", "40-59", "40-59", "60+", "60+", "none"]


@pytest.mark.parametrize(
    ("standard", "code"),
    [({"a": 1.0, "b": 1.0}, "standard.unknown_group"), ({**STANDARD, "d": 1.0}, "standard.empty_group")],
)
def test_groups_and_standard_must_be_the_same(
    standard: dict[str, float], code: str, toy: pd.DataFrame, part: SurveyDesign
) -> None:
    with pytest.raises(MgRiskError) as caught:
        standardised_mean(toy["amount"], toy["group"], part, standard=standard)
    assert caught.value.code == code


def test_a_missing_group_matters_inside_the_domain_only(toy: pd.DataFrame, part: SurveyDesign) -> None:
    outside = toy["group"].where(part.domain)
    assert standardised_mean(toy["amount"], outside, part, standard=STANDARD).n == part.n
    with pytest.raises(MgRiskError) as caught:
        standardised_mean(toy["amount"], toy["group"].where(toy["x1"] < 1), part, standard=STANDARD)
    assert caught.value.code == "design.missing_values"


def test_groups_of_another_length_are_refused(toy: pd.DataFrame, part: SurveyDesign) -> None:
    with pytest.raises(MgRiskError) as caught:
        standardised_mean(toy["amount"], ["a"], part, standard=STANDARD)
    assert caught.value.code == "design.bad_length"

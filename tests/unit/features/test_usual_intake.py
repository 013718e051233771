"""Covariates of usual intake: the same columns in fitting and in scoring, and the replacement of missing values.

Fitting usual intake: its data, weights, domains, replicates, and errors.
"""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pandas as pd
import pytest
from numpy.typing import NDArray

from mgrisk.errors import MgRiskError
from mgrisk.features.mixed_model import Covariates
from mgrisk.features.usual_intake import RecalledDays, estimate_usual_intake, fit_usual_intake
from mgrisk.survey.design import SurveyDesign, WeightLevel
from mgrisk.survey.variance import jackknife

PEOPLE = pd.DataFrame({"group": ["men", "women", "men", "boys"], "age": [30.0, 40.0, 50.0, 9.0]})
WEIGHT = np.array([1.0, 1.0, 2.0, 0.0])


@pytest.fixture
def covariates() -> Covariates:
    return Covariates.fit(PEOPLE, WEIGHT)


def test_only_people_with_a_weight_make_levels_and_means(covariates: Covariates) -> None:
    assert covariates.columns == ("group=women", "age")
    np.testing.assert_allclose(covariates.means, [0.25, 42.5])


def test_missing_and_unknown_values_are_replaced_by_the_mean_and_told(covariates: Covariates) -> None:
    matrix, missing = covariates.matrix(
        pd.DataFrame({"age": [np.nan, 20.0, 20.0], "group": ["men", "boys", None], "more": 1}), 3
    )
    np.testing.assert_allclose(matrix, [[1, 0, 42.5], [1, 0.25, 20], [1, 0.25, 20]])
    assert missing.tolist() == [True, True, True]


def test_the_columns_do_not_depend_on_who_else_is_there(covariates: Covariates) -> None:
    whole, _ = covariates.matrix(PEOPLE, 4)
    alone, _ = covariates.matrix(PEOPLE.iloc[[1]], 1)
    np.testing.assert_array_equal(alone, whole[[1]])


@pytest.mark.parametrize("words", ["category", "string", object])
def test_words_are_words_however_they_are_stored(words: str) -> None:
    people = PEOPLE.astype({"group": words})
    assert Covariates.fit(people, WEIGHT).columns == ("group=women", "age")


def test_no_covariates_leave_the_intercept() -> None:
    matrix, missing = Covariates.fit(None, WEIGHT).matrix(None, 4)
    assert matrix.tolist() == [[1.0]] * 4
    assert not missing.any()


def test_covariates_go_through_json(covariates: Covariates) -> None:
    back = Covariates.from_dict(json.loads(json.dumps(covariates.to_dict())))
    np.testing.assert_array_equal(back.matrix(PEOPLE, 4)[0], covariates.matrix(PEOPLE, 4)[0])


def test_what_cannot_be_used_is_refused(covariates: Covariates) -> None:
    cases = {
        "intake_covariates.missing": lambda: Covariates.fit(PEOPLE.assign(age=np.nan), WEIGHT),
        "intake_covariates.absent": lambda: covariates.matrix(PEOPLE[["age"]], 4),
        "intake_covariates.bad_length": lambda: covariates.matrix(PEOPLE, 3),
    }
    for code, use in cases.items():
        with pytest.raises(MgRiskError) as refused:
            use()
        assert refused.value.code == code


N = 1200


class Example:
    """People with two days, most of them; women eat less, weekends are lower, second recalls are lower."""

    def __init__(self) -> None:
        random = np.random.default_rng(42)
        self.sex = np.where(random.random(N) < 0.5, "female", "male")
        self.weekend = (random.random((N, 2)) < 0.6).astype(float)
        own = 15.0 - 1.5 * (self.sex == "female") + random.normal(0, 1.7, N)
        day = own[:, None] - 0.8 * self.weekend - np.array([0.0, 0.5]) + random.normal(0, 1.9, (N, 2))
        self.amount = np.maximum(0.3 * day + 1, 0.1) ** (1 / 0.3)
        self.amount[random.random(N) < 0.15, 1] = np.nan
        self.people = pd.DataFrame({"sex": self.sex})
        self.design = SurveyDesign(
            random.uniform(0.5, 3.0, N), np.arange(N) % 10, np.arange(N) // 10 % 2, WeightLevel.RECALL1
        )

    def given(self, **changed: Any) -> dict[str, Any]:
        return {"design": self.design, "people": self.people, "weekend": self.weekend, **changed}


@pytest.fixture(scope="module")
def example() -> Example:
    return Example()


def numbers(model: Any) -> NDArray[np.float64]:
    return np.array([*model.coefficients, model.weekend, model.sequence, model.between, model.within])


def test_the_effects_of_sex_weekend_and_sequence_are_found(example: Example) -> None:
    model = fit_usual_intake(example.amount, **example.given(power=0.3))
    found = numbers(model)
    truth = np.array([15.0, 1.5, -0.8, -0.5, 1.7**2, 1.9**2])
    truth[0] -= 1.5  # the reference is the first word, female
    np.testing.assert_allclose(found, truth, atol=0.35)
    assert (model.n, model.n_repeated) == (N, int(np.isfinite(example.amount).all(axis=1).sum()))


def test_the_exponent_has_the_highest_likelihood(example: Example) -> None:
    best = fit_usual_intake(example.amount, **example.given())
    assert 0.2 < best.transform.power < 0.4
    for step in (-0.05, 0.05):
        other = fit_usual_intake(example.amount, **example.given(power=best.transform.power + step))
        assert other.deviance > best.deviance


def test_people_outside_the_domain_do_not_matter(example: Example) -> None:
    men = example.design.where(example.sex == "male")
    strange = np.where((example.sex == "male")[:, None], example.amount, -7.0)
    with pytest.raises(MgRiskError):
        fit_usual_intake(strange, **example.given(design=men))
    strange = np.where((example.sex == "male")[:, None], example.amount, 1e4)
    nobody_else = pd.DataFrame({"one": np.random.default_rng(1).normal(size=N)})
    ours = fit_usual_intake(strange, **example.given(design=men, people=nobody_else))
    theirs = fit_usual_intake(example.amount, **example.given(design=men, people=nobody_else))
    np.testing.assert_array_equal(numbers(ours), numbers(theirs))


def test_zero_counts_as_half_of_the_smallest_amount(example: Example) -> None:
    with_zero = example.amount.copy()
    smallest = np.nanmin(np.delete(with_zero, 0, axis=0))
    with_zero[0, 0] = 0.0
    model = fit_usual_intake(with_zero, **example.given())
    with_half = with_zero.copy()
    with_half[0, 0] = smallest / 2
    assert model.transform.floor == smallest / 2
    same = fit_usual_intake(with_half, **example.given(power=model.transform.power))
    np.testing.assert_allclose(numbers(model), numbers(same), rtol=1e-9)


def test_the_scale_of_weights_and_the_order_of_rows_do_not_matter(example: Example) -> None:
    design, order = example.design, np.random.default_rng(2).permutation(N)
    again = SurveyDesign(1e4 * design.weight[order], design.stratum[order], design.psu[order], design.level)
    moved = fit_usual_intake(
        example.amount[order], design=again, people=example.people.iloc[order], weekend=example.weekend[order]
    )
    np.testing.assert_allclose(numbers(moved), numbers(fit_usual_intake(example.amount, **example.given())), rtol=2e-3)


def test_without_days_of_the_week_there_is_no_weekend_effect(example: Example) -> None:
    assert fit_usual_intake(example.amount, **example.given(weekend=None)).weekend == 0.0


def test_recalls_taken_as_equally_good_have_no_sequence_effect(example: Example) -> None:
    alike = fit_usual_intake(example.amount, **example.given(sequence=False))
    assert alike.sequence == 0.0
    # Second recalls are lower: usual intake then lies between the two.
    first = fit_usual_intake(example.amount, **example.given())
    usual = [m.distribution(example.people, example.design).mean for m in (alike, first)]
    assert usual[0] < usual[1]


def test_a_days_distribution_is_wider_than_that_of_habits(example: Example) -> None:
    found = estimate_usual_intake(RecalledDays(example.amount, **example.given()), cut_points=200.0)
    table = found.frame().set_index("statistic")["estimate"]
    one_day = example.amount[:, 0]
    assert table["q95"] - table["q05"] < 0.85 * (np.quantile(one_day, 0.95) - np.quantile(one_day, 0.05))
    assert table["below_cut_point"] < np.average(one_day < 200.0, weights=example.design.weight) - 0.03


def test_estimates_are_those_of_the_model(example: Example) -> None:
    men = example.sex == "male"
    found = estimate_usual_intake(RecalledDays(example.amount, **example.given()), domain=men, cut_points=300.0)
    table = found.frame().set_index("statistic")["estimate"]
    described = found.model.distribution(example.people, example.design.where(men))
    share = found.model.share_below(300.0, example.people, example.design.where(men))
    assert table["mean"] == pytest.approx(described.mean)
    assert table["q50"] == pytest.approx(described.quantiles[3])
    assert table["below_cut_point"] == pytest.approx(share)
    assert table["attenuation_1_day"] == pytest.approx(found.model.attenuation())
    assert found.n == men.sum()
    assert found.frame()["se"].isna().all()


def test_standard_errors_are_those_of_fits_without_each_psu(example: Example) -> None:
    replicates = jackknife(example.design)
    found = estimate_usual_intake(
        RecalledDays(example.amount, **example.given()), cut_points=300.0, probabilities=[0.5], replicates=replicates
    )
    by_hand = 0.0
    for r in range(len(replicates)):
        weight = replicates.replicate_weight(r)
        design = SurveyDesign(weight, example.design.stratum, example.design.psu, WeightLevel.RECALL1)
        part = estimate_usual_intake(RecalledDays(example.amount, **example.given(design=design)), probabilities=[0.5])
        by_hand += replicates.scale[r] * (part.estimates[2] - found.estimates[2]) ** 2
    table = found.frame().set_index("statistic")
    assert table.loc["q50", "se"] == pytest.approx(np.sqrt(by_hand), rel=1e-3)
    assert (table["low"] < table["estimate"]).all()
    assert (table["estimate"] < table["high"]).all()
    assert table["df"].unique().tolist() == [10]
    assert {"estimates", "model"} == found.to_dict().keys()


@pytest.mark.parametrize(
    ("changed", "code"),
    [
        (lambda e: {"amount": e.amount[1:]}, "usual_intake.bad_length"),
        (lambda e: {"amount": np.where(np.arange(N)[:, None] == 3, np.nan, e.amount)}, "usual_intake.no_recall"),
        (lambda e: {"weekend": np.full((N, 2), np.nan)}, "usual_intake.missing_weekend"),
        (lambda e: {"weekend": np.ones(N)}, "usual_intake.bad_length"),
        (lambda e: {"weekend": np.ones((N, 2))}, "usual_intake.collinear"),
        (lambda e: {"people": pd.DataFrame({"a": e.sex, "b": e.sex})}, "usual_intake.collinear"),
        (lambda e: {"amount": e.amount[:, 0]}, "usual_intake.bad_length"),
        (lambda e: {"amount": e.amount[:, :1], "weekend": e.weekend[:, :1]}, "random_intercept.no_repeats"),
        (lambda e: {"people": pd.DataFrame({"a": np.full(N, np.nan)})}, "intake_covariates.missing"),
        (lambda e: {"power": 2.0}, "box_cox.bad_power"),
        (lambda e: {"amount": np.zeros((N, 2))}, "usual_intake.no_amount"),
    ],
)
def test_what_cannot_be_fitted_is_refused(example: Example, changed: Any, code: str) -> None:
    given = {"amount": example.amount, **example.given(), **changed(example)}
    with pytest.raises(MgRiskError) as refused:
        fit_usual_intake(given.pop("amount"), **given)
    assert refused.value.code == code


def test_replicates_of_another_design_are_refused(example: Example) -> None:
    other = SurveyDesign([1.0, 1.0], [1, 1], [1, 2], WeightLevel.RECALL1)
    with pytest.raises(MgRiskError) as refused:
        estimate_usual_intake(RecalledDays(example.amount, **example.given()), replicates=jackknife(other))
    assert refused.value.code == "usual_intake.other_design"

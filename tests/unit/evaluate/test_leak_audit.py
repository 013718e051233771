"""Planted leaks are found, other features are not, and a leaking pipeline predicts a permuted outcome."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from numpy.typing import NDArray

from mgrisk.cohort import select
from mgrisk.cohort.folds import assign_folds
from mgrisk.cohort.outcomes import OUTCOMES, Outcome
from mgrisk.errors import MgRiskError
from mgrisk.evaluate.leak_audit import PERMUTED, audit_alone, audit_permuted
from mgrisk.features.compute import from_nhanes
from mgrisk.features.registry import FEATURES, Feature, features
from mgrisk.features.summary import gather
from mgrisk.model.training_data import TrainingData
from mgrisk.nhanes.cycles import cycle
from mgrisk.nhanes.store import Store
from mgrisk.survey.design import SurveyDesign, WeightLevel

Floats = NDArray[np.float64]
HONEST = ("age_years", "sex", "family_history_diabetes", "hypertension_told", "smoking", "bmi_kg_m2", "waist_cm")
PLANTED = ("LBXGLU", "LBXGH", "LBXIN", "DIQ070", "DIQ010")
PEOPLE, STRATA = 4000, 15


def number(name: str) -> Feature:
    return FEATURES["waist_cm"].model_copy(update={"name": name})


def category(name: str) -> Feature:
    return FEATURES["smoking"].model_copy(update={"name": name, "levels": ("no", "yes")})


@pytest.fixture(scope="module")
def design() -> SurveyDesign:
    random = np.random.default_rng(7)
    return SurveyDesign(
        weight=random.lognormal(0.0, 0.6, PEOPLE),
        stratum=np.repeat(np.arange(STRATA), PEOPLE // STRATA + 1)[:PEOPLE],
        psu=np.arange(PEOPLE) % 2 + 1,
        level=WeightLevel.FASTING,
        domain=np.arange(PEOPLE) % 10 > 0,
    )


@pytest.fixture(scope="module")
def fold(design: SurveyDesign) -> NDArray[np.int64]:
    return (design.stratum * 2 + design.psu) % 5


@pytest.fixture(scope="module")
def age() -> Floats:
    return np.random.default_rng(8).uniform(20.0, 80.0, PEOPLE)


@pytest.fixture(scope="module")
def y(age: Floats) -> Floats:
    risk = 1 / (1 + np.exp(-(age - 95.0) / 15.0))
    return (np.random.default_rng(9).random(PEOPLE) < risk).astype(np.float64)


def audited(
    values: object, y: Floats, design: SurveyDesign, fold: NDArray[np.int64], *, row: Feature | None = None
) -> tuple[float, bool]:
    row = number("x") if row is None else row
    data = TrainingData(pd.DataFrame({row.name: values}), y, design, fold)
    (found,) = audit_alone(data, features=[row], limit=0.8, ratio_limit=10.0)
    assert found.low <= found.auroc <= found.high or found.auroc == pytest.approx(1.0)
    return round(found.auroc, 12), found.finding


def test_an_honest_feature_is_let_through_and_noise_tells_nothing(
    age: Floats, y: Floats, design: SurveyDesign, fold: NDArray[np.int64]
) -> None:
    auroc, finding = audited(age, y, design, fold)
    assert 0.65 < auroc < 0.8
    assert not finding
    auroc, finding = audited(np.random.default_rng(1).normal(size=PEOPLE), y, design, fold)
    assert auroc == pytest.approx(0.5, abs=0.09)
    assert not finding


def test_the_direction_and_the_shape_of_a_leak_do_not_hide_it(
    y: Floats, design: SurveyDesign, fold: NDArray[np.int64]
) -> None:
    noise = np.random.default_rng(2).normal(size=PEOPLE)
    for leak in (2.5 * y + noise, -2.5 * y + noise, np.where(y == 1, 3.0, 0.0) * np.sign(noise) + noise):
        auroc, finding = audited(leak, y, design, fold)
        assert auroc > 0.88
        assert finding


def test_a_leak_by_what_is_missing_is_found_in_numbers_and_in_categories(
    y: Floats, design: SurveyDesign, fold: NDArray[np.int64]
) -> None:
    """Asked of people told of the disease alone: the answer says nothing, having one says all."""
    noise = np.random.default_rng(3).normal(size=PEOPLE)
    assert audited(np.where(y == 1, noise, np.nan), y, design, fold) == (1.0, True)
    answers = pd.Categorical(np.where(y == 1, np.where(noise > 0, "yes", "no"), None), categories=["no", "yes"])
    assert audited(answers, y, design, fold, row=category("asked")) == (1.0, True)


def test_a_rare_value_that_cases_alone_have_is_found_though_its_auroc_is_low(
    y: Floats, design: SurveyDesign, fold: NDArray[np.int64]
) -> None:
    """A medicine that a tenth of the cases take and hardly anybody else."""
    random = np.random.default_rng(6).random(PEOPLE)
    takes = np.where(y == 1, random < 0.10, random < 0.001)
    auroc, finding = audited(pd.Categorical(np.where(takes, "yes", "no")), y, design, fold, row=category("pills"))
    assert auroc < 0.6
    assert finding


def test_the_likelihood_ratio_is_the_lower_bound_worked_by_hand(fold: NDArray[np.int64]) -> None:
    """100 cases of 1,100, 40 of them and 10 others exposed, equal weights: 40.5/100.5 over 10.5/1000.5 is 38.4.

    The standard error of its log is sqrt(1/40.5 - 1/100.5 + 1/10.5 - 1/1000.5) = 0.3298, so the bound is 20.1.
    """
    n = 1100
    y = np.arange(n) < 100
    exposed = (np.arange(n) < 40) | ((np.arange(n) >= 100) & (np.arange(n) < 110))
    design = SurveyDesign(np.ones(n), np.arange(n) % 2, np.arange(n) % 4 // 2, WeightLevel.FASTING)
    frame = pd.DataFrame({"x": pd.Categorical(np.where(exposed, "yes", "no"))})
    (found,) = audit_alone(
        TrainingData(frame, y, design, fold[:n]), features=[category("x")], limit=0.8, ratio_limit=10.0
    )
    assert found.likelihood_ratio == pytest.approx(38.40 * np.exp(-1.96 * 0.3298), rel=1e-3)
    assert found.finding


def test_what_is_always_missing_or_always_the_same_tells_nothing(
    y: Floats, design: SurveyDesign, fold: NDArray[np.int64]
) -> None:
    """All in one bin: only the folds' own prevalences differ, and they count against the other folds."""
    for constant in (np.nan, 1.0):
        auroc, finding = audited(np.full(PEOPLE, constant), y, design, fold)
        assert 0.4 < auroc <= 0.5
        assert not finding


def test_people_outside_the_domain_teach_nothing_and_are_not_counted(
    age: Floats, y: Floats, design: SurveyDesign, fold: NDArray[np.int64]
) -> None:
    expected = audited(age, y, design, fold)
    outside = ~design.domain
    assert audited(np.where(outside, 1e9, age), np.where(outside, 1.0, y), design, fold) == expected


def test_the_risk_of_a_bin_is_that_of_the_other_folds(design: SurveyDesign, fold: NDArray[np.int64]) -> None:
    """A number of its own for each person tells a random outcome in the sample, and nothing out of fold."""
    random = np.random.default_rng(4)
    y = (random.random(PEOPLE) < 0.05).astype(np.float64)
    levels = tuple(str(level) for level in range(PEOPLE // 4))
    person = pd.Categorical([levels[i // 4] for i in range(PEOPLE)], categories=levels)
    row = category("person").model_copy(update={"levels": levels})
    auroc, _ = audited(person, y, design, fold, row=row)
    assert auroc < 0.56


def linear(
    X: Floats, design: SurveyDesign, fold: NDArray[np.int64], *, chosen_on_everybody: int = 0
) -> Callable[[Floats], Floats]:
    weight = design.analysis_weight

    def out_of_fold(y: Floats) -> Floats:
        used = X
        if chosen_on_everybody:
            seen = weight > 0
            strength = np.abs([np.corrcoef(column[seen], y[seen])[0, 1] for column in X.T])
            used = X[:, np.argsort(strength)[-chosen_on_everybody:]]
        columns = np.column_stack([np.ones(len(y)), used])
        score = np.zeros(len(y))
        for number in np.unique(fold):
            root = np.sqrt(weight * (fold != number))
            beta = np.linalg.lstsq(columns * root[:, None], y * root, rcond=None)[0]
            score[fold == number] = (columns @ beta)[fold == number]
        return score

    return out_of_fold


def test_a_permuted_outcome_is_told_by_a_pipeline_that_peeks_and_by_no_other(
    y: Floats, design: SurveyDesign, fold: NDArray[np.int64]
) -> None:
    X = np.random.default_rng(5).normal(size=(PEOPLE, 200))
    data = TrainingData(pd.DataFrame(X), y, design, fold)
    honest = audit_permuted(linear(X[:, :10], design, fold), data, seed=1)
    assert honest.feature == PERMUTED
    assert honest.low < 0.5 < 0.53 > honest.auroc
    assert not honest.finding
    peeking = audit_permuted(linear(X, design, fold, chosen_on_everybody=10), data, seed=1, repeats=4)
    assert peeking.low > 0.53
    assert peeking.finding
    assert peeking.to_dict()["limit"] == 0.5


def test_each_permutation_keeps_the_cases_of_a_fold_and_leaves_others_alone(
    y: Floats, design: SurveyDesign, fold: NDArray[np.int64]
) -> None:
    dealt: list[Floats] = []

    def remember(outcome: Floats) -> Floats:
        dealt.append(outcome)
        return np.zeros(len(outcome))

    found = audit_permuted(remember, TrainingData(pd.DataFrame({"x": y}), y, design, fold), seed=3, repeats=3)
    assert (found.auroc, found.low) == pytest.approx((0.5, 0.5))
    assert not found.finding
    for outcome_dealt in dealt:
        assert (outcome_dealt != y).any()
        np.testing.assert_array_equal(outcome_dealt[~design.domain], y[~design.domain])
        for number in np.unique(fold):
            members = (fold == number) & design.domain
            assert outcome_dealt[members].sum() == y[members].sum()
    assert any((dealt[0] != other).any() for other in dealt[1:])


def test_one_permutation_is_refused(y: Floats, design: SurveyDesign, fold: NDArray[np.int64]) -> None:
    with pytest.raises(MgRiskError) as caught:
        audit_permuted(
            lambda outcome: outcome, TrainingData(pd.DataFrame({"x": y}), y, design, fold), seed=1, repeats=1
        )
    assert caught.value.code == "leak_audit.repeats"


@pytest.mark.nhanes
@pytest.mark.parametrize("row", OUTCOMES.values(), ids=lambda row: row.name)
def test_on_nhanes_planted_leaks_are_found_and_the_features_of_the_pipeline_are_not(
    row: Outcome, tmp_path: Path
) -> None:
    """Glucose and HbA1c as they are and with noise; pills for blood sugar and insulin, where people told are cases."""
    if not os.environ.get("MGRISK_NHANES"):
        pytest.skip("MGRISK_NHANES does not name the mirror of the tables")
    store = Store(source=os.environ["MGRISK_NHANES"], cache=tmp_path, offline=True)
    years = ["2007-2008", "2009-2010", "2011-2012"]
    honest = features(HONEST)
    names = [*select.required_variables(row, (), (years, [])), *PLANTED]
    raw = gather(
        store, cycles=[cycle(each) for each in years], chosen=[*honest, FEATURES["glucose_lowering_use"]], names=names
    ).frame
    people = select.select(raw, outcome=row, chosen=(), development=years, held_out=[], minimum_age=20)
    rows, design = select.design(people.frame, level=people.level, set_name=select.DEVELOPMENT)
    folds = assign_folds(people.frame, folds=5, seed=1)
    fold = rows[["SEQN"]].merge(folds, on="SEQN", how="left", validate="one_to_one")["fold"].to_numpy()
    noise = np.random.default_rng(1).normal(0.0, 10.0, len(raw))
    leaking = {
        "undiagnosed": {"glucose": raw["LBXGLU"], "noisy": raw["LBXGLU"] + noise, "hba1c": raw["LBXGH"]},
        "undiagnosed-hba1c": {"hba1c": raw["LBXGH"], "noisy": raw["LBXGH"] + noise / 20},
        "diabetes": {
            "glucose": raw["LBXGLU"],
            "noisy": raw["LBXGLU"] + noise,
            "pills": raw["DIQ070"],
            "told": raw["DIQ010"],
        },
        "dysglycaemia": {"glucose": raw["LBXGLU"], "noisy": raw["LBXGLU"] + noise, "hba1c": raw["LBXGH"]},
        "insulin-resistance": {"insulin": raw["LBXIN"], "noisy": raw["LBXIN"] + noise / 4},
    }[row.name]
    frame = from_nhanes(raw, honest).assign(**leaking)
    y = rows["outcome"].where(rows["analysis"], 0.0).to_numpy(dtype=np.float64)
    planted = [number(name) for name in leaking]
    if row.name in {"undiagnosed", "diabetes"}:
        # Half of the cases at most take one, so that the AUROC alone would let it through.
        medicine = FEATURES["glucose_lowering_use"]
        frame[medicine.name] = from_nhanes(raw, [medicine])[medicine.name]
        planted.append(medicine)
    data = TrainingData(frame, y, design, fold)
    found = audit_alone(data, features=[*honest, *planted], limit=row.alone_limit, ratio_limit=row.ratio_limit)
    assert {each.feature for each in found if each.finding} == {each.name for each in planted}
    best = max(each.auroc for each in found if each.feature in HONEST)
    assert row.alone_limit - 0.12 < best < row.alone_limit - 0.02

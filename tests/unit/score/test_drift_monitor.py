"""Distribution shift of a batch: none in a sample of the reference, detected if present, added up over blocks."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import pytest
from tests.conftest import ToyPeople

from mgrisk.model.bundle import Bundle
from mgrisk.model.reference import PROBABILITIES, RISK, describe_numbers
from mgrisk.score.drift_monitor import BINS_BETWEEN, CHANCE, LARGE, SMALL, BinCounts, Shift
from mgrisk.score.input_schema import check
from mgrisk.score.scorer import Scorer


@pytest.fixture(scope="module")
def scorer(toy_people: ToyPeople, toy_bundles: dict[str, Bundle]) -> Scorer:
    bundle = toy_bundles["spline_logistic"]
    risk = bundle.calibrator.risk(bundle.fitted.margin(toy_people.matrix))
    reference = {**bundle.reference, RISK: describe_numbers(risk, toy_people.weight)}
    return Scorer(replace(bundle, reference=reference))


@pytest.fixture(scope="module")
def sample(toy_people: ToyPeople) -> pd.DataFrame:
    """People drawn from the reference by their weights."""
    random = np.random.default_rng(5)
    places = random.choice(toy_people.inside, 3000, p=toy_people.weight / toy_people.weight.sum())
    return toy_people.frame.iloc[places].reset_index(drop=True)


def spread_of(scorer: Scorer, people: pd.DataFrame) -> BinCounts:
    return scorer.reference_bins.measure(scorer.answer(check(people, scorer.schema_features), reasons=0))


def shifts_of(scorer: Scorer, people: pd.DataFrame) -> dict[str, Shift]:
    return {shift.name: shift for shift in scorer.reference_bins.shifts(spread_of(scorer, people))}


def test_a_sample_of_the_reference_has_not_shifted(scorer: Scorer, sample: pd.DataFrame) -> None:
    shifts = shifts_of(scorer, sample)
    assert set(shifts) == {*sample.columns, RISK}
    for shift in shifts.values():
        assert shift.psi < 3 * shift.psi_by_chance
        assert shift.ks < 4 * shift.ks_se
        assert shift.missing == pytest.approx(shift.missing_in_reference, abs=0.03)


def test_what_has_shifted_is_found_and_comes_first(scorer: Scorer, sample: pd.DataFrame) -> None:
    heavier = sample.assign(bmi_kg_m2=sample["bmi_kg_m2"] + 6, magnesium_total_mg=np.nan)
    shifts = shifts_of(scorer, heavier)
    assert next(name for name in shifts if name != RISK) == "bmi_kg_m2"
    assert shifts["bmi_kg_m2"].psi > LARGE
    assert shifts["magnesium_total_mg"].missing == 1.0
    assert np.isnan(shifts["magnesium_total_mg"].psi)
    assert shifts["age_years"].psi < 3 * shifts["age_years"].psi_by_chance


def test_psi_and_ks_are_those_of_the_shares(scorer: Scorer, sample: pd.DataFrame) -> None:
    """Recomputed with pandas from the values themselves."""
    row: dict[str, Any] = scorer.bundle.reference["age_years"]
    borders = [row["quantiles"][str(p)] for p in BINS_BETWEEN]
    below = [row["below"][PROBABILITIES.index(p)] for p in BINS_BETWEEN]
    older = (sample["age_years"] + 2).where(np.arange(len(sample)) % 2 == 0, sample["age_years"]).clip(upper=80)
    counts = pd.cut(older, [-np.inf, *borders, np.inf]).value_counts(sort=False).to_numpy()
    batch, reference = counts / counts.sum(), np.diff([0.0, *below, 1.0])
    shift = shifts_of(scorer, sample.assign(age_years=older))["age_years"]
    assert shift.psi == pytest.approx(((batch - reference) * np.log(batch / reference)).sum())
    assert shift.ks == pytest.approx(np.abs(np.cumsum(batch)[:-1] - below).max())
    level = shifts_of(scorer, sample[sample["sex"] == "male"])["sex"]
    assert level.ks == pytest.approx(scorer.bundle.reference["sex"]["shares"]["female"])


def test_counts_add_up_block_by_block_and_through_a_journal(scorer: Scorer, sample: pd.DataFrame) -> None:
    whole = spread_of(scorer, sample)
    parts = spread_of(scorer, sample.iloc[:700]) + BinCounts.from_dict(spread_of(scorer, sample.iloc[700:]).to_dict())
    np.testing.assert_array_equal(whole.counts, parts.counts)
    assert whole.rows == parts.rows == len(sample)


def test_rejected_rows_do_not_count(scorer: Scorer, sample: pd.DataFrame) -> None:
    spoiled = sample.assign(age_years=sample["age_years"].where(np.arange(len(sample)) % 2 == 0, 430))
    kept = spread_of(scorer, sample.iloc[::2])
    np.testing.assert_array_equal(spread_of(scorer, spoiled).counts, kept.counts)


def test_without_a_distribution_of_risks_the_features_are_compared(scorer: Scorer, sample: pd.DataFrame) -> None:
    reference = {name: row for name, row in scorer.bundle.reference.items() if name != RISK}
    without = Scorer(replace(scorer.bundle, reference=reference))
    shifts = shifts_of(without, sample)
    whole = shifts_of(scorer, sample)
    assert RISK not in shifts
    assert shifts == {name: shift for name, shift in whole.items() if name != RISK}


def test_a_shift_is_none_before_it_can_exceed_chance(scorer: Scorer, sample: pd.DataFrame) -> None:
    """Eight bins: the 99.9 % point of chi-squared with 7 degrees of freedom, 24.3, over 100 people is 0.24."""
    heavier = sample.assign(bmi_kg_m2=sample["bmi_kg_m2"] + 12)
    few, many = (shifts_of(scorer, heavier.head(n))["bmi_kg_m2"] for n in (40, 400))
    assert few.psi > LARGE
    assert not few.enough
    assert not few.exceeds(LARGE)
    assert many.exceeds(LARGE)
    reference = scorer.bundle.reference["bmi_kg_m2"]["people"]
    assert many.psi_limit == pytest.approx(24.3219 * (1 / many.people + 1 / reference), rel=1e-4)


def test_sampling_alone_rarely_makes_a_shift(scorer: Scorer, toy_people: ToyPeople) -> None:
    """Batches of 150, where chance alone gives an index of about 0.05 and now and then one beyond 0.1."""
    random, probability = np.random.default_rng(11), toy_people.weight / toy_people.weight.sum()
    found: list[Shift] = []
    for _ in range(60):
        places = random.choice(toy_people.inside, 150, p=probability)
        found += shifts_of(scorer, toy_people.frame.iloc[places].reset_index(drop=True)).values()
    judged = [shift for shift in found if shift.enough]
    assert len(judged) > 0.8 * len(found)
    assert not any(shift.exceeds(LARGE) for shift in judged)
    assert sum(shift.exceeds(SMALL) for shift in judged) <= 10 * CHANCE * len(judged)
    assert sum(shift.psi >= SMALL for shift in judged) > sum(shift.exceeds(SMALL) for shift in judged)


def test_missing_more_often_than_in_development_is_told(scorer: Scorer, sample: pd.DataFrame) -> None:
    gone = sample.assign(bmi_kg_m2=sample["bmi_kg_m2"].where(np.arange(len(sample)) % 2 == 0))
    shifts = shifts_of(scorer, gone)
    assert {name for name, shift in shifts.items() if shift.misses_more} == {"bmi_kg_m2"}

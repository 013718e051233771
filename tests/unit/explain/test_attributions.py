"""Attributions add up to the reported risk, and are Shapley values of it by their definition.

Those of an additive model are its terms given the observed inputs; an absent input has 0.
"""

from __future__ import annotations

import io
import itertools
import math
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import pytest
from scipy.special import expit, logit

from mgrisk.errors import ExitStatus, MgRiskError
from mgrisk.explain.attributions import PART, Explainer, build
from mgrisk.model.bundle import read_bundle
from mgrisk.model.curves import FittedSplines
from mgrisk.model.splines import Term

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.conftest import ToyPeople

    from mgrisk.model.bundle import Bundle

# Trees are sums of float32; the additive model is float64 throughout.
LEARNERS = pytest.mark.parametrize(
    ("learner", "exact"), [("spline_logistic", 1e-9), ("xgboost", 1e-5), ("shapes", 1e-12), ("blend", 1e-5)]
)


def risk(bundle: Bundle, given: pd.DataFrame) -> np.ndarray:
    _, X = bundle.encode(given)
    return bundle.risk(X)


@LEARNERS
def test_base_and_contributions_add_up_to_the_logit_of_the_reported_risk(
    toy_bundles: dict[str, Bundle], toy_people: ToyPeople, learner: str, exact: float
) -> None:
    explanation = Explainer(toy_bundles[learner]).explain(toy_people.frame)
    assert toy_people.frame.isna().any(axis=1).sum() > 100
    np.testing.assert_allclose(explanation.log_odds, logit(risk(toy_bundles[learner], toy_people.frame)), atol=exact)


@LEARNERS
def test_it_still_adds_up_for_people_who_gave_nothing_but_age_and_sex(
    toy_bundles: dict[str, Bundle], toy_people: ToyPeople, learner: str, exact: float
) -> None:
    people = toy_people.frame[["age_years", "sex"]]
    explanation = Explainer(toy_bundles[learner]).explain(people)
    np.testing.assert_allclose(explanation.log_odds, logit(risk(toy_bundles[learner], people)), atol=exact)


@LEARNERS
def test_the_base_is_the_weighted_mean_of_the_calibrated_log_odds_and_contributions_average_to_zero(
    toy_bundles: dict[str, Bundle],
    toy_people: ToyPeople,
    complete: np.ndarray,
    among: Callable[..., Bundle],
    learner: str,
    exact: float,
) -> None:
    assert len(complete) > 200
    X, weight = toy_people.matrix[complete], toy_people.weight[complete]
    people = toy_people.frame.iloc[toy_people.inside[complete]]
    bundle = among(toy_bundles[learner], X, weight)
    explainer = Explainer(bundle)
    explanation = explainer.explain(people)
    mean = np.average(logit(risk(bundle, people)), weights=weight)
    np.testing.assert_allclose(explanation.base_values, mean, atol=exact)
    assert explainer.base_value == pytest.approx(mean, abs=exact)
    np.testing.assert_allclose(np.average(explanation.values, axis=0, weights=weight), 0, atol=10 * exact)


@LEARNERS
def test_values_are_interventional_shapley_values_by_their_definition(
    toy_bundles: dict[str, Bundle],
    toy_people: ToyPeople,
    complete: np.ndarray,
    among: Callable[..., Bundle],
    learner: str,
    exact: float,
) -> None:
    encoder, X = toy_people.encoder, toy_people.matrix[complete]
    background, weight, people = X[:7], toy_people.weight[complete[:7]], X[40:44]
    bundle = among(toy_bundles[learner], background, weight)
    n, owners = len(encoder.features), encoder.owners

    def expected_log_odds(person: np.ndarray, known: tuple[int, ...]) -> float:
        mixed = np.where(np.isin(owners, known), person, background).astype(np.float32)
        return float(np.average(bundle.predict(mixed).log_odds, weights=weight))

    for person, values in zip(people, Explainer(bundle).values(people), strict=True):
        worth = {
            known: expected_log_odds(person, known)
            for size in range(n + 1)
            for known in itertools.combinations(range(n), size)
        }
        for feature in range(n):
            shapley = 0.0
            for known, value in worth.items():
                if feature not in known:
                    share = math.factorial(len(known)) * math.factorial(n - len(known) - 1) / math.factorial(n)
                    shapley += share * (worth[tuple(sorted((*known, feature)))] - value)
            assert values[feature] == pytest.approx(shapley, abs=exact)


@LEARNERS
def test_a_person_is_explained_alike_in_whatever_company(
    toy_bundles: dict[str, Bundle], toy_people: ToyPeople, learner: str, exact: float
) -> None:
    explainer = Explainer(toy_bundles[learner])
    whole = explainer.explain(toy_people.frame).values
    order = np.random.default_rng(1).permutation(len(whole))
    moved = explainer.explain(toy_people.frame.iloc[order]).values
    np.testing.assert_array_equal(moved, whole[order])
    np.testing.assert_array_equal(explainer.explain(toy_people.frame.iloc[5:6]).values, whole[5:6])
    assert explainer.explain(toy_people.frame.iloc[:0]).values.shape == (0, len(toy_people.features))


@LEARNERS
def test_explanations_survive_writing_and_loading_bit_for_bit(
    toy_bundles: dict[str, Bundle], toy_people: ToyPeople, tmp_path: Path, learner: str, exact: float
) -> None:
    toy_bundles[learner].write(tmp_path / "bundle")
    loaded = Explainer(read_bundle(tmp_path / "bundle"))
    written = Explainer(toy_bundles[learner])
    assert loaded.base_value == written.base_value
    np.testing.assert_array_equal(loaded.values(toy_people.matrix), written.values(toy_people.matrix))


def test_the_table_has_the_people_given_and_a_column_for_each_feature(
    toy_bundles: dict[str, Bundle], toy_people: ToyPeople
) -> None:
    people = toy_people.frame.iloc[[9, 4]].set_axis(["anna", "ben"])
    explanation = Explainer(toy_bundles["xgboost"]).explain(people)
    table = explanation.frame()
    assert table.index.tolist() == ["anna", "ben"]
    assert list(table) == ["base_value", *(feature.name for feature in toy_people.features)]
    np.testing.assert_allclose(table.sum(axis=1), explanation.log_odds)
    pd.testing.assert_frame_equal(explanation.data, people)


def npz(**arrays: np.ndarray) -> bytes:
    content = io.BytesIO()
    np.savez_compressed(content, **arrays)
    return content.getvalue()


def npy(array: np.ndarray) -> bytes:
    content = io.BytesIO()
    np.save(content, array)
    return content.getvalue()


COLUMNS = 13
GOOD = npz(**{"0.column_means": np.zeros(COLUMNS)})


@pytest.fixture(scope="module")
def old_bundle(toy_bundles: dict[str, Bundle]) -> Bundle:
    """A bundle whose splines are those of format 1, straight lines here; what is missing counts as 0."""
    terms = tuple(Term(0.0, ()) for _ in range(COLUMNS))
    straight = FittedSplines(terms, -1.0, np.linspace(-0.1, 0.1, COLUMNS), np.zeros(COLUMNS))
    return replace(toy_bundles["xgboost"], fitted=straight, parts={PART: GOOD}, uncertainty=None)


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"no archive",
        GOOD[:-30],
        GOOD[:80] + b"\x00\x01\x02\x03" + GOOD[84:],
        npy(np.zeros(COLUMNS)),
        npz(other=np.zeros(COLUMNS)),
        npz(**{"0.column_means": np.zeros(3)}),
        npz(**{"0.column_means": np.zeros(COLUMNS, dtype=np.float32)}),
        npz(**{"0.column_means": np.full(COLUMNS, np.nan)}),
        npz(**{"0.column_means": np.array([{}] * COLUMNS, dtype=object)}),
    ],
    ids=range(10),
)
def test_damaged_attributions_are_refused(old_bundle: Bundle, content: bytes) -> None:
    with pytest.raises(MgRiskError) as caught:
        Explainer(replace(old_bundle, parts={PART: content}))
    assert caught.value.code == "bundle.bad_attributions"
    assert caught.value.status == ExitStatus.BUNDLE


def test_attributions_of_the_right_shape_are_taken(old_bundle: Bundle, toy_people: ToyPeople) -> None:
    values = Explainer(old_bundle).values(toy_people.matrix)
    assert values.shape == (len(toy_people.matrix), len(toy_people.features))


def test_splines_of_format_1_add_up_with_their_means_for_a_base(old_bundle: Bundle, toy_people: ToyPeople) -> None:
    X, weight, encoder = toy_people.matrix, toy_people.weight, toy_people.encoder
    explainer = Explainer(replace(old_bundle, parts=build(old_bundle.fitted, encoder, X, weight)))
    log_odds, values = old_bundle.predict(X).log_odds, explainer.values(X)
    assert explainer.base_value == pytest.approx(np.average(log_odds, weights=weight), abs=1e-9)
    np.testing.assert_allclose(explainer.base_value + values.sum(axis=1), log_odds, atol=1e-9)


def test_an_additive_model_needs_no_attributions(toy_bundles: dict[str, Bundle], toy_people: ToyPeople) -> None:
    bundle = toy_bundles["spline_logistic"]
    assert PART not in bundle.parts
    assert build(bundle.fitted, toy_people.encoder, toy_people.matrix, toy_people.weight) == {}
    assert np.abs(Explainer(replace(bundle, parts={})).values(toy_people.matrix)).max() > 0.1


def test_a_bundle_without_attributions_says_so(toy_bundles: dict[str, Bundle]) -> None:
    with pytest.raises(MgRiskError) as caught:
        Explainer(replace(toy_bundles["xgboost"], parts={}))
    assert caught.value.code == "bundle.no_attributions"


def test_in_an_additive_model_what_is_absent_moves_nothing_and_others_take_over_what_it_would_have_told(
    toy_bundles: dict[str, Bundle], toy_people: ToyPeople
) -> None:
    explainer = Explainer(toy_bundles["spline_logistic"])
    explanation = explainer.explain(toy_people.frame)
    absent = toy_people.frame[[feature.name for feature in explanation.features]].isna().to_numpy()
    assert absent.sum() > 100
    assert (explanation.values[absent] == 0.0).all()
    assert (explanation.values[~absent] != 0.0).all()
    # Age is not worth the same once body mass index, which goes with it here by chance, is not known.
    people = toy_people.frame[toy_people.frame.notna().all(axis=1)]
    known, unknown = (explainer.explain(each).values[:, 0] for each in (people, people.assign(bmi_kg_m2=np.nan)))
    assert np.abs(known - unknown).max() > 1e-3


def test_in_an_additive_model_people_who_lack_the_same_have_the_same_base(
    toy_bundles: dict[str, Bundle], toy_people: ToyPeople
) -> None:
    bundle = toy_bundles["spline_logistic"]
    explainer = Explainer(bundle)
    explanation = explainer.explain(toy_people.frame)
    lacking = toy_people.frame[[feature.name for feature in explanation.features]].isna()
    pattern = lacking.astype(str).agg(" ".join, axis=1)
    bases = pd.Series(explanation.base_values, index=lacking.index)
    assert (bases.groupby(pattern).nunique() == 1).all()
    assert bases.nunique() > 3
    np.testing.assert_array_equal(bases[~lacking.any(axis=1)], explainer.base_value)
    # The base of any pattern is the log-odds of somebody whose known inputs are average: near the population's mean.
    assert np.abs(expit(bases) - expit(explainer.base_value)).max() < 0.05

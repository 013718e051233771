"""Attributions add up to the reported risk, and are Shapley values of it by their definition."""

from __future__ import annotations

import io
import itertools
import math
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import pytest
from scipy.special import logit

from mgrisk.errors import ExitStatus, MgRiskError
from mgrisk.explain.attributions import PART, Explainer, build
from mgrisk.model.bundle import read_bundle

if TYPE_CHECKING:
    from pathlib import Path

    from tests.conftest import ToyPeople

    from mgrisk.model.bundle import Bundle

# Trees are sums of float32; the additive model is float64 throughout.
LEARNERS = pytest.mark.parametrize(
    ("learner", "exact"), [("spline_logistic", 1e-9), ("xgboost", 1e-5), ("shapes", 1e-12), ("blend", 1e-5)]
)


def risk(bundle: Bundle, given: pd.DataFrame) -> np.ndarray:
    _, X = bundle.encode(given)
    return bundle.calibrator.risk(bundle.fitted.margin(X))


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
    toy_bundles: dict[str, Bundle], toy_people: ToyPeople, learner: str, exact: float
) -> None:
    people = toy_people.frame.iloc[toy_people.inside]
    explanation = Explainer(toy_bundles[learner]).explain(people)
    log_odds = logit(risk(toy_bundles[learner], people))
    assert explanation.base_value == pytest.approx(np.average(log_odds, weights=toy_people.weight), abs=exact)
    np.testing.assert_allclose(np.average(explanation.values, axis=0, weights=toy_people.weight), 0, atol=10 * exact)


@LEARNERS
def test_values_are_interventional_shapley_values_by_their_definition(
    toy_bundles: dict[str, Bundle], toy_people: ToyPeople, learner: str, exact: float
) -> None:
    bundle, encoder = toy_bundles[learner], toy_people.encoder
    background, weight = toy_people.matrix[:7], toy_people.weight[:7]
    people = toy_people.matrix[40:44]
    tiny = replace(bundle, parts={PART: build(bundle.fitted, encoder, background, weight)})
    n, owners = len(encoder.features), encoder.owners

    def expected_log_odds(person: np.ndarray, known: tuple[int, ...]) -> float:
        mixed = np.where(np.isin(owners, known), person, background).astype(np.float32)
        return float(np.average(bundle.calibrator.log_odds(bundle.fitted.margin(mixed)), weights=weight))

    for person, values in zip(people, Explainer(tiny).values(people), strict=True):
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


def test_shap_takes_an_explanation_with_its_values_base_data_and_names(
    toy_bundles: dict[str, Bundle], toy_people: ToyPeople
) -> None:
    shap = pytest.importorskip("shap")
    explanation = Explainer(toy_bundles["xgboost"]).explain(toy_people.frame.iloc[:20])
    theirs = explanation.to_shap()
    assert isinstance(theirs, shap.Explanation)
    assert theirs.shape == (20, len(toy_people.features))
    np.testing.assert_array_equal(theirs.values, explanation.values)
    np.testing.assert_array_equal(theirs.base_values, np.full(20, explanation.base_value))
    assert theirs.feature_names[0] == "Age, years"
    assert theirs[3].data[1] == toy_people.frame["sex"].iloc[3]


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
def test_damaged_attributions_are_refused(toy_bundles: dict[str, Bundle], content: bytes) -> None:
    with pytest.raises(MgRiskError) as caught:
        Explainer(replace(toy_bundles["spline_logistic"], parts={PART: content}))
    assert caught.value.code == "bundle.bad_attributions"
    assert caught.value.status == ExitStatus.BUNDLE


def test_attributions_of_the_right_shape_are_taken(toy_bundles: dict[str, Bundle], toy_people: ToyPeople) -> None:
    explainer = Explainer(replace(toy_bundles["spline_logistic"], parts={PART: GOOD}))
    assert explainer.values(toy_people.matrix).shape == (len(toy_people.matrix), len(toy_people.features))


def test_a_bundle_without_attributions_says_so(toy_bundles: dict[str, Bundle]) -> None:
    with pytest.raises(MgRiskError) as caught:
        Explainer(replace(toy_bundles["xgboost"], parts={}))
    assert caught.value.code == "bundle.no_attributions"

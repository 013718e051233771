"""The quadratic form reproduces the spread of refits for each person, also after saving and loading."""

from __future__ import annotations

import io
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pytest

from mgrisk.errors import MgRiskError
from mgrisk.model.splines import expand, fit_terms
from mgrisk.model.uncertainty import Uncertainty, fit_uncertainty

if TYPE_CHECKING:
    from tests.conftest import ToyPeople

REPLICATES = 12


def refits_in_the_basis(toy_people: ToyPeople) -> np.ndarray:
    """Return deviations that are curves of the columns, as those of a spline model are."""
    random = np.random.default_rng(5)
    terms = fit_terms(toy_people.encoder.columns, toy_people.matrix, toy_people.weight, knots=4)
    design = expand(terms, toy_people.matrix)
    design = (design - design.mean(axis=0)) / design.std(axis=0)
    return 0.2 * random.normal(size=REPLICATES) + 0.1 * design @ random.normal(size=(design.shape[1], REPLICATES))


@pytest.fixture
def fitted(toy_people: ToyPeople) -> Uncertainty:
    deviations = refits_in_the_basis(toy_people)
    return fit_uncertainty(deviations, toy_people.matrix, toy_people.weight, toy_people.encoder.columns)


def test_deviations_that_lie_in_the_basis_are_given_back_person_by_person(
    fitted: Uncertainty, toy_people: ToyPeople
) -> None:
    expected = np.sqrt((refits_in_the_basis(toy_people) ** 2).mean(axis=1))
    found = fitted.se(toy_people.matrix)
    # One percent of the variance may be left out of the table.
    assert np.average((found - expected) ** 2, weights=toy_people.weight) < 0.01 * np.average(
        expected**2, weights=toy_people.weight
    )
    assert fitted.loadings.shape[1] <= REPLICATES
    assert fitted.replicates == REPLICATES


def test_what_the_basis_does_not_hold_is_there_on_average(toy_people: ToyPeople) -> None:
    noise = 0.5 * np.random.default_rng(2).normal(size=(len(toy_people.case), 40))
    deviations = noise + 0.3
    found = fit_uncertainty(deviations, toy_people.matrix, toy_people.weight, toy_people.encoder.columns)
    mean_square = np.average((deviations**2).mean(axis=1), weights=toy_people.weight)
    assert np.average(found.se(toy_people.matrix) ** 2, weights=toy_people.weight) == pytest.approx(mean_square)
    assert found.base > 0.5 * 0.25


def test_a_person_has_the_same_standard_error_alone_and_among_others(
    fitted: Uncertainty, toy_people: ToyPeople
) -> None:
    together = fitted.se(toy_people.matrix)
    alone = np.concatenate([fitted.se(row[None, :]) for row in toy_people.matrix[:50]])
    np.testing.assert_array_equal(together[:50], alone)


def test_it_comes_back_from_a_file_to_the_last_bit(fitted: Uncertainty, toy_people: ToyPeople) -> None:
    again = Uncertainty.from_bytes(fitted.to_bytes(), n_columns=toy_people.matrix.shape[1])
    np.testing.assert_array_equal(again.se(toy_people.matrix), fitted.se(toy_people.matrix))
    assert again.replicates == fitted.replicates
    assert again.to_bytes() == fitted.to_bytes()
    assert len(fitted.to_bytes()) < 20_000


def damaged(fitted: Uncertainty) -> dict[str, bytes]:
    content = fitted.to_bytes()
    curved = next(index for index, term in enumerate(fitted.terms) if term.knots)
    fallen = replace(fitted.terms[curved], knots=fitted.terms[curved].knots[::-1])
    pickled = io.BytesIO()
    np.savez(pickled, loadings=np.array([{}], dtype=object))
    return {
        "nothing": b"",
        "cut short": content[: len(content) // 2],
        "a pickle": pickled.getvalue(),
        "not finite": replace(fitted, base=np.nan).to_bytes(),
        "negative": replace(fitted, factor=-1.0).to_bytes(),
        "another width": replace(fitted, centre=fitted.centre[1:]).to_bytes(),
        "falling knots": replace(
            fitted, terms=(*fitted.terms[:curved], fallen, *fitted.terms[curved + 1 :])
        ).to_bytes(),
    }


@pytest.mark.parametrize(
    "damage", ["nothing", "cut short", "a pickle", "not finite", "negative", "another width", "falling knots"]
)
def test_a_damaged_file_is_refused(fitted: Uncertainty, toy_people: ToyPeople, damage: str) -> None:
    with pytest.raises(MgRiskError) as caught:
        Uncertainty.from_bytes(damaged(fitted)[damage], n_columns=toy_people.matrix.shape[1])
    assert caught.value.code == "bundle.bad_model"


def test_a_file_for_other_columns_is_refused(fitted: Uncertainty, toy_people: ToyPeople) -> None:
    with pytest.raises(MgRiskError, match="other columns"):
        Uncertainty.from_bytes(fitted.to_bytes(), n_columns=toy_people.matrix.shape[1] + 1)

"""Step `explain`: interactions of features in trees, with the weighted development people as background."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import pytest

from mgrisk.explain.attributions import Explainer
from mgrisk.explain.groups import interaction_values, strongest_pairs, tree_parts
from mgrisk.model.bundle import Bundle
from mgrisk.pipeline import explain
from mgrisk.pipeline.workspace import SetOfPeople

if TYPE_CHECKING:
    from tests.conftest import ToyPeople


def explained(name: str, toy: ToyPeople, bundle: Bundle, which: np.ndarray) -> explain._Explained:
    """Explain some of the toy people as a set of a run."""
    design = toy.design.where(which)
    people = SetOfPeople(pd.DataFrame(), design, toy.y, toy.frame, np.flatnonzero(design.analysis_weight > 0))
    frame, X = bundle.encode(people.frame.iloc[people.inside])
    explainer = Explainer(bundle)
    return explain._Explained(name, people, X, explainer.explain_encoded(frame, X))


def test_pairs_are_those_of_the_held_out_people_against_the_weighted_development_people(
    toy_people: ToyPeople, toy_bundles: dict[str, Bundle]
) -> None:
    bundle = toy_bundles["xgboost"]
    early = toy_people.fold < 2
    development, held_out = (
        explained(name, toy_people, bundle, which) for name, which in (("development", early), ("held-out", ~early))
    )
    ((scale, booster),) = tree_parts(bundle.fitted)
    n = len(bundle.features)

    def pairs(weight: np.ndarray) -> list[dict[str, object]]:
        values = interaction_values(
            booster, owners=bundle.encoder.owners, n_players=n, background=development.X, weight=weight, X=held_out.X
        )
        return strongest_pairs(bundle.calibrator.slope * scale * values, bundle.features, held_out.people.design)

    found = explain._pairs("xgboost", bundle, development, held_out)
    assert len(found) > 1
    assert found == [{"learner": "xgboost", **pair, "problem": ""} for pair in pairs(development.weight)]
    assert pairs(development.weight) != pairs(np.ones(len(development.X))), "weights that do not matter test nothing"


@pytest.mark.parametrize("name", ["spline_logistic", "xgboost"])
def test_the_table_of_a_person_has_base_contributions_and_intervals_that_go_with_the_risk(
    name: str, toy_people: ToyPeople, toy_bundles: dict[str, Bundle]
) -> None:
    bundle = toy_bundles[name]
    # The table is keyed by SEQN, and the people of the toy survey have none.
    everybody = explained("held-out", toy_people, bundle, np.ones(len(toy_people.y), dtype=bool))
    rows = pd.DataFrame({"SEQN": np.arange(len(toy_people.y))})
    people = replace(everybody.people, rows=rows)
    table = explain._table(bundle, replace(everybody, people=people))
    names = [feature.name for feature in bundle.features]
    found = bundle.predict(everybody.X)
    np.testing.assert_allclose(table[["base_value", *names]].sum(axis=1), found.log_odds, atol=1e-5)
    np.testing.assert_array_equal(table["SEQN"], toy_people.inside)
    low, high = bundle.interval_of_inputs(found)
    np.testing.assert_array_equal(table[["risk_low_inputs", "risk_high_inputs"]].to_numpy().T, [low, high])
    assert explain._additivity_error(bundle, everybody) < 1e-5
    assert (table["base_value"].nunique() > 3) == (name == "spline_logistic")


@pytest.mark.parametrize("name", ["spline_logistic"])
def test_a_learner_without_trees_has_no_pairs(name: str, toy_people: ToyPeople, toy_bundles: dict[str, Bundle]) -> None:
    everybody = explained("held-out", toy_people, toy_bundles[name], np.ones(len(toy_people.y), dtype=bool))
    assert all(not pair["problem"] for pair in explain._pairs(name, toy_bundles[name], everybody, everybody))

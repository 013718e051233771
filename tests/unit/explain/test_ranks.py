"""Ranks over redrawn PSUs: what is far apart keeps its place, what is close changes it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
from scipy.stats import rankdata

from mgrisk.explain.attributions import Explanation
from mgrisk.explain.ranks import rank_ranges
from mgrisk.survey.bootstrap import rao_wu

if TYPE_CHECKING:
    from tests.conftest import ToyPeople


@pytest.fixture
def explanation(toy_people: ToyPeople) -> Explanation:
    """Six features: one far ahead, one that does nothing, four alike."""
    data = toy_people.frame.iloc[toy_people.inside]
    values = np.random.default_rng(4).normal(size=(len(data), len(toy_people.features)))
    values[:, 2] *= 5
    values[:, 4] = 0.0
    return Explanation(values, -2.0, toy_people.features, data)


def test_what_is_far_ahead_keeps_its_place_and_neighbours_change_theirs(
    toy_people: ToyPeople, explanation: Explanation
) -> None:
    found = rank_ranges(explanation, toy_people.design)
    assert [record["feature"] for record in found] == [feature.name for feature in toy_people.features]
    assert (found[2]["rank"], found[2]["rank_low"], found[2]["rank_high"], found[2]["among_first"]) == (1, 1, 1, 1)
    assert (found[4]["rank"], found[4]["rank_low"], found[4]["rank_high"], found[4]["among_first"]) == (6, 6, 6, 0)
    alike = [found[place] for place in (0, 1, 3, 5)]
    assert all(record["rank_low"] <= record["rank"] <= record["rank_high"] for record in alike)
    assert any(record["rank_low"] < record["rank_high"] for record in alike)


def test_ranges_are_those_of_the_ranks_computed_one_replicate_after_the_other(
    toy_people: ToyPeople, explanation: Explanation
) -> None:
    ranks = [
        rankdata(-np.average(np.abs(explanation.values), axis=0, weights=weight[toy_people.inside]))
        for weight in rao_wu(toy_people.design, replicates=40, seed=7).weights()
    ]
    found = rank_ranges(explanation, toy_people.design, replicates=40, seed=7, level=0.9999)
    assert [record["rank_low"] for record in found] == np.min(ranks, axis=0).tolist()
    assert [record["rank_high"] for record in found] == np.max(ranks, axis=0).tolist()
    assert [record["among_first"] for record in found] == pytest.approx(np.mean(np.array(ranks) <= 3, axis=0).tolist())

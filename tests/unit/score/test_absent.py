"""Uncertainty from absent inputs: counts add up, and gains are reductions of the model's variance."""

from __future__ import annotations

import numpy as np
import pytest
from tests.conftest import ToyPeople

from mgrisk.model.additive import Additive
from mgrisk.model.bundle import Bundle
from mgrisk.score import absent as module
from mgrisk.score.absent import AbsentSets, gains


def values(n: int, seed: int = 1) -> np.ndarray:
    random = np.random.default_rng(seed)
    return np.where(random.random((6, n)) < 0.4, np.nan, 1.0)


def test_scored_rows_are_counted_by_what_they_lack() -> None:
    table = np.array([[1.0, 1.0, np.nan, np.nan], [1.0, 1.0, 2.0, np.nan]])
    found = AbsentSets.of(table, np.array([True, True, True, False]))
    assert [(absent.tolist(), count) for absent, count in found.sets(2)] == [([False, False], 2), ([True, False], 1)]
    assert AbsentSets.of(table, np.zeros(4, dtype=bool)) == AbsentSets({})


def test_counts_do_not_depend_on_blocks_even_where_not_all_sets_are_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "KEPT", 7)
    table, scored = values(500), np.ones(500, dtype=bool)
    whole = AbsentSets.of(table, scored)
    parts = [AbsentSets.of(table[:, at : at + 90], scored[at : at + 90]) for at in range(0, 500, 90)]
    assert sum(parts[1:], parts[0]) == sum(parts[:-1], parts[-1]) == whole
    assert len(whole.rows) == 7
    every = {absent.tobytes(): count for absent, count in whole.sets(6)}
    # Of the sets that are kept all rows are counted.
    for key, count in every.items():
        assert count == (np.isnan(table) == np.frombuffer(key, dtype=bool)[:, None]).all(axis=0).sum()


def test_a_gain_is_the_share_of_the_unknown_variance_that_knowing_the_input_removes(
    toy_bundles: dict[str, Bundle], toy_people: ToyPeople
) -> None:
    bundle = toy_bundles["spline_logistic"]
    model, names = bundle.fitted, [feature.name for feature in bundle.features]
    assert isinstance(model, Additive)
    some, one = np.isin(names, ["bmi_kg_m2", "smoking"]), np.isin(names, ["bmi_kg_m2"])
    sets = AbsentSets({np.packbits(some).tobytes().hex(): 3, np.packbits(one).tobytes().hex(): 1})
    found = {gain.name: gain for gain in gains(bundle, sets)}
    unknown = 3 * model.unknown(some) + model.unknown(one)
    smoking_known = 3 * model.unknown(one) + model.unknown(one)
    assert found["smoking"].removes == pytest.approx((unknown - smoking_known) / unknown, rel=1e-9)
    assert (found["smoking"].absent, found["bmi_kg_m2"].absent) == (0.75, 1.0)
    assert gains(bundle, sets)[0].name == max(found, key=lambda name: found[name].removes)


def test_nothing_is_said_where_nothing_is_absent_or_the_model_cannot_tell(toy_bundles: dict[str, Bundle]) -> None:
    nothing = AbsentSets({"00": 5})
    assert gains(toy_bundles["spline_logistic"], nothing) == []
    assert gains(toy_bundles["xgboost"], AbsentSets({"40": 5})) == []

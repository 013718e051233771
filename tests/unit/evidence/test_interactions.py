from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import pytest

from mgrisk.evidence.interactions import MODIFIERS, holm, interactions
from mgrisk.evidence.people import Panel
from mgrisk.evidence.record import Evidence
from mgrisk.features.registry import FEATURES


@pytest.fixture(scope="module")
def panel(draw_eaters: Callable[..., Any]) -> tuple[Panel, Any]:
    eaters = draw_eaters(np.random.default_rng(31), n=5000)
    random = np.random.default_rng(32)
    male = (eaters.panel.frame["sex"] == "male").to_numpy()
    # Twice the slope in men.
    more = eaters.panel.outcomes["homa_ir"] - 0.3 * male * (eaters.usual[:, 0] / 100.0 - 3.0)
    frame = eaters.panel.frame.assign(
        bmi_kg_m2=random.normal(27, 4, 5000),
        family_history_diabetes=random.choice(["no", "yes"], 5000),
        activity_met_min_week=random.gamma(1.0, 800.0, 5000),
        magnesium_depletion_score=np.where(random.random(5000) < 0.1, np.nan, random.integers(0, 4, 5000)),
    )
    columns = {**eaters.panel.columns, "sex": male.astype(float)[:, None]}
    columns["family"] = (frame["family_history_diabetes"] == "yes").to_numpy(dtype=float)[:, None]
    rung = eaters.rung.model_copy(update={"all_terms": ("age", "sex", "family")})
    amounts = {
        **eaters.panel.amounts,
        "fibre": eaters.panel.amounts["energy"] * random.lognormal(0, 0.3, (5000, 2)) / 125,
    }
    found = replace(eaters.panel, frame=frame, columns=columns, amounts=amounts, outcomes={"homa_ir": more})
    return found, rung


@pytest.fixture(scope="module")
def table(panel: tuple[Panel, Any]) -> pd.DataFrame:
    people, rung = panel
    return Evidence(tuple(interactions(people, ["homa_ir"], rung=rung))).frame()


def test_every_modifier_is_there_without_a_problem(table: pd.DataFrame) -> None:
    assert (table["problem"] == "").all()
    assert table["p_adjusted"].notna().sum() == len(MODIFIERS)
    for modifier in MODIFIERS.values():
        assert table["contrast"].str.startswith(modifier.label).any()


def test_a_true_difference_is_found_and_the_slopes_are_those_of_the_groups(table: pd.DataFrame) -> None:
    men = table[table["contrast"].str.startswith("Men")].set_index("contrast")
    assert np.log(men.loc["Men: no", "estimate"]) == pytest.approx(-0.3, abs=0.1)
    assert np.log(men.loc["Men: yes", "estimate"]) == pytest.approx(-0.6, abs=0.1)
    assert men.loc["Men: yes against no", "p_adjusted"] < 0.01
    ratio = men.loc["Men: yes", "estimate"] / men.loc["Men: no", "estimate"]
    assert men.loc["Men: yes against no", "estimate"] == pytest.approx(ratio)


def test_where_there_is_none_the_corrected_p_is_large(table: pd.DataFrame) -> None:
    others = table[table["p_adjusted"].notna() & ~table["contrast"].str.startswith("Men")]
    assert (others["p_adjusted"] > 0.05).all()


def test_people_of_unknown_group_are_left_out_of_that_comparison(table: pd.DataFrame) -> None:
    n = table[table["contrast"].str.contains("depletion")]["n"]
    assert (n < 4700).all()
    assert (table[table["contrast"].str.startswith("Men")]["n"] == 5000).all()


def test_holm_is_that_of_r() -> None:
    # p.adjust(c(0.01, 0.02, 0.03, 0.04, 0.9), "holm"), R 4.2.2
    assert holm([0.01, 0.02, 0.03, 0.04, 0.9]) == pytest.approx([0.05, 0.08, 0.09, 0.09, 0.9])


def test_every_modifier_names_what_it_reads() -> None:
    for modifier in MODIFIERS.values():
        assert bool(modifier.feature) != bool(modifier.nutrient)
        if modifier.feature:
            assert modifier.feature in FEATURES
            assert (modifier.at_least is None) == bool(modifier.equals)

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mgrisk.evidence.swaps import SWAPS, swaps_for


def test_a_swap_keeps_the_energy_and_adds_magnesium() -> None:
    for swap in SWAPS:
        assert swap.grams_of_other * swap.into.kcal == pytest.approx(swap.grams * swap.out.kcal)
        assert swap.gain_mg > 20.0
        assert 10.0 < swap.grams_of_other < 250.0


@given(st.floats(0.0, 1000.0))
def test_the_fewest_swaps_reach_the_gap_where_all_of_them_can(gap: float) -> None:
    chosen = swaps_for(gap)
    gained = sum(swap.gain_mg for swap in chosen)
    assert gained >= gap or chosen == SWAPS
    if chosen:
        assert gained - chosen[-1].gain_mg < gap


def test_a_sentence_has_grams_and_milligrams() -> None:
    assert SWAPS[0].sentence == (
        "176 g of black beans, cooked from dried in place of 85 g of ground beef patty: 106 mg more at the same energy"
    )

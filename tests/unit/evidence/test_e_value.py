from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mgrisk.evidence.e_value import e_value, of_the_limit, risk_ratio


def test_the_published_example() -> None:
    # VanderWeele and Ding (2017): RR 3.9 (1.8 to 8.7), breast-feeding and respiratory death.
    assert e_value(3.9) == pytest.approx(7.26, abs=0.005)
    assert of_the_limit(1.8, 8.7) == pytest.approx(3.0, abs=0.005)


@given(st.floats(0.05, 20.0))
def test_a_ratio_and_its_inverse_need_the_same_confounder(ratio: float) -> None:
    assert e_value(ratio) == pytest.approx(e_value(1.0 / ratio))
    assert e_value(ratio) >= max(ratio, 1.0 / ratio)


def test_an_interval_that_holds_1_needs_none() -> None:
    assert of_the_limit(0.9, 1.1) == 1.0
    assert of_the_limit(0.5, 0.8) == pytest.approx(e_value(0.8))


def test_an_odds_ratio_of_a_common_outcome_is_brought_nearer_to_1() -> None:
    assert risk_ratio(0.49, share=0.4) == pytest.approx(0.7)
    assert risk_ratio(0.49, share=0.05) == 0.49

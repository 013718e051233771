from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mgrisk.evidence.cross_products import CrossProducts

RANDOM = np.random.default_rng(3)
ROWS = RANDOM.normal(size=(40, 3))
WEIGHT = RANDOM.uniform(1.0, 5.0, 40)


@given(st.lists(st.integers(0, 39), max_size=40), st.floats(0.0, 3.0))
def test_other_weights_give_what_summing_anew_gives(changed: list[int], factor: float) -> None:
    other = WEIGHT.copy()
    other[changed] *= factor
    anew = (ROWS * other[:, None]).T @ ROWS
    assert CrossProducts(ROWS, WEIGHT).at(other) == pytest.approx(anew, rel=1e-10, abs=1e-9)

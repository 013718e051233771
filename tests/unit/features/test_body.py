"""Body measures are taken as measured; body mass index can be had from height and weight."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mgrisk.features import body

NAN = float("nan")


@pytest.mark.parametrize(
    ("feature", "variable"),
    [("height_cm", "BMXHT"), ("weight_kg", "BMXWT"), ("bmi_kg_m2", "BMXBMI"), ("waist_cm", "BMXWAIST")],
)
def test_a_measure_is_its_own_variable(feature: str, variable: str) -> None:
    raw = pd.DataFrame({"BMXHT": [1.0, NAN], "BMXWT": [2.0, NAN], "BMXBMI": [3.0, NAN], "BMXWAIST": [4.0, NAN]})
    np.testing.assert_array_equal(getattr(body, feature)(raw), raw[variable])


def test_body_mass_index_is_in_kilograms_over_square_metres() -> None:
    # WHO: 1.80 m and 81 kg are 25 kg/m2.
    given_frame = pd.DataFrame({"weight_kg": [81.0, NAN, 81.0], "height_cm": [180.0, 180.0, NAN]})
    np.testing.assert_allclose(body.derive_bmi_kg_m2(given_frame), [25.0, NAN, NAN], rtol=1e-15)


@given(height=st.floats(100, 250), weight=st.floats(20, 400), factor=st.floats(0.5, 2))
def test_body_mass_index_grows_with_weight_and_falls_with_the_square_of_height(
    height: float, weight: float, factor: float
) -> None:
    frame = pd.DataFrame(
        {"weight_kg": [weight, weight * factor, weight], "height_cm": [height, height, height * factor]}
    )
    plain, heavier, taller = body.derive_bmi_kg_m2(frame)
    np.testing.assert_allclose([heavier / plain, taller / plain], [factor, factor**-2], rtol=1e-12)

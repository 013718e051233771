from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mgrisk.errors import MgRiskError
from mgrisk.survey.design import SurveyDesign
from mgrisk.survey.quantiles import quantile, weighted_quantile


@pytest.mark.parametrize(
    ("name", "fixture", "probability"),
    [("median_full", "full", 0.5), ("median_domain", "part", 0.5), ("quantile90_domain", "part", 0.9)],
)
def test_quantile_and_woodruff_interval_are_those_of_r(
    name: str,
    fixture: str,
    probability: float,
    toy: pd.DataFrame,
    golden: dict[str, Any],
    request: pytest.FixtureRequest,
) -> None:
    ours = quantile(toy["amount"], request.getfixturevalue(fixture), probability=probability)
    theirs = golden[name]
    assert (ours.estimate, ours.low, ours.high) == (theirs["estimate"], theirs["low"], theirs["high"])
    assert ours.se == pytest.approx(theirs["se"], rel=1e-8)
    assert ours.df == theirs["df"]


def test_a_bound_beyond_the_sample_is_undefined(toy: pd.DataFrame, part: SurveyDesign) -> None:
    top = quantile(toy["amount"], part, probability=0.995)
    assert np.isnan(top.high)
    assert top.low <= top.estimate


samples = st.lists(st.tuples(st.integers(-5, 5), st.integers(1, 4)), min_size=1, max_size=30)


@settings(deadline=None)  # machines are shared
@given(samples, st.sampled_from([0.05, 0.25, 0.5, 0.75, 0.9]), st.sampled_from([1e-3, 7.0, 1e6]))
def test_doubled_rows_are_doubled_weights_whatever_their_scale(
    sample: list[tuple[int, int]], probability: float, scale: float
) -> None:
    values, counts = (np.array(column, dtype=float) for column in zip(*sample, strict=True))
    repeated = np.repeat(values, counts.astype(int))
    ours = weighted_quantile(values, counts * scale, [probability])
    assert ours == weighted_quantile(repeated, np.ones(repeated.size), [probability])
    assert ours == np.quantile(repeated, probability, method="inverted_cdf")


def test_values_without_weight_do_not_count() -> None:
    assert weighted_quantile([np.nan, 1.0, 9.0], [0.0, 1.0, 0.0], [0.9]).tolist() == [1.0]


@pytest.mark.parametrize("probability", [0.0, 1.0, 50.0, np.nan])
def test_a_probability_outside_0_and_1_is_refused(probability: float) -> None:
    with pytest.raises(MgRiskError) as caught:
        weighted_quantile([1.0], [1.0], [probability])
    assert caught.value.code == "design.bad_probability"

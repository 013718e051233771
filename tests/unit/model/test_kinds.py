"""Reading a model back: its files say which kind it is, and a sum holds no sums."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import numpy as np
import pytest

from mgrisk.errors import MgRiskError
from mgrisk.model.kinds import read_fitted

if TYPE_CHECKING:
    from tests.conftest import ToyPeople

    from mgrisk.model.bundle import Bundle


@pytest.mark.parametrize("name", ["spline_logistic", "xgboost", "shapes", "blend"])
def test_each_kind_gives_its_margins_back_bit_for_bit(
    toy_bundles: dict[str, Bundle], toy_people: ToyPeople, name: str
) -> None:
    fitted = toy_bundles[name].fitted
    back = read_fitted(fitted.to_files(), n_columns=toy_people.matrix.shape[1], threads=1)
    assert type(back) is type(fitted)
    np.testing.assert_array_equal(back.margin(toy_people.matrix), fitted.margin(toy_people.matrix))


def test_files_of_no_known_kind_are_refused() -> None:
    with pytest.raises(MgRiskError) as caught:
        read_fitted({"model.pkl": b"x"}, n_columns=1, threads=1)
    assert caught.value.code == "bundle.bad_model"


def test_a_sum_within_a_sum_is_refused() -> None:
    scales = json.dumps({"intercept": 0.0, "scales": [1.0]}).encode()
    with pytest.raises(MgRiskError) as caught:
        read_fitted({"sum.json": scales, "part-0-sum.json": scales}, n_columns=1, threads=1)
    assert caught.value.code == "bundle.bad_model"

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pytest

from mgrisk.errors import MgRiskError
from mgrisk.survey.bootstrap import rao_wu
from mgrisk.survey.design import SurveyDesign
from mgrisk.survey.replicated import replicated
from mgrisk.survey.variance import Replicates, jackknife, replicate_variance

KINDS: dict[str, Callable[[SurveyDesign], Replicates]] = {
    "JKn": jackknife,
    "bootstrap": lambda design: rao_wu(design, replicates=50, seed=7),
}


def test_a_jackknifed_mean_is_that_of_r(toy: pd.DataFrame, part: SurveyDesign, golden: dict[str, Any]) -> None:
    values = toy["amount"].to_numpy()
    found = replicated(lambda weight: np.average(values, weights=weight), jackknife(part))
    assert found.estimate[0] == pytest.approx(golden["jackknife_mean_domain"]["estimate"], rel=1e-10)
    assert found.se[0] == pytest.approx(golden["jackknife_mean_domain"]["se"], rel=1e-8)


@pytest.mark.parametrize("kind", KINDS)
def test_both_kinds_of_replicate_share_one_interface(kind: str, toy: pd.DataFrame, part: SurveyDesign) -> None:
    columns = toy[["amount", "x1"]].to_numpy()
    replicates = KINDS[kind](part)
    found = replicated(lambda weight: np.average(columns, weights=weight, axis=0), replicates)
    assert found.replicates.shape == (len(replicates), 2)
    np.testing.assert_allclose(
        np.diag(found.covariance), replicate_variance(found.estimate, found.replicates, replicates.scale)
    )
    assert found.to_dict()["method"] == kind
    assert found.frame()["df"].tolist() == [part.df, part.df]


def test_the_covariance_knows_that_two_numbers_move_together(toy: pd.DataFrame, part: SurveyDesign) -> None:
    values = toy["amount"].to_numpy()

    def twice(weight: np.ndarray) -> list[float]:
        middle = float(np.average(values, weights=weight))
        return [middle, 3.0 * middle]

    covariance = replicated(twice, jackknife(part)).covariance
    np.testing.assert_allclose(covariance[0, 1], 3.0 * covariance[0, 0])


def test_an_undefined_replicate_leaves_the_error_undefined(part: SurveyDesign) -> None:
    calls = iter(range(100))
    found = replicated(lambda _: np.nan if next(calls) == 3 else 1.0, jackknife(part))
    assert np.isnan(found.se[0])


def test_replicates_with_more_numbers_than_the_full_sample_are_refused(part: SurveyDesign) -> None:
    calls = iter(range(100))
    with pytest.raises(MgRiskError) as caught:
        replicated(lambda _: np.zeros(1 + (next(calls) > 0)), jackknife(part))
    assert caught.value.code == "replicated.shape"

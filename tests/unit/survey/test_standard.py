"""The standard population: the published shares of the age groups in reports of NCHS."""

from __future__ import annotations

import numpy as np
import pytest

from mgrisk.errors import MgRiskError
from mgrisk.survey.standard import US_2000, age_group, standard_population

# Klein and Schoenborn (2001), Statistical Notes 20: the whole population, and the shares of distributions in table 2.
WHOLE = 274_634.0
PRINTED = {
    (20, 40, 60): [0.3966, 0.3718, 0.2316],
    (18, 45, 65, 75): [0.530535, 0.299194, 0.088967, 0.081304],
    (0, 1, 5, 15, 25, 35, 45, 55, 65, 75, 85): [
        0.013818, 0.055317, 0.145565, 0.138646, 0.135573, 0.162613, 0.134834, 0.087247, 0.066037, 0.044842, 0.015508,
    ],
}  # fmt: skip


def test_the_population_is_that_of_nchs() -> None:
    assert sum(US_2000.values()) == WHOLE


@pytest.mark.parametrize("starts", PRINTED)
def test_shares_of_age_groups_are_those_that_nchs_prints(starts: tuple[int, ...]) -> None:
    sizes = list(standard_population(starts).values())
    assert [size / sum(sizes) for size in sizes] == pytest.approx(PRINTED[starts], abs=5e-5)


def test_ages_fall_into_their_groups() -> None:
    groups = age_group([17.9, 18.0, 39.0, 40.0, 59.0, 60.0, 80.0, np.nan], (18, 40, 60))
    assert groups.fillna("none").tolist() == ["none", "18-39", "18-39", "40-59", "40-59", "60+", "60+", "none"]
    assert set(groups.dropna()) == set(standard_population((18, 40, 60)))


@pytest.mark.parametrize("starts", [(), (40, 20), (20, 20), (21, 40)])
def test_groups_that_the_published_population_has_not_are_refused(starts: tuple[int, ...]) -> None:
    with pytest.raises(MgRiskError) as caught:
        standard_population(starts)
    assert caught.value.code == "survey.standard"

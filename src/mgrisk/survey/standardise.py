"""Directly standardised means and shares: what they would be in a population of a standard age distribution."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

from mgrisk.errors import bad_input
from mgrisk.survey.design import WHERE, SurveyDesign
from mgrisk.survey.estimates import Estimate, complete_values
from mgrisk.survey.intervals import t_quantile
from mgrisk.survey.variance import missing_values, taylor_covariance

US_2000: Final[Mapping[str, float]] = MappingProxyType({"20-39": 77_670.0, "40-59": 72_816.0, "60+": 45_364.0})
"""Projected US population of the year 2000 in thousands, by age in years: shares .3966, .3718 and .2316.

Klein and Schoenborn (2001), NCHS Statistical Notes 20, for the age groups of NCHS Data Briefs on adults of 20 and over;
the same numbers stand in the example of `svystandardize` in the R package survey 4.1.1.
"""


def us_2000_age_group(age_years: ArrayLike) -> pd.Series:
    """Return the group of `US_2000` of each age in years; missing below 20 and where the age is missing.

    Examples
    --------
    >>> us_2000_age_group([19, 20, 59, 60]).tolist()
    [nan, '20-39', '40-59', '60+']
    """
    ages = np.asarray(age_years, dtype=np.float64)
    groups = pd.cut(ages, [20.0, 40.0, 60.0, np.inf], right=False, labels=list(US_2000))
    return pd.Series(groups).astype(object)


def standardised_mean(
    values: ArrayLike,
    groups: ArrayLike,
    design: SurveyDesign,
    *,
    standard: Mapping[str, float] = US_2000,
    level: float = 0.95,
) -> Estimate:
    """Estimate the mean of the groups' means, weighted by a standard population (direct standardisation).

    Parameters
    ----------
    values
        Shape (n,), any unit, or 0 and 1 for a share; ignored outside the domain.
    groups
        Group of each person, shape (n,), a name of `standard`; ignored outside the domain.
    design
        The full design with its domain.
    standard
        Size of each group in the standard population, in any unit.
    level
        Confidence level.

    Returns
    -------
    Estimate
        With an interval on t. The standard population has no sampling error.

    Raises
    ------
    MgRiskError
        ``design.missing_values`` for a missing value or group in the domain, ``standard.unknown_group``,
        ``standard.empty_group`` for a group of the standard without people in the domain, and as `estimates.mean`.

    Notes
    -----
    The variance is that of the fixed combination of the group means, as SUDAAN and NCHS have it:
    ``svycontrast(svyby(~y, ~group, design, svymean, covmat = TRUE), shares)`` of the R package survey. R's
    `svystandardize` takes the adjusted weights as given, which is slightly different, as its manual says.

    Examples
    --------
    >>> from mgrisk.survey.design import WeightLevel
    >>> design = SurveyDesign([1.0] * 8, [1, 1, 1, 1, 2, 2, 2, 2], [1, 1, 2, 2] * 2, WeightLevel.EXAM)
    >>> standardised_mean([0.0, 4.0] * 4, ["old", "young"] * 4, design, standard={"old": 3, "young": 1}).estimate
    1.0
    """
    array = complete_values(values, design)
    inside = design.analysis_weight > 0
    label = pd.Series(np.asarray(groups, dtype=object))
    if len(label) != len(design):
        raise bad_input(
            "design.bad_length",
            "groups have the wrong length",
            where=WHERE,
            hint="give one group for each row of the full design, outside the domain too",
            expected=str(len(design)),
            got=str(len(label)),
        )
    missing = label.isna().to_numpy() & inside
    if missing.any():
        raise missing_values(int(missing.sum()))
    strangers = set(label[inside]) - set(standard)
    if strangers:
        raise bad_input(
            "standard.unknown_group",
            "a group of the domain is not in the standard population",
            where=WHERE,
            hint="leave it out of the domain, or add it to the standard",
            expected=", ".join(standard),
            got=", ".join(sorted(map(str, strangers))),
        )
    whole = float(sum(standard.values()))
    estimate, scores = 0.0, np.zeros(len(design))
    for name, size in standard.items():
        member = (label == name).to_numpy() & inside
        weight = design.analysis_weight[member]
        if not member.any():
            raise bad_input(
                "standard.empty_group",
                f"nobody in the domain is in the group {name} of the standard population",
                where=WHERE,
                hint="a standard with fewer groups, or a wider domain",
            )
        of_group = float(weight @ array[member]) / float(weight.sum())
        share = size / whole
        estimate += share * of_group
        scores[member] = share * (array[member] - of_group) / float(weight.sum())
    se = float(np.sqrt(taylor_covariance(scores, design)[0, 0]))
    half = t_quantile(level, design.df) * se
    return Estimate(estimate, se, estimate - half, estimate + half, design.n, design.df)

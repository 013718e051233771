"""Pearson's chi-square test of independence with the Rao-Scott correction."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike
from scipy.special import fdtrc

from mgrisk.errors import bad_input
from mgrisk.survey.design import WHERE, SurveyDesign
from mgrisk.survey.estimates import wrong_length
from mgrisk.survey.variance import missing_values, taylor_covariance
from mgrisk.types import Floats, Integers


@dataclass(frozen=True)
class ChiSquareTest:
    """Test of independence of two categorical variables.

    Parameters
    ----------
    statistic
        Pearson's chi-square divided by its expectation under the design, an F statistic.
    numerator, denominator
        Degrees of freedom of F, not necessarily integers.
    p
        P value; NaN without degrees of freedom of the design.
    n
        Number of people in the domain with a positive weight.
    """

    statistic: float
    numerator: float
    denominator: float
    p: float
    n: int

    def to_dict(self) -> dict[str, Any]:
        """Return the fields as a plain dict."""
        return asdict(self)


def chi_square(
    rows: Sequence[object] | ArrayLike, columns: Sequence[object] | ArrayLike, design: SurveyDesign
) -> ChiSquareTest:
    """Test whether two categorical variables are independent in the domain.

    Parameters
    ----------
    rows, columns
        Categories of each person, each of shape (n,); ignored outside the domain.
    design
        The full design with its domain.

    Returns
    -------
    ChiSquareTest

    Raises
    ------
    MgRiskError
        ``design.bad_length``; ``design.missing_values`` for a missing category in the domain;
        ``chi_square.one_category`` if a variable has a single category there; ``chi_square.empty_cells`` if too many
        combinations are empty; ``design.single_psu``.

    Notes
    -----
    Rao and Scott (1984), Ann. Stat. 12:46, second-order correction, with observed shares in the design effects:
    ``svychisq(statistic = "F")`` of the R package survey.

    Examples
    --------
    >>> from mgrisk.survey.design import WeightLevel
    >>> design = SurveyDesign([1.0] * 8, [1, 1, 1, 1, 2, 2, 2, 2], [1, 1, 2, 2] * 2, WeightLevel.EXAM)
    >>> found = chi_square(["a", "b"] * 4, [0, 0, 0, 1, 1, 0, 1, 1], design)
    >>> round(found.statistic, 4), found.numerator, found.denominator
    (0.0, 1.0, 2.0)
    """
    inside = design.analysis_weight > 0
    (row, n_rows), (column, n_columns) = _codes(rows, inside, design), _codes(columns, inside, design)
    cells = np.zeros((len(design), n_rows * n_columns))
    cells[inside, (row * n_columns + column)[inside]] = 1.0
    weight = design.analysis_weight / design.analysis_weight.sum()
    share = weight @ cells
    covariance = taylor_covariance((cells - share) / design.analysis_weight.sum(), design)
    table = share.reshape(n_rows, n_columns)
    expected = np.outer(table.sum(axis=1), table.sum(axis=0))
    pearson = float(((table - expected) ** 2 / expected).sum())
    # Contrasts of log shares for the interaction of a loglinear model.
    contrasts = np.kron(_contrasts(n_rows), _contrasts(n_columns))
    per_share = contrasts / np.where(share > 0, share, np.inf)[:, None]
    simple = contrasts.T @ per_share
    if np.linalg.matrix_rank(simple) < len(simple):
        raise bad_input(
            "chi_square.empty_cells",
            "too many combinations of two categories are empty",
            where=f"{WHERE}: {int((share == 0).sum())} of {share.size}",
            hint="combine some of the categories",
        )
    effects = np.linalg.solve(simple, per_share.T @ covariance @ per_share)
    whole = float(np.trace(effects))
    numerator = whole**2 / float(np.trace(effects @ effects))
    denominator = numerator * design.df
    p = float(fdtrc(numerator, denominator, pearson / whole)) if design.df > 0 else float("nan")
    return ChiSquareTest(pearson / whole, numerator, denominator, p, design.n)


def _codes(categories: Sequence[object] | ArrayLike, inside: Any, design: SurveyDesign) -> tuple[Integers, int]:
    """Return the code of each person's category (0 outside the domain), and the number of categories in the domain."""
    series = pd.Series(np.asarray(categories, dtype=object))
    if len(series) != len(design):
        raise wrong_length(series.shape, design)
    if (missing := int((series.isna().to_numpy() & inside).sum())) > 0:
        raise missing_values(missing)
    codes, found = pd.factorize(series.where(inside))
    if len(found) < 2:
        raise bad_input(
            "chi_square.one_category",
            "a test of independence needs two categories or more",
            where=WHERE,
            hint="use a larger domain",
            got=", ".join(map(str, found)) or "nobody",
        )
    return np.maximum(codes, 0), len(found)


def _contrasts(k: int) -> Floats:
    return np.eye(k)[:, 1:] - 1.0 / k

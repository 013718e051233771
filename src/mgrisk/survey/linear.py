"""Design-weighted linear regression."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from mgrisk.survey.design import SurveyDesign
from mgrisk.survey.regression import RegressionFit, column_sizes, rows_in_domain
from mgrisk.survey.variance import taylor_covariance


def fit_linear(X: ArrayLike, y: ArrayLike, design: SurveyDesign) -> RegressionFit:
    """Fit a linear regression to the domain by weighted least squares, with design-based standard errors.

    Parameters
    ----------
    X
        Design matrix with its column of ones, shape (n, p). Rows outside the domain may hold anything.
    y
        Outcome in any unit, shape (n,).
    design
        The full design with its domain.

    Returns
    -------
    RegressionFit
        Coefficients in units of the outcome per unit of each column.

    Raises
    ------
    MgRiskError
        ``design.bad_length``, ``design.empty_domain``, ``design.missing_values``, ``linear.rank``,
        ``design.single_psu``.

    Notes
    -----
    Binder (1983), Int. Stat. Rev. 51:279: the same numbers as ``svyglm(family = gaussian())`` of the R package
    survey. The covariance is that of the totals of the influence function (y - fitted) x (X'WX)^-1; it asks neither
    for equal variances nor for a true straight line.

    Examples
    --------
    >>> from mgrisk.survey.design import WeightLevel
    >>> design = SurveyDesign([1.0] * 8, [1, 1, 1, 1, 2, 2, 2, 2], [1, 1, 2, 2] * 2, WeightLevel.EXAM)
    >>> x = np.arange(8.0)
    >>> fit_linear(np.column_stack((np.ones(8), x)), 3.0 + 2.0 * x, design).coefficients.round(6).tolist()
    [3.0, 2.0]
    """
    inside, rows, outcome, _ = rows_in_domain(X, y, design)
    weight = design.analysis_weight[inside]
    share = weight / weight.sum()
    size = column_sizes(rows, share, kind="linear")
    Z = rows / size
    # Least squares on the rows and not on their cross products, which would lose half of the digits.
    root = np.sqrt(share)
    scaled, *_ = np.linalg.lstsq(Z * root[:, None], outcome * root, rcond=None)
    residual = outcome - Z @ scaled
    information = (Z * share[:, None]).T @ Z * weight.sum()
    influence = np.zeros((len(design), rows.shape[1]))
    influence[inside] = np.linalg.solve(information, (Z * residual[:, None]).T).T / size
    return RegressionFit(scaled / size, taylor_covariance(influence, design), design.df, design.n)

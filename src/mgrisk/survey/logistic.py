"""Design-weighted logistic regression."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import expit

from mgrisk.errors import bad_input
from mgrisk.survey.design import WHERE, SurveyDesign
from mgrisk.survey.regression import RegressionFit, column_sizes, rows_in_domain
from mgrisk.survey.variance import taylor_covariance

Floats = NDArray[np.float64]
MAX_ITERATIONS = 50


def fit_logistic(X: ArrayLike, y: ArrayLike, design: SurveyDesign, *, offset: ArrayLike | None = None) -> RegressionFit:
    """Fit a logistic regression to the domain, with design-based standard errors.

    Parameters
    ----------
    X
        Design matrix with its column of ones, shape (n, p). Rows outside the domain may hold anything.
    y
        Outcome, 0 or 1, shape (n,).
    design
        The full design with its domain.
    offset
        Known part of the linear predictor, log odds, shape (n,).

    Returns
    -------
    RegressionFit

    Raises
    ------
    MgRiskError
        ``design.bad_length``, ``design.empty_domain``, ``design.missing_values``, ``logistic.bad_outcome``,
        ``logistic.rank``, ``logistic.not_converged`` (separation), ``design.single_psu``.

    Notes
    -----
    Binder (1983), Int. Stat. Rev. 51:279: the same numbers as ``svyglm(family = quasibinomial())`` of the R
    package survey. The covariance is that of the totals of the influence function (y - p) x A^-1, where A is
    the information.

    Examples
    --------
    >>> from mgrisk.survey.design import WeightLevel
    >>> design = SurveyDesign([1.0] * 8, [1, 1, 1, 1, 2, 2, 2, 2], [1, 1, 2, 2] * 2, WeightLevel.EXAM)
    >>> fit = fit_logistic(np.ones((8, 1)), [0, 1, 0, 1, 0, 0, 0, 0], design)
    >>> round(float(fit.coefficients[0]), 4), fit.df
    (-1.0986, 2)
    """
    inside, rows_in, outcome_in, known_in = rows_in_domain(X, y, design, offset=offset)
    if not np.isin(outcome_in, (0.0, 1.0)).all():
        raise bad_input(
            "logistic.bad_outcome",
            "the outcome of a logistic regression is not 0 or 1",
            where=WHERE,
            hint="code cases as 1 and others as 0",
        )
    weight = design.analysis_weight[inside]
    coefficients = maximise_likelihood(rows_in, outcome_in, weight, offset=known_in)
    fitted = expit(rows_in @ coefficients + known_in)
    information = (rows_in * (weight * fitted * (1.0 - fitted))[:, None]).T @ rows_in
    influence = np.zeros((len(design), rows_in.shape[1]))
    influence[inside] = np.linalg.solve(information, (rows_in * (outcome_in - fitted)[:, None]).T).T
    covariance = taylor_covariance(influence, design)
    return RegressionFit(coefficients=coefficients, covariance=covariance, df=design.df, n=design.n)


def maximise_likelihood(
    X: Floats, y: Floats, weight: Floats, *, offset: Floats | None = None, start: Floats | None = None
) -> Floats:
    """Maximise the weighted logistic likelihood by Newton's method with halved steps.

    Parameters
    ----------
    X
        Design matrix, shape (n, p), finite.
    y
        Outcome, 0 or 1 (or a share between), shape (n,).
    weight
        Weight of each row, at least 0, shape (n,); only ratios of weights matter.
    offset
        Known part of the linear predictor, log odds, shape (n,).
    start
        Coefficients to start from, shape (p,): those of a neighbouring fit spare iterations.

    Returns
    -------
    ndarray, shape (p,)
        Log odds per unit of each column.

    Raises
    ------
    MgRiskError
        ``logistic.rank`` for columns that are linear combinations of others; ``logistic.not_converged`` where
        the likelihood has no maximum, as when a column separates cases from others.

    Examples
    --------
    >>> maximise_likelihood(np.ones((4, 1)), np.array([0.0, 0, 0, 1]), np.ones(4)).round(4).tolist()
    [-1.0986]
    """
    share = weight / weight.sum()
    known = np.zeros(y.size) if offset is None else offset
    size = column_sizes(X, share, kind="logistic")
    # Columns of one size: the test of convergence below then does not depend on units.
    Z = X / size
    beta = np.zeros(X.shape[1]) if start is None else np.asarray(start, dtype=np.float64) * size
    eta = Z @ beta + known
    loss = _loss(eta, y, share)
    for _ in range(MAX_ITERATIONS):
        fitted = expit(eta)
        hessian = (Z * (share * fitted * (1.0 - fitted))[:, None]).T @ Z
        try:
            step = np.linalg.solve(hessian, Z.T @ (share * (y - fitted)))
        except np.linalg.LinAlgError:
            break
        # The length of the step, not the gain: under separation each step gains less but none gets shorter.
        if np.abs(step).max() < 1e-9 * (1.0 + np.abs(beta).max()):
            solution: Floats = (beta + step) / size
            return solution
        length = 1.0
        while True:
            proposal = beta + length * step
            eta = Z @ proposal + known
            new_loss = _loss(eta, y, share)
            if new_loss <= loss + 1e-12 * (1.0 + abs(loss)) or length < 1e-6:
                break
            length /= 2.0
        beta, loss = proposal, new_loss
    raise bad_input(
        "logistic.not_converged",
        f"a logistic regression did not converge in {MAX_ITERATIONS} iterations",
        where=f"{y.size} rows, {int((y * (weight > 0)).sum())} events, {X.shape[1]} columns",
        hint="a column separates cases from others, or events are too few: drop columns or widen the domain",
    )


def _loss(eta: Floats, y: Floats, share: Floats) -> float:
    return float(share @ (np.logaddexp(0.0, eta) - y * eta))

"""Survey-weighted linear and logistic regression, and Wald tests of their terms.

Standard errors are Taylor-linearised on the full design; rows outside the domain are used only for the variance.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike
from scipy.special import expit, fdtrc, stdtr

from mgrisk.errors import MgRiskError, bad_input
from mgrisk.survey.design import WHERE, SurveyDesign
from mgrisk.survey.variance import missing_values, t_quantile, taylor_covariance
from mgrisk.types import Booleans, Floats


@dataclass(frozen=True, eq=False)
class RegressionFit:
    """Coefficients of a survey-weighted regression.

    Parameters
    ----------
    coefficients
        Coefficients per unit of each column, shape (p,): log-odds, or units of the outcome in a linear regression.
    covariance
        Design-based (sandwich) covariance of the coefficients, shape (p, p).
    df
        Residual degrees of freedom (`SurveyDesign.residual_df`) for t intervals.
    n
        Number of people in the fit.
    """

    coefficients: Floats
    covariance: Floats
    df: int
    n: int

    @property
    def se(self) -> Floats:
        """Standard errors of the coefficients, shape (p,)."""
        return np.sqrt(np.diag(self.covariance))

    def interval(self, *, level: float = 0.95) -> tuple[Floats, Floats]:
        """Return the bounds of t intervals with the residual degrees of freedom, each of shape (p,)."""
        half = t_quantile(level, self.df) * self.se
        return self.coefficients - half, self.coefficients + half

    def frame(self, names: Sequence[str] = (), *, level: float = 0.95) -> pd.DataFrame:
        """Return one row for each coefficient: term, estimate, se, low, high, p (two-sided, on t), n, df."""
        low, high = self.interval(level=level)
        terms = list(names) or [str(place) for place in range(self.coefficients.size)]
        with np.errstate(divide="ignore", invalid="ignore"):
            p = 2.0 * stdtr(self.df, -np.abs(self.coefficients / self.se))
        columns = {"term": terms, "estimate": self.coefficients, "se": self.se, "low": low, "high": high, "p": p}
        return pd.DataFrame(columns).assign(n=self.n, df=self.df)

    def to_dict(self) -> dict[str, Any]:
        """Return the fit as a plain dict of lists and numbers."""
        return {
            "coefficients": self.coefficients.tolist(),
            "se": self.se.tolist(),
            "covariance": self.covariance.tolist(),
            "df": self.df,
            "n": self.n,
        }


@dataclass(frozen=True)
class WaldTest:
    """Wald test that some coefficients are all zero.

    Parameters
    ----------
    statistic
        Wald chi-square divided by the number of coefficients, an F statistic.
    numerator, denominator
        Degrees of freedom of F.
    p
        P value.
    """

    statistic: float
    numerator: int
    denominator: int
    p: float

    def to_dict(self) -> dict[str, Any]:
        """Return the fields as a plain dict."""
        return asdict(self)


def wald_test(fit: RegressionFit, columns: Sequence[int]) -> WaldTest:
    """Test that the coefficients of some columns are all zero.

    Parameters
    ----------
    fit
        Result of `fit_linear` or `fit_logistic`.
    columns
        Indices of the columns in the design matrix, without duplicates.

    Returns
    -------
    WaldTest

    Raises
    ------
    MgRiskError
        ``regression.no_columns`` for no columns, duplicates or unknown columns; ``regression.singular`` if the
        covariance of the coefficients is singular, as with more coefficients than degrees of freedom.

    Notes
    -----
    ``regTermTest(model, terms)`` of the R package survey; the denominator is the residual degrees of freedom.

    Examples
    --------
    >>> fit = RegressionFit(np.array([0.0, 2.0]), np.eye(2), df=15, n=100)
    >>> test = wald_test(fit, [1])
    >>> test.statistic, round(test.p, 4)
    (4.0, 0.0639)
    """
    places = np.asarray(columns, dtype=np.int64)
    terms = fit.coefficients.size
    if places.size == 0 or np.unique(places).size != places.size or not ((places >= 0) & (places < terms)).all():
        raise bad_input(
            "regression.no_columns",
            "the columns of a Wald test are empty, duplicated or unknown",
            where=WHERE,
            hint=f"use different columns from 0 to {terms - 1}",
            got=str(places.tolist()),
        )
    beta, covariance = fit.coefficients[places], fit.covariance[np.ix_(places, places)]
    size = np.sqrt(covariance.diagonal())
    if not (size > 0).all() or np.linalg.matrix_rank(covariance / np.outer(size, size)) < places.size:
        raise bad_input(
            "regression.singular",
            "the covariance of the tested coefficients is singular",
            where=f"{WHERE}: {places.size} coefficients, {fit.df} degrees of freedom",
            hint="test fewer coefficients",
        )
    statistic = float(beta @ np.linalg.solve(covariance, beta)) / places.size
    p = float(fdtrc(places.size, fit.df, max(statistic, 0.0))) if fit.df > 0 else float("nan")
    return WaldTest(statistic, int(places.size), fit.df, p)


def rows_in_domain(
    X: ArrayLike, y: ArrayLike, design: SurveyDesign, *, offset: ArrayLike | None = None
) -> tuple[Booleans, Floats, Floats, Floats]:
    """Check the data of a regression; return the mask of the domain, and its rows, outcomes and offsets.

    Raises
    ------
    MgRiskError
        ``design.bad_length``, ``design.empty_domain``, ``design.missing_values``.
    """
    inside = design.analysis_weight > 0
    rows = np.asarray(X, dtype=np.float64)
    outcome = np.asarray(y, dtype=np.float64)
    known = np.zeros(len(design)) if offset is None else np.asarray(offset, dtype=np.float64)
    if rows.ndim != 2 or not rows.shape[0] == outcome.size == known.size == len(design):
        raise bad_input(
            "design.bad_length",
            "the regression and the design have different lengths",
            where=WHERE,
            hint="pass one row for each row of the full design",
            expected=f"X ({len(design)}, p), y ({len(design)},)",
            got=f"X {rows.shape}, y {outcome.shape}, offset {known.shape}",
        )
    if not inside.any():
        raise bad_input(
            "design.empty_domain",
            "nobody in the domain has a positive weight",
            where=f"{WHERE}, level {design.level}",
            hint="check the domain, and that its variables were measured in this subsample",
        )
    rows_in, outcome_in, known_in = rows[inside], outcome[inside], known[inside]
    finite = np.isfinite(rows_in).all(axis=1) & np.isfinite(outcome_in) & np.isfinite(known_in)
    if not finite.all():
        raise missing_values(int((~finite).sum()))
    return inside, rows_in, outcome_in, known_in


def column_sizes(X: Floats, share: Floats, *, kind: str) -> Floats:
    """Return the root mean square of each column, shape (p,); raises an error for collinear columns.

    Columns are divided by it so that tests of rank and convergence do not depend on units. `kind`, ``linear`` or
    ``logistic``, is used in the code and message of the error.

    Raises
    ------
    MgRiskError
        ``<kind>.rank``.
    """
    size: Floats = np.sqrt(share @ X**2)
    if not (size > 0).all():
        raise _rank_error(kind, int(np.argmin(size)))
    Z = X / size
    eigenvalues = np.linalg.eigvalsh((Z * share[:, None]).T @ Z)
    if eigenvalues[0] < 1e-11 * eigenvalues[-1]:
        raise _rank_error(kind, None)
    return size


def _rank_error(kind: str, column: int | None) -> MgRiskError:
    return bad_input(
        f"{kind}.rank",
        f"columns of a {kind} regression are linear combinations of each other"
        if column is None
        else f"a column of a {kind} regression is zero in every row",
        where=WHERE if column is None else f"column {column}",
        hint="drop one of them",
    )


def fit_linear(X: ArrayLike, y: ArrayLike, design: SurveyDesign) -> RegressionFit:
    """Fit a linear regression to the domain by weighted least squares, with design-based standard errors.

    Parameters
    ----------
    X
        Design matrix including a column of ones, shape (n, p). Rows outside the domain are ignored.
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
    Binder (1983), Int. Stat. Rev. 51:279; same results as ``svyglm(family = gaussian())`` of the R package survey. The
    covariance is that of the totals of the influence function (y - fitted) x (X'WX)^-1; it does not assume equal
    variances or a correctly specified mean.

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
    # Least squares on the rows, because cross products would lose half of the digits.
    root = np.sqrt(share)
    scaled, *_ = np.linalg.lstsq(Z * root[:, None], outcome * root, rcond=None)
    residual = outcome - Z @ scaled
    information = (Z * share[:, None]).T @ Z * weight.sum()
    influence = np.zeros((len(design), rows.shape[1]))
    influence[inside] = np.linalg.solve(information, (Z * residual[:, None]).T).T / size
    df = design.residual_df(rows.shape[1])
    return RegressionFit(scaled / size, taylor_covariance(influence, design), df, design.n)


MAX_ITERATIONS = 50


def fit_logistic(X: ArrayLike, y: ArrayLike, design: SurveyDesign, *, offset: ArrayLike | None = None) -> RegressionFit:
    """Fit a logistic regression to the domain, with design-based standard errors.

    Parameters
    ----------
    X
        Design matrix including a column of ones, shape (n, p). Rows outside the domain are ignored.
    y
        Outcome, 0 or 1, shape (n,).
    design
        The full design with its domain.
    offset
        Offset of the linear predictor, log-odds, shape (n,).

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
    Binder (1983), Int. Stat. Rev. 51:279; same results as ``svyglm(family = quasibinomial())`` of the R package survey.
    The covariance is that of the totals of the influence function (y - p) x A^-1, where A is the information matrix.

    Examples
    --------
    >>> from mgrisk.survey.design import WeightLevel
    >>> design = SurveyDesign([1.0] * 8, [1, 1, 1, 1, 2, 2, 2, 2], [1, 1, 2, 2] * 2, WeightLevel.EXAM)
    >>> fit = fit_logistic(np.ones((8, 1)), [0, 1, 0, 1, 0, 0, 0, 0], design)
    >>> round(float(fit.coefficients[0]), 4), fit.df
    (-1.0986, 2)
    """
    return logistic_influence(X, y, design, offset=offset)[0]


def logistic_influence(
    X: ArrayLike, y: ArrayLike, design: SurveyDesign, *, offset: ArrayLike | None = None
) -> tuple[RegressionFit, Floats]:
    """Return the result of `fit_logistic` and its influence function, per unit of weight, shape (n, p)."""
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
    return RegressionFit(coefficients, covariance, design.residual_df(rows_in.shape[1]), design.n), influence


def maximise_likelihood(
    X: Floats, y: Floats, weight: Floats, *, offset: Floats | None = None, start: Floats | None = None
) -> Floats:
    """Maximise the weighted logistic likelihood by Newton's method with step halving.

    Parameters
    ----------
    X
        Design matrix, shape (n, p), finite.
    y
        Outcome, 0 or 1 (or a share between), shape (n,).
    weight
        Weight of each row, at least 0, shape (n,); only relative weights matter.
    offset
        Offset of the linear predictor, log-odds, shape (n,).
    start
        Starting coefficients, shape (p,); those of a similar fit reduce the number of iterations.

    Returns
    -------
    ndarray, shape (p,)
        Log-odds per unit of each column.

    Raises
    ------
    MgRiskError
        ``logistic.rank`` for collinear columns; ``logistic.not_converged`` if the likelihood has no maximum, as when a
        column separates cases from others.

    Examples
    --------
    >>> maximise_likelihood(np.ones((4, 1)), np.array([0.0, 0, 0, 1]), np.ones(4)).round(4).tolist()
    [-1.0986]
    """
    share = weight / weight.sum()
    known = np.zeros(y.size) if offset is None else offset
    size = column_sizes(X, share, kind="logistic")
    # Scaled columns, so that the test of convergence below does not depend on units.
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
        # Test the step length, not the gain: under separation the gains decrease but the steps do not.
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
        hint="drop columns or use a larger domain: a column may separate cases from others, or events are too few",
    )


def _loss(eta: Floats, y: Floats, share: Floats) -> float:
    return float(share @ (np.logaddexp(0.0, eta) - y * eta))

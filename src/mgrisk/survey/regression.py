"""What linear and logistic regression under the design share: checked rows, the fit, Wald tests of terms."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray
from scipy.stats import f as fisher
from scipy.stats import t as student

from mgrisk.errors import MgRiskError, bad_input
from mgrisk.survey.design import WHERE, SurveyDesign
from mgrisk.survey.intervals import t_quantile
from mgrisk.survey.variance import missing_values

Floats = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class RegressionFit:
    """Coefficients of a design-weighted regression.

    Parameters
    ----------
    coefficients
        Per unit of each column, shape (p,): log odds, or units of the outcome in a linear regression.
    covariance
        Their design-based (sandwich) covariance, shape (p, p).
    df
        Degrees of freedom of the design; an interval uses t with these.
    n
        Number of people that the fit saw.
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
        """Return the bounds of intervals on t with the degrees of freedom of the design, each of shape (p,)."""
        half = t_quantile(level, self.df) * self.se
        return self.coefficients - half, self.coefficients + half

    def frame(self, names: Sequence[str] = ()) -> pd.DataFrame:
        """Return one row for each coefficient: term, estimate, se, low, high, p (two-sided, on t), n, df."""
        low, high = self.interval()
        terms = list(names) or [str(place) for place in range(self.coefficients.size)]
        with np.errstate(divide="ignore", invalid="ignore"):
            p = 2.0 * student.sf(np.abs(self.coefficients / self.se), self.df)
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
    """Test that some coefficients are all zero.

    Parameters
    ----------
    statistic
        Wald chi-squared over the number of coefficients, which follows F.
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


def wald_test(fit: RegressionFit, columns: Sequence[int], *, df: int | None = None) -> WaldTest:
    """Test that the coefficients of some columns are all zero.

    Parameters
    ----------
    fit
        From `fit_linear` or `fit_logistic`.
    columns
        Places of the columns in the design matrix, each once.
    df
        Denominator degrees of freedom; those of the design where it is left out.

    Returns
    -------
    WaldTest

    Raises
    ------
    MgRiskError
        ``regression.no_columns`` for none, twice the same, or one that does not exist; ``regression.singular`` where
        the covariance of the coefficients has no inverse, as with more of them than degrees of freedom.

    Notes
    -----
    ``regTermTest(model, terms, df = degf(design))`` of the R package survey. Its default subtracts the number of
    coefficients from the degrees of freedom; give that as `df` to have the same.

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
            "the columns of a Wald test are none, twice the same or unknown",
            where=WHERE,
            hint=f"name columns from 0 to {terms - 1}, each once",
            got=str(places.tolist()),
        )
    beta, covariance = fit.coefficients[places], fit.covariance[np.ix_(places, places)]
    size = np.sqrt(covariance.diagonal())
    if not (size > 0).all() or np.linalg.matrix_rank(covariance / np.outer(size, size)) < places.size:
        raise bad_input(
            "regression.singular",
            "the covariance of the tested coefficients has no inverse",
            where=f"{WHERE}: {places.size} coefficients, {fit.df} degrees of freedom",
            hint="test fewer coefficients",
        )
    statistic = float(beta @ np.linalg.solve(covariance, beta)) / places.size
    denominator = fit.df if df is None else df
    p = float(fisher.sf(statistic, places.size, denominator)) if denominator > 0 else float("nan")
    return WaldTest(statistic, int(places.size), denominator, p)


def rows_in_domain(
    X: ArrayLike, y: ArrayLike, design: SurveyDesign, *, offset: ArrayLike | None = None
) -> tuple[NDArray[np.bool_], Floats, Floats, Floats]:
    """Check the data of a regression; return who is in it, and their rows, outcomes and offsets.

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
            hint="give one row for each row of the full design",
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
    """Return the root mean square of each column, shape (p,); refuse columns that say the same as others.

    Columns divided by it have one size, so that tests of rank and of convergence do not depend on units. `kind`,
    ``linear`` or ``logistic``, stands in the code and the message of the error.

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

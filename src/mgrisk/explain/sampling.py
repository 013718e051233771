"""Sampling error of SHAP values, from the refits that a bundle summarises.

A bundle stores the covariance of its refits as a few linear forms of the encoded columns (`model.uncertainty`,
`model.additive.Sampling`). The terms of a feature in these forms are the deviations of its SHAP value, so that bands
of dependence curves and intervals of importance need no refit.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np

from mgrisk.model.additive import Additive
from mgrisk.model.bundle import Bundle
from mgrisk.model.learners import Encoder
from mgrisk.model.splines import Term
from mgrisk.survey.variance import t_quantile
from mgrisk.types import Floats, Singles


@dataclass(frozen=True, eq=False)
class ContributionErrors:
    """Sampling error of the SHAP values of some people.

    Attributes
    ----------
    encoder, terms
        Encoder of the model, and the spline of each encoded column.
    loadings, centre
        Forms of the design columns, in standard errors of calibrated log-odds, shape (p, k), and means (p,).
    absent_gives_nothing
        Whether absent values have a SHAP value of 0, as in an additive model.
    df
        Degrees of freedom of the design of the development people.
    X
        Encoded matrix of the people, shape (n, n_columns).
    """

    encoder: Encoder
    terms: tuple[Term, ...]
    loadings: Floats
    centre: Floats
    absent_gives_nothing: bool
    df: int
    X: Singles

    @classmethod
    def of(cls, bundle: Bundle, X: Singles) -> Self | None:
        """Return the errors for a bundle and encoded people, None where the bundle has no refits."""
        fitted, slope, df = bundle.fitted, bundle.calibrator.slope, bundle.calibrator.df
        if isinstance(fitted, Additive):
            if (kept := fitted.sampling) is None:
                return None
            loadings = slope * kept.factor**0.5 * kept.loadings
            return cls(bundle.encoder, fitted.terms, loadings, fitted.moments.mean, True, df, X)
        if (held := bundle.uncertainty) is None:
            return None
        return cls(bundle.encoder, held.terms, held.factor**0.5 * held.loadings[1:], held.centre, False, df, X)

    def moved(self, names: Sequence[str]) -> Floats:
        """Return the forms of the sum of SHAP values of some features, shape (n, k).

        The sampling variance of such a sum, or of a weighted mean over people, is the sum of squares of its forms.
        """
        columns = np.flatnonzero([self.encoder.features[each.owner].name in names for each in self.encoder.columns])
        ends = np.cumsum([term.width for term in self.terms])
        found = np.zeros((len(self.X), self.loadings.shape[1]))
        for column in columns:
            term = self.terms[column]
            of_term = slice(int(ends[column]) - term.width, int(ends[column]))
            x = self.X[:, column]
            forms = (term.expand(x.astype(np.float64)) - self.centre[of_term]) @ self.loadings[of_term]
            found += np.where(np.isnan(x)[:, None] & self.absent_gives_nothing, 0.0, forms)
        return found

    def reach(self, forms: Floats, *, level: float = 0.95) -> Floats:
        """Return half the width of the interval of each sum of SHAP values, from its forms (..., k)."""
        reach: Floats = t_quantile(level, self.df) * np.sqrt((forms**2).sum(axis=-1))
        return reach

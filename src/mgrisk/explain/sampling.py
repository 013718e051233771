"""Sampling error of contributions: by how much refits of the pipeline moved them, from what the bundle keeps of refits.

The bundle holds the covariance of its refits as a few linear forms of the encoded columns (`model.uncertainty`,
`model.additive.Sampling`). The part of each form that belongs to a feature is by how much that feature's contribution
moved, so that bands of curves and intervals of importance cost no refit.
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
    """What the refits of a bundle say of the contributions of some people.

    Attributes
    ----------
    encoder, terms
        Columns of the model and the curve of each.
    loadings, centre
        Forms of the design columns, in standard errors of calibrated log-odds, shape (p, k), and means (p,).
    absent_gives_nothing
        Whether an absent value contributes nothing, as in an additive model.
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
        """Return those of a bundle and the encoded people, None where the bundle keeps no refits."""
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
        """Return the forms of the summed contributions of some features, shape (n, k).

        The sampling variance of a sum of contributions, or of a weighted mean of them, is the sum of the squares of its
        forms.
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
        """Return half the width of the interval of each sum of contributions, from its forms (..., k)."""
        reach: Floats = t_quantile(level, self.df) * np.sqrt((forms**2).sum(axis=-1))
        return reach

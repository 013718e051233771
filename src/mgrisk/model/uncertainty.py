"""Sampling error of one person's risk: bootstrap refits of the whole pipeline, kept as one small quadratic form.

The pipeline is fitted again under bootstrap weights of the PSUs (`bootstrap_refits`). How much each refit's log-odds
differ from those of the model is projected on a spline basis of the encoded columns, which holds a spline model and
trees in the main. Their mean square is |L' b(x)|² for a table L of a few columns, so that scoring costs one small
product for each person and no refit is shipped. What the basis does not hold is added, on average over the population.
What no refit sees, that penalisation draws all risks together, is found by `coverage` and taken into the same form.
"""

from __future__ import annotations

import io
import itertools
from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields, replace
from functools import cached_property
from typing import TYPE_CHECKING, Annotated, Final, Self

import numpy as np
from pydantic import Field, model_validator

from mgrisk.config.checked import Checked, Knots, NotNegative, Numbers, Table, same_length
from mgrisk.model.additive import Sampling
from mgrisk.model.calibration import fit_logistic_map
from mgrisk.model.curves import Curves
from mgrisk.model.learners import Column, bad_model
from mgrisk.model.splines import Term, expand, fit_terms
from mgrisk.model.training_data import TrainingData
from mgrisk.storage.files import read_arrays
from mgrisk.survey.variance import rao_wu
from mgrisk.types import Floats, Singles

if TYPE_CHECKING:
    from mgrisk.model.fits import Fits  # only fitting needs it, and scoring is to start at once

Refit = Callable[[Floats], "Fits"]
"""Fits the chosen setting again, with everybody's weight multiplied by a factor, shape (n,)."""
OUT: Final = 1e-9
"""Factor of a PSU that was not drawn: no weight to speak of, but its people stay among the rows of the fit."""


def bootstrap_refits(
    refit: Refit,
    X: Singles,
    data: TrainingData,
    log_odds: Floats,
    *,
    replicates: int,
    seed: int,
) -> Floats:
    """Fit the pipeline again and say by how much each person's calibrated log-odds moved.

    Parameters
    ----------
    refit
        The model with its chosen setting.
    X, data
        The development people and their encoded matrix, shape (n, n_columns); m people are in the analysis.
    log_odds
        Calibrated log-odds of these, shape (m,).
    replicates, seed
        Of `survey.variance.rao_wu`.

    Returns
    -------
    ndarray, shape (m, replicates)
        Log-odds of the refit less `log_odds`.

    Raises
    ------
    MgRiskError
        ``logistic.not_converged`` where a replicate cannot be calibrated, ``design.single_psu``,
        ``bootstrap.replicates``.

    Notes
    -----
    People whose PSU was not drawn stay among the rows with next to no weight, so that a penalty means the same as in
    the model; how parts of a sum are scaled is held, as the settings are.
    A replicate of strata with two PSUs is made of half the sample: a linear statistic gets its variance exactly, and
    what grows with the square of the noise (a tree that splits elsewhere) gets up to three times its own.
    """
    design, inside = data.design, data.inside
    drawn = rao_wu(design, replicates=replicates, seed=seed)
    moved = np.empty((len(inside), replicates))
    for r, factors in enumerate(drawn.factors):
        factor = np.maximum(factors, OUT)[design.cluster]
        margin = out_of_fold(refit, X, data, factor)
        again = fit_logistic_map(margin, data.outcome.value, drawn.replicate_weight(r))
        moved[:, r] = again.intercept + again.slope * refit(factor).margin(X, inside) - log_odds
    return moved


def out_of_fold(refit: Refit, X: Singles, data: TrainingData, factor: Floats) -> Floats:
    """Return margins of fits to the other folds, shape (n,); 0 outside the analysis and where the factor is 0.

    Parameters
    ----------
    refit, X, data
        As for `bootstrap_refits`.
    factor
        What everybody's weight is multiplied by, shape (n,).
    """
    fold, inside = data.fold, data.inside[factor[data.inside] > 0]
    margin = np.zeros(len(fold))
    for k in np.unique(fold[inside]):
        unseen = inside[fold[inside] == k]
        margin[unseen] = refit(np.where(fold == k, 0.0, factor)).margin(X, unseen)
    return margin


FILE: Final = "uncertainty.npz"
MOST_NUMBERS: Final = 1 << 20
MEANING: Final = (
    "90 % interval for the risk of people with these values: sampling error of learner and calibration under the "
    "survey design, from refits of the pipeline under Rao-Wu bootstrap weights of the PSUs with settings as chosen; "
    "not in it: what a missing value or an error of a person's own answers hides, and change of the population"
)
WIDENED: Final = (
    "; widened so that outcomes drawn from known risks are covered as often as it says, in each fifth of risk"
)
"""What is added to that where the widening was found."""
KNOTS: Final = 4
DROPPED: Final = 0.1
"""Share of the mean variance that the columns left out of L may hold."""


@dataclass(frozen=True, eq=False)
class Uncertainty:
    """The standard error of a person's calibrated log-odds.

    Attributes
    ----------
    terms
        A curve for each encoded column.
    loadings
        The table L: a row for the constant and for each design column of the terms, shape (1 + p, k).
    centre
        Population means of the design columns, shape (p,).
    base, factor
        The variance is base + factor × |L' b(x)|², squared log-odds: what the basis does not hold, on average and in
        proportion.
    replicates
        How many refits it was made of.
    """

    terms: tuple[Term, ...]
    loadings: Floats
    centre: Floats
    base: float
    factor: float
    replicates: int

    def se(self, X: Singles) -> Floats:
        """Return the standard error of the calibrated log-odds, shape (n,), of an encoded matrix (n, n_columns)."""
        moved = self.loadings[0, :, None] + self._curves.sums(X)
        total = np.full(len(X), self.base)
        for each in moved:
            total += self.factor * each**2
        found: Floats = np.sqrt(total)
        return found

    @cached_property
    def _curves(self) -> Curves:
        return Curves.of(self.terms, self.loadings[1:], self.centre)

    def after(self, *, stretch: float, added: float) -> Uncertainty:
        """Return it for log-odds stretched about any point, with a variance added to everybody's."""
        return replace(
            self,
            loadings=stretch * self.loadings,
            base=stretch**2 * self.base + added,
        )

    def to_bytes(self) -> bytes:
        """Return the content of uncertainty.npz: arrays of numbers, no objects."""
        widths = [len(term.knots) for term in self.terms]
        numbers = {each.name: np.asarray(getattr(self, each.name)) for each in fields(self) if each.name != "terms"}
        content = io.BytesIO()
        np.savez_compressed(
            content,
            fills=np.array([term.fill for term in self.terms]),
            widths=np.array(widths, dtype=np.int64),
            knots=np.array([knot for term in self.terms for knot in term.knots], dtype=np.float64),
            **numbers,  # type: ignore[arg-type]  # stub wants allow_pickle's type for all
        )
        return content.getvalue()

    @classmethod
    def from_bytes(cls, content: bytes, *, n_columns: int) -> Uncertainty:
        """Read uncertainty.npz back.

        Raises
        ------
        MgRiskError
            `bundle.bad_model`.
        """
        try:
            arrays = read_arrays(content)
            if sum(array.size for array in arrays.values()) > MOST_NUMBERS:
                raise ValueError("it has more numbers than any of ours")
            found = _File.of({name: array.tolist() for name, array in arrays.items()})
        except ValueError as problem:
            raise bad_model(FILE, f"cannot be read: {problem}") from None
        if len(found.widths) != n_columns:
            raise bad_model(FILE, "is for other columns than the bundle's features")
        return cls(
            terms=tuple(map(Term, found.fills, map(tuple, found.of_columns()))),
            loadings=np.array(found.loadings),
            centre=np.array(found.centre),
            base=found.base,
            factor=found.factor,
            replicates=found.replicates,
        )


class _Curve(Checked):
    knots: Knots


class _File(Checked):
    fills: Numbers
    widths: list[Annotated[int, Field(ge=0)]]
    knots: Numbers
    loadings: Table
    centre: Numbers
    base: NotNegative
    factor: NotNegative
    replicates: int = Field(ge=1, le=10**6)

    @model_validator(mode="after")
    def _of_the_same_columns(self) -> Self:
        same_length(fills=self.fills, widths=self.widths)
        if sum(self.widths) != len(self.knots):
            raise ValueError("widths are not those of the knots")
        p = sum(Term(0.0, tuple(_Curve(knots=each).knots)).width for each in self.of_columns())
        if len(self.centre) != p or len(self.loadings) != 1 + p:
            raise ValueError(f"centre or loadings is not that of {p} design columns")
        for row in self.loadings:
            if len(row) != len(self.loadings[0]):
                raise ValueError("loadings has rows of different lengths")
        return self

    def of_columns(self) -> list[list[float]]:
        """Return the knots of each encoded column."""
        ends = list(itertools.accumulate(self.widths))
        return [self.knots[end - width : end] for width, end in zip(self.widths, ends, strict=True)]


def with_stretch(moved: Floats, away: Floats, stretch: float) -> Floats:
    """Return deviations whose mean square is that of the refits, with what a stretch of the log-odds adds.

    Parameters
    ----------
    moved
        Deviations of refits, shape (n, replicates).
    away
        Log-odds less those at which they are not stretched, shape (n,).
    stretch
        Standard deviation of the stretch.

    Returns
    -------
    ndarray, shape (n, replicates + 1)

    Examples
    --------
    >>> found = with_stretch(np.full((1, 4), 0.3), np.array([-4.0]), 0.1)
    >>> round(float((found**2).mean()), 4)  # 0.3² + (0.1 × 4)²
    0.25
    """
    whole = moved.shape[1] + 1
    return np.column_stack([np.sqrt(whole / moved.shape[1]) * moved, np.sqrt(whole) * stretch * away])


def fit_uncertainty(deviations: Floats, X: Singles, weight: Floats, columns: Sequence[Column]) -> Uncertainty:
    """Press the deviations of refits into a quadratic form.

    Parameters
    ----------
    deviations
        Calibrated log-odds of each refit less those of the model, shape (n, replicates).
    X, weight
        Encoded matrix (n, n_columns) and positive survey weights (n,) of the development analysis.
    columns
        The encoded columns.
    """
    terms = fit_terms(columns, X, weight, knots=KNOTS)
    design = expand(terms, X)
    centre = np.average(design, axis=0, weights=weight)
    loadings, base, factor = _quadratic_form(deviations, design - centre, weight)
    return Uncertainty(terms, loadings, centre, base, factor, deviations.shape[1])


def fit_sampling(deviations: Floats, design: Floats, weight: Floats) -> Sampling:
    """Press the deviations of refits of an additive model into forms of its own design columns.

    Parameters
    ----------
    deviations
        As for `fit_uncertainty`.
    design, weight
        Design columns less their means, shape (n, p), and positive survey weights (n,).
    """
    loadings, base, factor = _quadratic_form(deviations, design, weight)
    return Sampling(loadings[1:], loadings[0], base, factor, deviations.shape[1])


def standard_error(found: Sampling, design: Floats) -> Floats:
    """Return the standard error of the log-odds, shape (n,), where no input is absent; `design` as for the fit."""
    variance = found.base + found.factor * ((found.offset + design @ found.loadings) ** 2).sum(axis=1)
    error: Floats = np.sqrt(variance)
    return error


def _quadratic_form(deviations: Floats, design: Floats, weight: Floats) -> tuple[Floats, float, float]:
    """Return the table L, (1 + p, k), and what is to be added to |L' b(x)|² and multiplied with it."""
    from scipy.optimize import nnls  # only fitting needs it, and scoring is to start at once

    share = weight / weight.sum()
    basis = np.column_stack([np.ones(len(design)), design])
    size = np.sqrt(share @ basis**2)
    size[size == 0] = 1.0
    # Directions of the basis that vary by themselves in the population, each with variance 1.
    spread, axes = np.linalg.eigh((basis / size).T @ (basis / size * share[:, None]))
    kept = spread > 1e-8 * spread[-1]
    whiten = axes[:, kept] / np.sqrt(spread[kept]) / size[:, None]
    moved = (basis @ whiten).T @ (deviations * share[:, None])
    left, length, _ = np.linalg.svd(moved / np.sqrt(deviations.shape[1]), full_matrices=False)
    held = np.cumsum(length**2)
    rank = int(np.searchsorted(held, (1.0 - DROPPED) * held[-1])) + 1
    loadings = whiten @ left[:, :rank] * length[:rank]
    form = ((basis @ loadings) ** 2).sum(axis=1)
    root = np.sqrt(share)
    (base, factor), _ = nnls(np.column_stack([root, root * form]), root * (deviations**2).mean(axis=1))
    return loadings, float(base), float(factor)

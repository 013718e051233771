"""Sampling error of a person's risk, from bootstrap refits of the whole pipeline, stored as a small quadratic form.

The pipeline is refitted under bootstrap weights of the PSUs (`bootstrap_refits`). The differences between the log-odds
of the refits and of the model are projected on a spline basis of the encoded columns, which represents most of the
variation of spline models and trees. Their mean square is |L' b(x)|² for a matrix L of a few columns, so a bundle needs
no refits and scoring one small product for each person. The mean residual variance is added. The shrinkage of risks by
penalisation, which refits do not show, is estimated by `coverage` and included in the same form.
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
    from mgrisk.model.fits import Fits  # only fitting needs it, and scoring starts faster without

Refit = Callable[[Floats], "Fits"]
"""Refits the model with each person's weight multiplied by a factor, shape (n,)."""
OUT: Final = 1e-9
"""Factor of a PSU that was not drawn: negligible weight, but its people stay among the rows of the fit."""


def bootstrap_refits(
    refit: Refit,
    X: Singles,
    data: TrainingData,
    log_odds: Floats,
    *,
    replicates: int,
    seed: int,
) -> Floats:
    """Refit the pipeline to bootstrap replicates and return the change of each person's calibrated log-odds.

    Parameters
    ----------
    refit
        Refits the model with its chosen settings.
    X, data
        Encoded matrix of the development people, shape (n, n_columns), and their data; m are in the analysis.
    log_odds
        Calibrated log-odds of the analysis population, shape (m,).
    replicates, seed
        As for `survey.variance.rao_wu`.

    Returns
    -------
    ndarray, shape (m, replicates)
        Log-odds of the refit minus `log_odds`.

    Raises
    ------
    MgRiskError
        ``logistic.not_converged`` where a replicate cannot be calibrated, ``design.single_psu``,
        ``bootstrap.replicates``.

    Notes
    -----
    People whose PSU was not drawn keep a negligible weight, so that the penalty has the same strength as in the model.
    Settings and scales are fixed. With two PSUs in each stratum a replicate consists of half the sample: the variance
    of a linear statistic is right, and that of a strongly non-linear one (trees that split elsewhere) is overestimated
    by up to a factor of three.
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
    """Return out-of-fold margins, shape (n,); 0 outside the analysis and where the factor is 0.

    Parameters
    ----------
    refit, X, data
        As for `bootstrap_refits`.
    factor
        Factor of each person's weight, shape (n,).
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
    "90 % interval for the risk of people with these values: sampling error of model and calibration under the survey "
    "design, from refits of the pipeline under Rao-Wu bootstrap weights of the PSUs with the chosen settings; not "
    "included: missing values, errors in a person's own answers, and changes of the population"
)
WIDENED: Final = "; widened to nominal coverage of known risks, from which outcomes were drawn, in each fifth of risk"
"""Addition to `MEANING` where the interval was widened."""
KNOTS: Final = 4
DROPPED: Final = 0.1
"""Share of the mean variance that the columns left out of L may represent."""


@dataclass(frozen=True, eq=False)
class Uncertainty:
    """The standard error of a person's calibrated log-odds.

    Attributes
    ----------
    terms
        Spline of each encoded column.
    loadings
        The matrix L: a row for the constant and for each design column of the terms, shape (1 + p, k).
    centre
        Population means of the design columns, shape (p,).
    base, factor
        The variance in squared log-odds is base + factor × |L' b(x)|².
    replicates
        Number of refits it was estimated from.
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
        """Return the error of log-odds that are multiplied by `stretch`, with a variance added."""
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
                raise ValueError("it has too many numbers")
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
            raise ValueError("widths do not add up to the number of knots")
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
    """Return deviations whose mean square is that of the refits plus the variance of a random stretch of log-odds.

    Parameters
    ----------
    moved
        Deviations of refits, shape (n, replicates).
    away
        Log-odds minus the fixed point of the stretch, shape (n,).
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
    """Fit a quadratic form to the deviations of refits.

    Parameters
    ----------
    deviations
        Calibrated log-odds of each refit minus those of the model, shape (n, replicates).
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
    """Fit a quadratic form of an additive model's own design columns to the deviations of its refits.

    Parameters
    ----------
    deviations
        As for `fit_uncertainty`.
    design, weight
        Design columns minus their means, shape (n, p), and positive survey weights (n,).
    """
    loadings, base, factor = _quadratic_form(deviations, design, weight)
    return Sampling(loadings[1:], loadings[0], base, factor, deviations.shape[1])


def standard_error(found: Sampling, design: Floats) -> Floats:
    """Return the standard error of the log-odds, shape (n,), with no input absent; `design` as for `fit_sampling`."""
    variance = found.base + found.factor * ((found.offset + design @ found.loadings) ** 2).sum(axis=1)
    error: Floats = np.sqrt(variance)
    return error


def _quadratic_form(deviations: Floats, design: Floats, weight: Floats) -> tuple[Floats, float, float]:
    """Return the matrix L, (1 + p, k), and base and factor of the variance."""
    from scipy.optimize import nnls  # only fitting needs it, and scoring starts faster without

    share = weight / weight.sum()
    basis = np.column_stack([np.ones(len(design)), design])
    size = np.sqrt(share @ basis**2)
    size[size == 0] = 1.0
    # Uncorrelated directions of the basis in the population, each with variance 1.
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

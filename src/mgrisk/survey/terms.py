"""Regression terms, and effects: coefficients, average differences and prevalence ratios.

A term is a number, a category, a spline or an interaction. It has columns of the design matrix, which are zero at its
reference, and levels, each defined by values of these columns. A coefficient compares a level with the reference. An
average difference or ratio compares the average predicted risks of the people in the domain, with everyone at a level
and with everyone at the reference, other terms unchanged.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from typing import Final, Literal

import numpy as np
import pandas as pd
from scipy.special import expit

from mgrisk.errors import MgRiskError, bad_input
from mgrisk.survey.cubic_spline import HARRELL_QUANTILES, basis
from mgrisk.survey.design import WHERE, SurveyDesign
from mgrisk.survey.estimates import weighted_quantile
from mgrisk.survey.linear_models import RegressionFit, fit_linear, logistic_influence, wald_test
from mgrisk.survey.variance import taylor_covariance
from mgrisk.types import Floats

Kind = Literal["linear", "logistic"]
Effect = Literal["coefficient", "difference", "ratio"]
INTERCEPT: Final = "intercept"
COLUMNS: Final = ("estimate", "se", "low", "high", "p", "p_variable", "p_curve", "n", "df")


@dataclass(frozen=True, eq=False)
class Term:
    """A variable, or a product of variables, in a regression.

    Attributes
    ----------
    name
        Name of the variable; names joined with ``:`` for an interaction.
    columns
        Columns of the design matrix, shape (n, k); zero for people at the reference.
    levels
        The r levels except the reference; a single unnamed level for a number.
    points
        Values of the columns at each level, shape (r, k); for a number at 1.
    kind
        Kind of the term.
    parts
        Names of the variables of an interaction.
    """

    name: str
    columns: Floats
    levels: tuple[str, ...]
    points: Floats
    kind: Literal["number", "category", "spline", "interaction"]
    parts: tuple[str, ...] = ()

    @property
    def labels(self) -> list[str]:
        """Name and level of each row of a table."""
        if self.kind == "interaction":
            return list(self.levels)
        return [f"{self.name}={level}" if level else self.name for level in self.levels]


def number(name: str, values: Floats) -> Term:
    """Return a term with one coefficient, per unit of a number."""
    return Term(name, values[:, None], ("",), np.ones((1, 1)), "number")


def category(name: str, values: pd.Series, design: SurveyDesign) -> Term:
    """Return a term with a coefficient for each level except the first in the domain; for booleans, for true."""
    if pd.api.types.is_bool_dtype(values.dtype):
        return Term(name, values.to_numpy(dtype=np.float64, na_value=0.0)[:, None], ("",), np.ones((1, 1)), "category")
    words = values.astype("category")
    seen = set(words[design.analysis_weight > 0].dropna())
    levels = [each for each in words.cat.categories if each in seen][1:]
    columns = [(words == level).to_numpy(dtype=np.float64, na_value=0.0) for level in levels]
    stacked = np.column_stack(columns) if columns else np.empty((len(words), 0))
    return Term(name, stacked, tuple(map(str, levels)), np.eye(len(levels)), "category")


def spline(name: str, values: Floats, knots: Sequence[float], design: SurveyDesign) -> Term:
    """Return a restricted cubic spline, whose levels are its knots; the first one given is the reference.

    Parameters
    ----------
    name, values
        Name and values of a number, shape (n,).
    knots
        Three or more values; or a single number of knots (3 to 7) to be placed at Harrell's quantiles of the domain.
    design
        The design with its domain.

    Raises
    ------
    MgRiskError
        ``regression.knots``.
    """
    places = knots_of(values, knots, design)
    if len(places) < 3 or len(set(places)) < len(places):
        raise bad_input(
            "regression.knots",
            f"the knots of {name} are fewer than three, or two are the same",
            where=WHERE,
            got=", ".join(f"{each:g}" for each in places),
            hint="use three or more different values, or a number of knots from 3 to 7",
        )
    ordered = np.sort(places)
    at = basis(np.asarray(places), ordered)
    return Term(
        name,
        basis(values, ordered) - at[0],
        tuple(f"{each:g}" for each in places[1:]),
        at[1:] - at[0],
        "spline",
    )


def knots_of(values: Floats, knots: Sequence[float], design: SurveyDesign) -> list[float]:
    """Return the given knots, or a given number of knots at Harrell's quantiles of the domain."""
    places = [float(each) for each in knots]
    if len(places) > 1 or places[0] not in HARRELL_QUANTILES:
        return places
    inside = (design.analysis_weight > 0) & np.isfinite(values)
    quantiles = HARRELL_QUANTILES[int(places[0])]
    return [float(each) for each in weighted_quantile(values[inside], design.analysis_weight[inside], quantiles)]


def interaction(*parts: Term) -> Term:
    """Return the interaction of some terms: products of their columns, with combinations of their levels."""
    return Term(
        ":".join(each.name for each in parts),
        _products([each.columns for each in parts]),
        tuple(":".join(labels) for labels in product(*(each.labels for each in parts))),
        np.array(
            [_products([np.atleast_2d(each) for each in rows])[0] for rows in product(*(p.points for p in parts))]
        ),
        "interaction",
        tuple(each.name for each in parts),
    )


def _products(blocks: Sequence[Floats]) -> Floats:
    """Return the products of all combinations of columns; blocks with a single row are broadcast."""
    found = blocks[0]
    for block in blocks[1:]:
        pairs = found[:, :, None] * block[:, None, :]
        found = pairs.reshape(len(pairs), found.shape[1] * block.shape[1])
    return found


def fit_terms(
    y: Floats, terms: Sequence[Term], design: SurveyDesign, *, kind: Kind, effect: Effect, level: float = 0.95
) -> pd.DataFrame:
    """Fit a regression and return the requested effects.

    Parameters
    ----------
    y
        Outcome, shape (n,).
    terms
        Terms, with interactions after their parts.
    design
        The full design; there must be no missing values in its domain.
    kind
        ``linear`` or ``logistic``.
    effect
        ``coefficient``; for a logistic regression also ``difference``, the average marginal effect on the probability,
        and ``ratio``, the logarithm of the ratio of the average probabilities. They compare a level with the reference;
        for a number the difference is the mean slope, and the ratio is for one unit more.
    level
        Confidence level.

    Returns
    -------
    pandas.DataFrame
        `COLUMNS` of each level, indexed by term; p values use t with the residual degrees of freedom. `p_variable` is
        for the Wald test that all coefficients of a term (for averages, including its interactions) are zero;
        `p_curve` for the non-linearity of a spline. NaN if there are too few degrees of freedom.

    Raises
    ------
    MgRiskError
        ``regression.effect``, ``regression.one_level``; those of `linear_models.fit_linear` and
        `linear_models.fit_logistic`.

    Notes
    -----
    ``svyglm`` and ``regTermTest`` of the R package survey. Averages: Bieler, Brown, Williams and Brogan (2010), Am. J.
    Epidemiol. 171:618; the standard error accounts for both the coefficients and the average over people, as Stata's
    ``margins, vce(unconditional)``.
    """
    if effect != "coefficient" and kind != "logistic":
        raise bad_input(
            "regression.effect",
            f"the effect {effect} is not defined for a linear regression",
            where="effect",
            hint="leave it out, or use a logistic regression",
        )
    if effect != "coefficient" and not terms:
        raise bad_input(
            "regression.one_level",
            "no term has two levels, so that there is no average effect",
            where=WHERE,
            hint="add a term with two levels, or use a larger domain",
        )
    places, X = _matrix(terms, len(design))
    if kind == "logistic":
        fit, influence = logistic_influence(X, y, design)
    else:
        fit, influence = fit_linear(X, y, design), np.empty((0, 0))
    tables = []
    shown = [] if effect != "coefficient" else [(INTERCEPT, None)]
    for name, term in [*shown, *((each.name, each) for each in terms)]:
        if term is not None and term.kind == "interaction" and effect != "coefficient":
            continue
        own = places[name]
        if term is None or effect == "coefficient":
            points = np.ones((1, 1)) if term is None else term.points
            found = points @ fit.coefficients[own]
            covariance = points @ fit.covariance[np.ix_(own, own)] @ points.T
        else:
            found, scores = _averages(term, terms, X, fit, influence, design, effect)
            covariance = taylor_covariance(scores, design)
            own = [place for other in terms if name in (other.name, *other.parts) for place in places[other.name]]
        table = RegressionFit(found, covariance, fit.df, fit.n).frame(
            [INTERCEPT] if term is None else term.labels, level=level
        )
        table["p_variable"] = _p_of(fit, own)
        table["p_curve"] = _p_of(fit, own[1:]) if term is not None and term.kind == "spline" else np.nan
        tables.append(table.set_index("term")[list(COLUMNS)])
    return pd.concat(tables)


def _matrix(
    terms: Sequence[Term], n: int, instead: Mapping[str, Floats] | None = None
) -> tuple[dict[str, list[int]], Floats]:
    """Return the column indices of each term and the design matrix, with replaced columns for some variables."""
    blocks = {each.name: each.columns for each in terms} | dict(instead or {})
    places, columns = {INTERCEPT: [0]}, [np.ones((n, 1))]
    for term in terms:
        block = _products([blocks[name] for name in term.parts]) if term.parts else blocks[term.name]
        start = sum(each.shape[1] for each in columns)
        places[term.name] = list(range(start, start + block.shape[1]))
        columns.append(np.broadcast_to(block, (n, block.shape[1])))
    return places, np.hstack(columns)


def _averages(
    term: Term,
    terms: Sequence[Term],
    X: Floats,
    fit: RegressionFit,
    influence: Floats,
    design: SurveyDesign,
    effect: Effect,
) -> tuple[Floats, Floats]:
    """Return an average difference or log ratio for each level, and its influence function, shape (n, r)."""
    inside = design.analysis_weight > 0
    weight = design.analysis_weight[inside]
    share = weight / weight.sum()

    def average(of_person: Floats, gradient: Floats) -> tuple[float, Floats]:
        # Sampling affects both the coefficients and the people over whom the average is taken.
        value = float(share @ of_person)
        score = influence @ (share @ gradient)
        score[inside] += (of_person - value) / weight.sum()
        return value, score

    def risk(matrix: Floats) -> tuple[float, Floats]:
        p = expit(matrix[inside] @ fit.coefficients)
        return average(p, (p * (1.0 - p))[:, None] * matrix[inside])

    found = []
    for point in term.points:
        if term.kind == "number":
            reference, one_more = X, _matrix(terms, len(X), {term.name: term.columns + 1.0})[1]
        else:
            reference = _matrix(terms, len(X), {term.name: np.zeros((1, point.size))})[1]
            one_more = _matrix(terms, len(X), {term.name: point[None, :]})[1]
        if term.kind == "number" and effect == "difference":
            slope, p = (one_more - X)[inside], expit(X[inside] @ fit.coefficients)
            steep, rise = p * (1.0 - p), slope @ fit.coefficients
            bend = steep * (1.0 - 2.0 * p) * rise
            found.append(average(steep * rise, bend[:, None] * X[inside] + steep[:, None] * slope))
            continue
        (low, low_score), (high, high_score) = risk(reference), risk(one_more)
        if effect == "difference":
            found.append((high - low, high_score - low_score))
        else:
            found.append((float(np.log(high / low)), high_score / high - low_score / low))
    return np.array([value for value, _ in found]), np.column_stack([score for _, score in found])


def _p_of(fit: RegressionFit, places: Sequence[int]) -> float:
    try:
        return wald_test(fit, places).p
    except MgRiskError:  # more coefficients than degrees of freedom
        return float("nan")


def terms_of(
    columns: Mapping[str, Floats | pd.Series],
    design: SurveyDesign,
    *,
    splines: Mapping[str, Sequence[float]],
    interactions: Sequence[Sequence[str]],
) -> Iterator[Term]:
    """Yield the term of each variable (numbers as float arrays, categories as series), then the interactions.

    Raises
    ------
    MgRiskError
        ``regression.no_variable`` for a spline or an interaction of an unknown variable, or a spline of a category;
        ``regression.repeated`` for an interaction of a variable with itself; ``regression.knots``.
    """
    if repeated := [pair for pair in interactions if len(set(pair)) < max(len(pair), 2)]:
        raise bad_input(
            "regression.repeated",
            f"{':'.join(repeated[0])} is not an interaction of two variables",
            where="interactions",
            hint="name each variable once; use a spline for a curve",
        )
    for name in [*splines, *(each for pair in interactions for each in pair)]:
        if name not in columns or (name in splines and isinstance(columns[name], pd.Series)):
            raise bad_input(
                "regression.no_variable",
                f"{name} is not among the terms" if name not in columns else f"{name} is a category and has no spline",
                where="splines and interactions",
                hint=f"one of {', '.join(columns)}",
            )
    made: dict[str, Term] = {}
    for name, values in columns.items():
        if isinstance(values, pd.Series):
            made[name] = category(name, values, design)
        else:
            made[name] = spline(name, values, splines[name], design) if name in splines else number(name, values)
        if made[name].levels:
            yield made[name]
    for pair in interactions:
        product_of = interaction(*(made[name] for name in pair))
        if product_of.levels:
            yield product_of

"""Design-based estimates as data frames, by groups: the functions exported by `mgrisk.survey`.

These functions wrap `estimates` and `terms` for interactive use. They accept pandas or polars series or arrays, groups,
which are domains of the design, and missing values, whose rows are excluded from the domain but stay in the design.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from typing import Any, Literal, get_args

import numpy as np
import pandas as pd
from pandas.api.types import is_bool_dtype

from mgrisk.errors import bad_input
from mgrisk.survey import contingency, estimates
from mgrisk.survey.design import SurveyDesign
from mgrisk.survey.estimates import UNDEFINED, Estimate, wrong_length
from mgrisk.survey.presentation import korn_graubard
from mgrisk.survey.terms import Effect, Kind, fit_terms, terms_of
from mgrisk.types import Floats


def mean(values: object, design: SurveyDesign, *, by: object = None, level: float = 0.95) -> pd.DataFrame:
    """Estimate the mean of values, overall or by group.

    Parameters
    ----------
    values
        Numbers in any unit, shape (n,), one for each row of the design: a pandas or polars series, or an array. Rows
        without a value are excluded from the domain.
    design
        The design with its domain.
    by
        Groups: a series, a list of series, or a frame. Each group is a domain; rows without a group are in none.
    level
        Confidence level.

    Returns
    -------
    pandas.DataFrame
        estimate, se, low and high in the unit of the values, with a t interval with the degrees of freedom of the
        design; n, the number of people with a value and a positive weight; df. One row, or one for each group, indexed
        by group.

    Raises
    ------
    MgRiskError
        ``survey.not_numbers`` for texts; ``survey.index`` if two series have different indexes;
        ``survey.no_groups`` if nobody has a group; ``design.bad_length``; ``design.single_psu``.

    Notes
    -----
    ``svymean`` and ``svyby`` of the R package survey, with ``na.rm = TRUE``.

    Examples
    --------
    >>> from mgrisk.survey.design import WeightLevel
    >>> design = SurveyDesign([1.0] * 8, [1, 1, 1, 1, 2, 2, 2, 2], [1, 1, 2, 2] * 2, WeightLevel.EXAM)
    >>> people = pd.DataFrame({"bmi": [20.0, 30, 22, 32, 24, 34, 26, None], "sex": ["f", "m"] * 4})
    >>> mean(people["bmi"], design, by=people["sex"])["estimate"].to_dict()
    {'f': 23.0, 'm': 32.0}
    """
    return _of_numbers(lambda domain, array: estimates.mean(array, domain, level=level), [values], design, by)


def total(values: object, design: SurveyDesign, *, by: object = None, level: float = 0.95) -> pd.DataFrame:
    """Estimate the total of values over the population.

    Parameters, result and errors as for `mean`. People without a value do not contribute to the total. Source:
    ``svytotal`` of the R package survey, with ``na.rm = TRUE``.

    Examples
    --------
    >>> from mgrisk.survey.design import WeightLevel
    >>> design = SurveyDesign([10.0, 20.0, 30.0, 40.0], [1, 1, 2, 2], [1, 2, 1, 2], WeightLevel.EXAM)
    >>> total([True, True, False, True], design)["estimate"].tolist()
    [70.0]
    """
    return _of_numbers(lambda domain, array: estimates.total(array, domain, level=level), [values], design, by)


def quantile(
    values: object, design: SurveyDesign, *, probability: float = 0.5, by: object = None, level: float = 0.95
) -> pd.DataFrame:
    """Estimate a quantile of values, the median by default, with Woodruff's interval.

    Parameters, result and errors as for `mean`, and ``design.bad_probability``. Source: Woodruff (1952), JASA 47:635;
    ``svyquantile(qrule = "math", interval.type = "mean")`` of the R package survey.

    Examples
    --------
    >>> from mgrisk.survey.design import WeightLevel
    >>> design = SurveyDesign([1.0] * 8, [1, 1, 1, 1, 2, 2, 2, 2], [1, 1, 2, 2] * 2, WeightLevel.EXAM)
    >>> quantile(range(8), design)["estimate"].tolist()
    [3.0]
    """
    return _of_numbers(
        lambda domain, array: estimates.quantile(array, domain, probability=probability, level=level),
        [values],
        design,
        by,
    )


def ratio(
    numerator: object, denominator: object, design: SurveyDesign, *, by: object = None, level: float = 0.95
) -> pd.DataFrame:
    """Estimate the ratio of two totals.

    Parameters, result and errors as for `mean`, and ``design.zero_denominator``; rows without either value are excluded
    from the domain. Source: ``svyratio`` of the R package survey.

    Examples
    --------
    >>> from mgrisk.survey.design import WeightLevel
    >>> design = SurveyDesign([1.0] * 4, [1, 1, 2, 2], [1, 2, 1, 2], WeightLevel.RECALL1)
    >>> ratio([300.0, 200.0, 400.0, 300.0], [2.0, 1.0, 2.0, 1.0], design)["estimate"].tolist()
    [200.0]
    """
    return _of_numbers(
        lambda domain, top, bottom: estimates.ratio(top, bottom, domain, level=level),
        [numerator, denominator],
        design,
        by,
    )


def proportion(
    values: object,
    design: SurveyDesign,
    *,
    by: object = None,
    level: float = 0.95,
    interval: Literal["korn-graubard", "logit"] = "korn-graubard",
) -> pd.DataFrame:
    """Estimate the share of people with a value of true, or the share of each category.

    Parameters
    ----------
    values
        Booleans, or 0 and 1; or categories or texts, with a row for each.
    design, by, level
        As for `mean`.
    interval
        ``korn-graubard``: the exact binomial interval for the effective sample size, as published by NCHS. ``logit``:
        symmetric on the logit scale, undefined for a share of 0 or 1.

    Returns
    -------
    pandas.DataFrame
        As that of `mean`, with shares from 0 to 1; indexed by group and category.

    Raises
    ------
    MgRiskError
        As for `mean`; ``design.not_binary`` for numbers other than 0 and 1; ``survey.interval``.

    Notes
    -----
    Korn and Graubard (1998), Surv. Methodol. 24:193, as in NCHS, Vital Health Stat 2(175); ``logit`` is
    ``svyciprop(method = "xlogit")`` of the R package survey.

    Examples
    --------
    >>> from mgrisk.survey.design import WeightLevel
    >>> design = SurveyDesign([1.0] * 8, [1, 1, 1, 1, 2, 2, 2, 2], [1, 1, 2, 2] * 2, WeightLevel.EXAM)
    >>> proportion(pd.Series(["never", "former", "never", "never"] * 2), design)["estimate"].to_dict()
    {'former': 0.25, 'never': 0.75}
    """
    if interval not in ("korn-graubard", "logit"):
        raise bad_input(
            "survey.interval",
            "unknown interval of a proportion",
            where="interval",
            hint="use korn-graubard or logit",
            got=str(interval),
        )

    def share(domain: SurveyDesign, array: Floats) -> Estimate:
        found = estimates.proportion(array, domain, level=level)
        if interval == "logit":
            return found
        low, high = korn_graubard(found, level=level)
        return Estimate(found.estimate, found.se, low, high, found.n, found.df)

    series = _series(values)
    if _is_numeric(series):
        return _of_numbers(share, [values], design, by)
    names, domains = _domains(design, by, values)
    words = series.astype("category")
    seen = set(words[design.analysis_weight > 0].dropna())
    members = {
        label: (words == label).to_numpy(dtype=np.float64, na_value=0.0)
        for label in words.cat.categories
        if label in seen
    }
    rows = {
        (*group, label): share(domain, member) if domain.n else UNDEFINED
        for group, domain in domains
        for label, member in members.items()
    }
    return _table(rows, [*names, series.name])


def regression(
    y: object,
    X: object,
    design: SurveyDesign,
    *,
    kind: Kind = "linear",
    effect: Effect = "coefficient",
    splines: Mapping[str, Sequence[float]] | None = None,
    interactions: Sequence[Sequence[str]] = (),
    by: object = None,
    level: float = 0.95,
) -> pd.DataFrame:
    """Fit a linear or logistic regression with design-based standard errors.

    Parameters
    ----------
    y
        Outcome, shape (n,): numbers, or 0 and 1 in a logistic regression.
    X
        Terms: a frame, a series or an array with n rows. Numbers are used unchanged; categories and texts have a column
        for each level except the first present. An intercept is added.
    design, level
        As for `mean`. Rows without the outcome or a term are excluded from the domain.
    kind
        ``linear``, or ``logistic``, whose coefficients are log-odds.
    effect
        ``coefficient``; for a logistic regression also ``difference``, the average marginal effect on the probability,
        or ``ratio``, the logarithm of the prevalence ratio. They compare the average risk of everyone in the domain at
        a level with that at the reference, other terms unchanged; for a number they are the mean slope, and the ratio
        for one unit more.
    splines
        Knots of the restricted cubic spline of a number, three or more, or the number of knots: ``{"age": [4]}``. Its
        rows compare the other knots with the first one given.
    interactions
        Pairs of names of terms.
    by
        As for `mean`: a regression for each group.

    Returns
    -------
    pandas.DataFrame
        estimate, se, low, high, p (two-sided), n and df of each coefficient, indexed by group and term. Intervals and p
        values use t with the residual degrees of freedom of the design. `p_variable` is for the Wald test that all
        coefficients of a column of `X` are zero, `p_curve` for the non-linearity of a spline; NaN if there are too few
        degrees of freedom.

    Raises
    ------
    MgRiskError
        As for `mean`; ``survey.kind``; those of `terms.terms_of` and `terms.fit_terms`.

    Notes
    -----
    ``svyglm`` and ``regTermTest`` of the R package survey, with ``family = gaussian()`` or ``quasibinomial()``. The
    exponential of a coefficient of a logistic regression is an odds ratio. Averages: `terms.fit_terms`.

    Examples
    --------
    >>> from mgrisk.survey.design import WeightLevel
    >>> design = SurveyDesign([1.0] * 8, [1, 1, 1, 1, 2, 2, 2, 2], [1, 1, 2, 2] * 2, WeightLevel.EXAM)
    >>> people = pd.DataFrame({"age": np.arange(8.0), "sex": ["f", "m"] * 4})
    >>> y = 3.0 + 2.0 * people["age"] + (people["sex"] == "m")
    >>> regression(y, people, design)["estimate"].round(6).to_dict()
    {'intercept': 3.0, 'age': 2.0, 'sex=m': 1.0}
    """
    if kind not in get_args(Kind):
        raise bad_input(
            "survey.kind", "unknown kind of regression", where="kind", hint="use linear or logistic", got=str(kind)
        )
    found = _pandas(X)
    terms = found if isinstance(found, pd.DataFrame) else found.to_frame()
    outcome = numbers(y)
    names, domains = _domains(design, by, y, X)
    tables = []
    for group, domain in domains:
        columns = {
            str(name): numbers(each) if _is_numeric(each) and not is_bool_dtype(each.dtype) else each
            for name, each in terms.items()
        }
        made = terms_of(columns, domain, splines=splines or {}, interactions=interactions)
        table = fit_terms(outcome, list(made), domain, kind=kind, effect=effect, level=level)
        tables.append(table if not names else pd.concat({group if len(names) > 1 else group[0]: table}, names=names))
    return pd.concat(tables)


def chi_square(values: object, by: object, design: SurveyDesign) -> pd.DataFrame:
    """Test whether the shares of categories are equal in all groups (Rao-Scott chi-square test).

    Parameters
    ----------
    values
        Categories, texts, booleans or numbers with few values, one for each row of the design, shape (n,).
    by
        Group of each person, shape (n,). Rows without a value or a group are excluded from the domain.
    design
        As for `mean`.

    Returns
    -------
    pandas.DataFrame
        One row: statistic (F), numerator and denominator (degrees of freedom), p, n.

    Raises
    ------
    MgRiskError
        ``survey.index``; those of `contingency.chi_square`.

    Notes
    -----
    ``svychisq(statistic = "F")`` of the R package survey.

    Examples
    --------
    >>> from mgrisk.survey.design import WeightLevel
    >>> design = SurveyDesign([1.0] * 8, [1, 1, 1, 1, 2, 2, 2, 2], [1, 1, 2, 2] * 2, WeightLevel.EXAM)
    >>> chi_square(["a", "b"] * 4, [0, 0, 1, 1, 0, 1, 1, 1], design)["p"].round(3).tolist()
    [0.401]
    """
    refuse_other_index(values, by)
    known = design.where(_side_by_side([values, by], design).notna().to_numpy().all(axis=1))
    found = contingency.chi_square(_series(values), _series(by), known)
    return pd.DataFrame([found.to_dict()])


def _of_numbers(
    statistic: Callable[..., Estimate], values: list[object], design: SurveyDesign, by: object
) -> pd.DataFrame:
    """Compute a statistic of a domain and arrays for each group."""
    names, domains = _domains(design, by, *values)
    arrays = [numbers(each) for each in values]
    rows = {group: statistic(domain, *arrays) if domain.n else UNDEFINED for group, domain in domains}
    name = _series(values[0]).name
    return _table(rows if names else {(0 if name is None else name,): rows[()]}, names or [None])


def _domains(
    design: SurveyDesign, by: object, *columns: object
) -> tuple[list[Hashable], list[tuple[tuple[Hashable, ...], SurveyDesign]]]:
    """Return the names of the groupings, and each group with the domain of its people without missing values."""
    several = isinstance(by, list | tuple) and by and hasattr(by[0], "__len__") and not isinstance(by[0], str)
    grouped = [] if by is None else list(by) if several else [by]  # type: ignore[call-overload]
    refuse_other_index(*columns, *grouped)
    groups = _side_by_side(grouped, design)
    known = design.where(_side_by_side(columns, design).notna().to_numpy().all(axis=1))
    if not grouped:
        return [], [((), known)]
    names: list[Hashable] = list(groups.columns)
    present = groups.set_axis(range(len(names)), axis=1)[design.analysis_weight > 0]
    found = []
    for group, rows in present.groupby(list(present.columns), observed=True):
        member = np.zeros(len(design), dtype=np.bool_)
        member[rows.index] = True
        found.append((group, known.where(member)))
    if not found:
        raise bad_input(
            "survey.no_groups",
            "nobody in the domain has a group",
            where=f"by: {', '.join(map(str, names))}",
            hint="check that the groups are of the same people",
        )
    return names, found


def _side_by_side(given: Iterable[object], design: SurveyDesign) -> pd.DataFrame:
    columns = [_pandas(each).reset_index(drop=True) for each in given]
    for each in columns:
        if len(each) != len(design):
            raise wrong_length(each.shape, design)
    return pd.concat(columns, axis=1) if columns else pd.DataFrame(index=range(len(design)))


def refuse_other_index(*given: object) -> None:
    """Raise an error for series and frames with different indexes, whose rows may be of different people."""
    indexes = [each.index for each in given if isinstance(each, pd.Series | pd.DataFrame)]
    if any(not indexes[0].equals(other) for other in indexes[1:]):
        raise bad_input(
            "survey.index",
            "two series have different indexes, so that their rows may be of different people",
            where="values and by",
            hint="take both from one frame, or align one with the other by reindex",
        )


def _pandas(given: Any) -> pd.Series | pd.DataFrame:
    if isinstance(given, pd.Series | pd.DataFrame):
        return given
    if hasattr(given, "to_pandas"):
        converted: pd.Series | pd.DataFrame = given.to_pandas()
        return converted
    array = np.asarray(given)
    return pd.Series(array) if array.ndim == 1 else pd.DataFrame(array)


def _series(given: object) -> pd.Series:
    found = _pandas(given)
    return found if isinstance(found, pd.Series) else found.iloc[:, 0]


def _is_numeric(column: pd.Series) -> bool:
    return pd.api.types.is_numeric_dtype(column.dtype)  # booleans count as numbers


def numbers(given: object) -> Floats:
    """Return a series or array as floats, NaN where missing, shape (n,); raises ``survey.not_numbers``."""
    column = _series(given)
    if not _is_numeric(column):
        raise bad_input(
            "survey.not_numbers",
            "values are not numbers",
            where=str(column.name or "values"),
            hint="estimate shares of categories with proportion, or use a condition such as values == 'yes'",
            got=str(column.dtype),
        )
    return column.to_numpy(dtype=np.float64, na_value=np.nan)


def _table(rows: Mapping[tuple[Hashable, ...], Estimate], names: list[Hashable]) -> pd.DataFrame:
    keys = list(rows)
    index = pd.Index([key[0] for key in keys], name=names[0]) if len(names) == 1 else None
    index = pd.MultiIndex.from_tuples(keys, names=names) if index is None else index
    return pd.DataFrame([each.to_dict() for each in rows.values()], index=index)

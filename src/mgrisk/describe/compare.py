"""Tests of differences and trends between groups, for `mgrisk describe --test`."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Final

import numpy as np
import pandas as pd

from mgrisk.cohort.variables import CYCLE
from mgrisk.describe.answers import Answer, digits, p_value, table
from mgrisk.describe.conditions import Truth, unknown
from mgrisk.describe.groups import grouping
from mgrisk.describe.question import Asked, Question, ask, read
from mgrisk.errors import MgRiskError, usage
from mgrisk.nhanes.harmonise import Harmonised
from mgrisk.nhanes.store import Store
from mgrisk.survey.contingency import chi_square
from mgrisk.survey.design import SurveyDesign
from mgrisk.survey.linear_models import fit_linear, fit_logistic, wald_test
from mgrisk.types import Floats

RAO_SCOTT: Final = "Rao-Scott chi-square"
WALD: Final = "Wald test of means"
TREND: Final = "linear trend"
UNTESTABLE: Final = frozenset(
    {
        "chi_square.empty_cells", "chi_square.one_category", "design.empty_domain", "linear.rank",
        "logistic.not_converged", "logistic.rank", "regression.no_columns", "regression.singular",
    }
)  # fmt: skip
"""Errors for too few data for a test; the result then has no p value."""


@dataclass(frozen=True)
class Comparison(Answer):
    """Tests: variable, level, by, within, test, statistic, numerator, denominator, p, slope, se, n, data.

    `statistic` is an F statistic with degrees of freedom `numerator` and `denominator`. Shares are tested by the
    Rao-Scott chi-square test, means by a Wald test. Ordered groups also have a linear trend, with `slope` per year (of
    cycles), range or unit of a number, in log-odds for shares. `within` is the outer group of the comparison.
    """

    TEXTS: ClassVar[frozenset[str]] = frozenset({"variable", "level", "by", "within", "test"})

    def lines(self) -> list[str]:
        """Return the records as lines of an aligned table."""
        rows: list[tuple[str, ...]] = [
            ("variable", "level", "by", "within", "test", "F", "df", "p", "slope", "se", "n")
        ]
        for record in self.records:
            trend = record["test"] == TREND
            tested = record["numerator"] == record["numerator"]
            freedom = f"{record['numerator']:.4g}, {record['denominator']:.4g}" if tested else "-"
            slope, se = (digits(record[key], record["se"]) if trend else "" for key in ("slope", "se"))
            rows.append(
                (
                    *(str(record[key]) for key in ("variable", "level", "by", "within", "test")),
                    *(digits(record["statistic"], 0.1), freedom, p_value(record["p"]), slope, se, f"{record['n']:,}"),
                )
            )
        return table(rows, texts=self.TEXTS)


def compare(
    store: Store, question: Question, *, cycles: Sequence[str] = (), across_breaks: Iterable[str] = ()
) -> Comparison:
    """Read the tables that a question needs and test whether its groups differ.

    Parameters and errors as for `question.read`, and errors as for `compared`.
    """
    return _compared(read(store, question, cycles=cycles, across_breaks=across_breaks))


def compared(question: Question, harmonised: Harmonised, *, cycles: Sequence[str]) -> Comparison:
    """Test whether the groups of a question differ, using tables already read.

    The groups of the last entry of `by` are compared within each group of the entries before it.

    Parameters
    ----------
    question, harmonised, cycles
        As for `question.ask`.

    Raises
    ------
    MgRiskError
        ``describe.test`` without groups, or for a statistic other than means and shares; as `question.ask`.

    Notes
    -----
    ``svychisq(statistic = "F")``, ``regTermTest`` of ``svyglm(y ~ factor(group))``, and the coefficient of
    ``svyglm(y ~ group)``, quasibinomial for shares, of the R package survey.
    """
    return _compared(ask(question, harmonised, cycles=cycles))


def _compared(asked: Asked) -> Comparison:
    question = asked.question
    if not question.by or question.statistic not in ("", "mean", "proportion"):
        raise usage(
            "describe.test",
            f"there is no test of {question.statistic}" if question.by else "a test needs groups",
            where="--test",
            hint="omit --statistic: means and shares are tested" if question.by else "add groups, for example --by sex",
        )
    return asked.answered(Comparison, (record for text in question.of for record in _of(text, asked)))


def _of(text: str, asked: Asked) -> Iterator[dict[str, Any]]:
    *before, by = asked.question.by
    values = asked.values(text)
    scores = _scores(asked, by)
    for within, outer in asked.groups(before):
        member = np.full(len(outer), -1)
        labels = grouping(by).members(asked.shown, asked.columns, outer.analysis_weight > 0)
        for place, (_, mask) in enumerate(labels):
            member[mask] = place
        about = {"variable": text, "level": "", "by": by, "within": within}
        known = outer.where((member >= 0) & ~unknown(values))
        for test in _tests(values, member, scores, known):
            yield {**about, **test, "n": known.n}


def _scores(asked: Asked, by: str) -> Floats | None:
    """Return the score of each person's group for the trend, shape (n,), or None if the groups have no order."""
    group = grouping(by)
    values = asked.shown[group.names[0]]
    if group.cuts:
        return np.searchsorted(group.cuts, values.to_numpy(dtype=np.float64), side="right").astype(np.float64)
    if by == CYCLE:
        middle = {years: float(np.mean([int(year) for year in years.split("-")])) for years in asked.cycles}
        values = values.map(middle).astype("float64")
    is_number = by.isidentifier() and not isinstance(values.dtype, pd.CategoricalDtype)
    return np.asarray(values, dtype=np.float64) if is_number else None


def _tests(
    values: pd.Series | Truth, member: Any, scores: Floats | None, known: SurveyDesign
) -> Iterator[dict[str, Any]]:
    present = np.unique(member[known.analysis_weight > 0])
    nothing = {"statistic": float("nan"), "numerator": float("nan"), "denominator": float("nan"), "p": float("nan")}
    no_slope = {"slope": float("nan"), "se": float("nan")}
    numeric = isinstance(values, pd.Series) and not isinstance(values.dtype, pd.CategoricalDtype)
    try:
        if isinstance(values, pd.Series) and numeric:
            groups = np.column_stack([np.ones(len(known)), *(member == each for each in present[1:])])
            found: dict[str, Any] = wald_test(
                fit_linear(groups, values, known), range(1, max(present.size, 2))
            ).to_dict()
        else:
            categories = values.true if isinstance(values, Truth) else values
            found = chi_square(categories, member, known).to_dict()
    except MgRiskError as error:
        if error.code not in UNTESTABLE:
            raise
        found = nothing
    yield {"test": WALD if numeric else RAO_SCOTT, **{key: found[key] for key in nothing}, **no_slope}
    if scores is None or present.size < 3:
        return
    outcomes = {"": values.true if isinstance(values, Truth) else values}
    if isinstance(values, pd.Series) and not numeric:
        outcomes = {str(each): (values == each).to_numpy() for each in values.cat.categories}
    line = np.column_stack([np.ones(len(known)), np.where(np.isfinite(scores), scores, 0.0)])
    for level, outcome in outcomes.items():
        try:
            fit = (fit_linear if numeric else fit_logistic)(line, np.asarray(outcome, dtype=np.float64), known)
        except MgRiskError as error:
            if error.code not in UNTESTABLE:
                raise
            yield {"level": level, "test": TREND, **nothing, **no_slope}
            continue
        slope = {"slope": float(fit.coefficients[1]), "se": float(fit.se[1])}
        yield {"level": level, "test": TREND, **wald_test(fit, [1]).to_dict(), **slope}

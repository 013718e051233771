"""Regressions of a number or a condition on variables, ranges and conditions: what `mgrisk regress` computes.

The question is that of `describe`: `of` is the outcome, and the groupings of `by` are the terms.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar, Final, Literal

import numpy as np
import pandas as pd

from mgrisk.describe.answers import Answer, digits, p_value, table
from mgrisk.describe.conditions import Truth
from mgrisk.describe.question import Asked, Question, ask, grouping, read
from mgrisk.errors import MgRiskError, usage
from mgrisk.nhanes.harmonise import Harmonised
from mgrisk.nhanes.store import Store
from mgrisk.survey.frames import regression

Model = Literal["linear", "logistic"]
ODDS_RATIO: Final = "odds ratio"
DIFFERENCE: Final = "difference"
NAN: Final = float("nan")


@dataclass(frozen=True)
class Regression(Answer):
    """A regression, a row for each coefficient and each reference level.

    Fields of a record: outcome, variable, level, reference, statistic, estimate, low, high, coefficient, se, p,
    p_variable, n, df, data. `estimate` is an odds ratio or, in a linear regression, a difference in the unit of the
    outcome: of a level from the reference level, of a number per unit; of the intercept, odds or value where all terms
    are zero or the reference. `coefficient` and `se` are log-odds or the difference itself. `p_variable` tests
    all levels of a variable at once. The row of a reference level has 1 or 0.
    """

    LEFT_OUT: ClassVar[str] = "a value of --of, --on or --where is missing"

    def lines(self) -> list[str]:
        """Return the records as the lines of a table for people."""
        statistic = self.records[-1]["statistic"]
        rows: list[tuple[str, ...]] = [("variable", "level", statistic, "95 % interval", "p", "p of variable")]
        for record in self.records:
            reference = record["reference"] and record["level"] == record["reference"]
            spread = (record["high"] - record["low"]) / 4.0
            estimate, low, high = (digits(record[key], spread) for key in ("estimate", "low", "high"))
            rows.append(
                (
                    record["variable"],
                    record["level"],
                    "reference" if reference else estimate,
                    "" if reference else f"{low} to {high}",
                    "" if reference else p_value(record["p"]),
                    p_value(record["p_variable"]) if reference else "",
                )
            )
        return table(rows, texts={"variable", "level"})

    def notes(self) -> list[str]:
        """Return in words what a reader must know beside the numbers."""
        last = self.records[-1]
        return [
            *super().notes(),
            f"{last['statistic']}s of {last['outcome']}; {last['n']:,} people, {last['df']} degrees of freedom",
        ]


def regress(
    store: Store,
    question: Question,
    *,
    model: Model | None = None,
    reference: Mapping[str, str] | None = None,
    cycles: Sequence[str] = (),
    across_breaks: Iterable[str] = (),
) -> Regression:
    """Read the tables that a question needs and fit its regression.

    Parameters
    ----------
    store, question, cycles, across_breaks
        As for `question.read`.
    model, reference
        As for `fitted`.

    Raises
    ------
    MgRiskError
        As `question.read` and `fitted`.
    """
    return _fitted(read(store, question, cycles=cycles, across_breaks=across_breaks), model, reference or {})


def fitted(
    question: Question,
    harmonised: Harmonised,
    *,
    cycles: Sequence[str],
    model: Model | None = None,
    reference: Mapping[str, str] | None = None,
) -> Regression:
    """Fit the regression of a question to tables that were read.

    Parameters
    ----------
    question
        `of` names one outcome, a number or a condition; `by` the terms: numbers as they are, categories and ranges with
        a coefficient for each level but the reference, conditions as 1 and 0.
    harmonised, cycles
        As for `question.ask`.
    model
        ``logistic`` or ``linear``; logistic for a condition and linear for a number where left out.
    reference
        Reference level by variable; the first level that somebody has where left out.

    Raises
    ------
    MgRiskError
        ``regress.outcome`` for a category, or a number that is not 0 or 1 in a logistic regression;
        ``regress.reference`` for a level that nobody has; ``regress.no_terms``; ``describe.nobody``; as `question.ask`
        and `survey.frames.regression`.

    Notes
    -----
    ``svyglm`` of the R package survey, family ``quasibinomial`` or ``gaussian``; ``regTermTest`` for variables.
    """
    return _fitted(ask(question, harmonised, cycles=cycles), model, reference or {})


def _fitted(asked: Asked, model: Model | None, reference: Mapping[str, str]) -> Regression:
    (text,) = asked.question.of
    if not asked.question.by:
        raise usage("regress.no_terms", "a regression has no terms", where="--on", hint="--on age_years sex")
    outcome = _outcome(asked, text)
    terms = _terms(asked, reference)
    known = (outcome.notna() & terms.notna().all(axis=1)).to_numpy()
    domain = asked.domain.where(known)
    if domain.n == 0:
        raise usage(
            "describe.nobody",
            "nobody has a value of everything in the regression",
            where=f"cycles {', '.join(asked.cycles)}",
            hint="ask for fewer at a time, or another --where",
        )
    kind = model or ("logistic" if isinstance(asked.values(text), Truth) else "linear")
    if kind == "logistic" and not outcome[domain.analysis_weight > 0].isin((0.0, 1.0)).all():
        raise _no_outcome(text, "has values other than 0 and 1", f"--of '{text} >= …'")
    found = regression(outcome, terms, domain, kind=kind)
    present = terms[domain.analysis_weight > 0]
    records = [{"outcome": text, **record} for record in _records(found, present, kind)]
    # Who is below the first range is not asked for; who lacks a value is.
    asked_for = asked.domain.domain & (asked.unsaid | terms.notna().all(axis=1).to_numpy())
    left_out = replace(asked, unsaid=asked.unsaid | (asked_for & outcome.isna().to_numpy()))
    answer = left_out.answered(Regression, records)
    if found["df"].iloc[0] > 0:
        return answer
    return replace(
        answer,
        warnings=(
            *answer.warnings,
            f"{len(found)} coefficients are more than the design can tell apart: there are no intervals and no p "
            "values; combine cycles, or ask for fewer terms",
        ),
    )


def _outcome(asked: Asked, text: str) -> pd.Series:
    values = asked.values(text)
    if isinstance(values, Truth):
        return pd.Series(np.where(values.undecided, NAN, values.true))
    if isinstance(values.dtype, pd.CategoricalDtype):
        raise _no_outcome(text, "is a category", f"a condition: --of \"{text} == '{values.cat.categories[0]}'\"")
    return pd.Series(values.to_numpy(dtype=np.float64))


def _no_outcome(text: str, why: str, hint: str) -> MgRiskError:
    return usage("regress.outcome", f"{text} {why} and is no outcome of this regression", where="--of", hint=hint)


def _terms(asked: Asked, reference: Mapping[str, str]) -> pd.DataFrame:
    """Return a column for each term by its variable: numbers, or categories whose first level is the reference."""
    inside = asked.domain.analysis_weight > 0
    terms: dict[str, pd.Series] = {}
    for text in asked.question.by:
        group = grouping(text)
        name = group.names[0] if group.cuts else text
        if name in terms:
            raise usage("regress.twice", f"{name} is named twice", where="--on", hint="name each variable once")
        values = asked.values(name)
        if isinstance(values, Truth):
            values = pd.Series(np.where(values.undecided, NAN, values.true))
        if group.cuts:
            labels = [label.removeprefix(f"{name} ") for label, _ in group.members(asked.shown, asked.columns, inside)]
            values = pd.cut(values, [*group.cuts, np.inf], right=False, labels=labels)
        terms[name] = values
    for name, level in reference.items():
        terms[name] = _with_reference(terms, name, level, inside)
    return pd.DataFrame(terms)


def _with_reference(terms: Mapping[str, pd.Series], name: str, level: str, inside: Any) -> pd.Series:
    values = terms.get(name)
    levels = []
    if values is not None and isinstance(values.dtype, pd.CategoricalDtype):
        levels = [str(each) for each in values[inside].cat.remove_unused_categories().cat.categories]
    if values is None or level not in levels:
        raise usage(
            "regress.reference",
            f"{level!r} is no level of {name} among the people asked",
            where="--reference",
            hint=f"one of {', '.join(levels)}" if levels else "give NAME=LEVEL of a category or of ranges in --on",
        )
    first = [each for each in values.cat.categories if str(each) == level]
    return values.cat.reorder_categories([*first, *(each for each in values.cat.categories if str(each) != level)])


def _records(found: pd.DataFrame, present: pd.DataFrame, kind: Model) -> Iterator[dict[str, Any]]:
    """Yield a row for each coefficient, and one for each reference level before the other levels."""
    statistic, at_zero, no_difference = (ODDS_RATIO, "odds", 1.0) if kind == "logistic" else (DIFFERENCE, "value", 0.0)
    fits = found.to_dict("index")
    n, df = fits["intercept"]["n"], fits["intercept"]["df"]
    for variable in ["intercept", *present.columns]:
        rows = {"": variable}
        if variable in present and isinstance(present[variable].dtype, pd.CategoricalDtype):
            levels = present[variable].cat.remove_unused_categories().cat.categories
            rows = {str(level): f"{variable}={level}" for level in levels}
        reference = next(iter(rows))
        p_variable = fits[[*rows.values()][-1]]["p_variable"] if len(rows) > 1 or not reference else NAN
        for level, term in rows.items():
            about = {"variable": variable, "level": level, "reference": reference}
            about["statistic"] = at_zero if variable == "intercept" else statistic
            row = {"estimate": no_difference, "low": NAN, "high": NAN, "coefficient": 0.0, "se": NAN, "p": NAN}
            if term in fits:
                fit = fits[term]
                ends = {
                    key: np.exp(fit[key]) if kind == "logistic" else fit[key] for key in ("estimate", "low", "high")
                }
                row = {**ends, "coefficient": fit["estimate"], "se": fit["se"], "p": fit["p"]}
            yield {**about, **row, "p_variable": p_variable, "n": n, "df": df}

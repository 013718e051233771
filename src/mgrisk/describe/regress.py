"""Regressions of a number or a condition on variables, ranges and conditions: what `mgrisk regress` computes.

The question is that of `describe`: `of` is the outcome, and the groupings of `by` are the terms.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import product
from typing import Any, ClassVar, Final, Literal, NamedTuple

import numpy as np
import pandas as pd

from mgrisk.describe.answers import Answer, digits, p_value, table
from mgrisk.describe.conditions import Truth
from mgrisk.describe.groups import grouping
from mgrisk.describe.question import Asked, Question, ask, read
from mgrisk.errors import MgRiskError, usage
from mgrisk.nhanes.harmonise import Harmonised
from mgrisk.nhanes.store import Store
from mgrisk.survey import terms as of_fit
from mgrisk.survey.frames import regression

Model = Literal["linear", "logistic"]
Effect = Literal["odds-ratio", "difference", "prevalence-ratio"]
NAN: Final = float("nan")


class Reading(NamedTuple):
    """How a regression is read: what is asked of the fit, and what it is called."""

    effect: of_fit.Effect
    statistic: str
    at_zero: str
    of_interactions: str
    is_ratio: bool


READINGS: Final[Mapping[tuple[Model, Effect], Reading]] = {
    ("linear", "difference"): Reading("coefficient", "difference", "value", "difference of differences", False),
    ("logistic", "odds-ratio"): Reading("coefficient", "odds ratio", "odds", "ratio of odds ratios", True),
    ("logistic", "difference"): Reading("difference", "average difference", "", "", False),
    ("logistic", "prevalence-ratio"): Reading("ratio", "prevalence ratio", "", "", True),
}
EFFECTS: Final[Mapping[Model, Effect]] = {"linear": "difference", "logistic": "odds-ratio"}


@dataclass(frozen=True)
class Regression(Answer):
    """A regression, a row for each coefficient or average, and each reference level.

    Fields of a record: outcome, variable, level, reference, statistic, estimate, low, high, coefficient, se, p,
    p_variable, p_curve, n, df, data. `estimate` is an odds ratio; in a linear regression a difference in the unit of
    the outcome; an average difference of probabilities; or a prevalence ratio: of a level from the reference level, of
    a number per unit; of the intercept, odds or value where all terms are zero or the reference; of an interaction the
    ratio or difference of two of them. `coefficient` and `se` are its logarithm or the difference itself. `p_variable`
    tests all levels of a variable at once, `p_curve` that a spline is a straight line. The row of a reference level has
    1 or 0.
    """

    LEFT_OUT: ClassVar[str] = "a value of --of, --on or --where is missing"

    def lines(self) -> list[str]:
        """Return the records as the lines of a table for people."""
        rows: list[tuple[str, ...]] = [
            ("variable", "level", self._statistic, "95 % interval", "p", "p of variable", "p of curve", "of")
        ]
        for record in self.records:
            is_reference = bool(record["reference"]) and record["level"] == record["reference"]
            is_interaction = record["statistic"] in {each.of_interactions for each in READINGS.values()}
            spread = (record["high"] - record["low"]) / 4.0
            estimate, low, high = (digits(record[key], spread) for key in ("estimate", "low", "high"))
            rows.append(
                (
                    record["variable"],
                    record["level"],
                    "reference" if is_reference else estimate,
                    "" if is_reference else f"{low} to {high}",
                    "" if is_reference else p_value(record["p"]),
                    p_value(record["p_variable"]) if is_reference or is_interaction else "",
                    p_value(record["p_curve"]) if is_reference and record["p_curve"] == record["p_curve"] else "",
                    record["statistic"] if is_interaction else "",
                )
            )
        return table(rows, texts={"variable", "level", "of"})

    def notes(self) -> list[str]:
        """Return in words what a reader must know beside the numbers."""
        last = self.records[-1]
        return [
            *super().notes(),
            f"{self._statistic}s of {last['outcome']}; {last['n']:,} people, {last['df']} degrees of freedom",
        ]

    @property
    def _statistic(self) -> str:
        of_variables = (record["statistic"] for record in self.records if record["variable"] != of_fit.INTERCEPT)
        return str(next(of_variables))


def regress(
    store: Store,
    question: Question,
    *,
    model: Model | None = None,
    effect: Effect | None = None,
    reference: Mapping[str, str] | None = None,
    cycles: Sequence[str] = (),
    across_breaks: Iterable[str] = (),
) -> Regression:
    """Read the tables that a question needs and fit its regression.

    Parameters
    ----------
    store, question, cycles, across_breaks
        As for `question.read`.
    model, effect, reference
        As for `fitted`.

    Raises
    ------
    MgRiskError
        As `question.read` and `fitted`.
    """
    asked = read(store, question, cycles=cycles, across_breaks=across_breaks)
    return _fitted(asked, model, effect, reference or {})


def fitted(
    question: Question,
    harmonised: Harmonised,
    *,
    cycles: Sequence[str],
    model: Model | None = None,
    effect: Effect | None = None,
    reference: Mapping[str, str] | None = None,
) -> Regression:
    """Fit the regression of a question to tables that were read.

    Parameters
    ----------
    question
        `of` names one outcome, a number or a condition; `by` the terms: numbers as they are, categories and ranges with
        a coefficient for each level but the reference, conditions; splines, ``spline(age_years)`` with four knots,
        ``spline(age_years=5)`` with five or ``spline(age_years=20,40,60)`` with these; and interactions of terms,
        ``sex:age_years``.
    harmonised, cycles
        As for `question.ask`.
    model
        ``logistic`` or ``linear``; logistic for a condition and linear for a number where left out.
    effect
        Of a logistic regression: ``odds-ratio`` where left out, ``difference`` or ``prevalence-ratio``, which are
        averages over the people asked (`survey.terms.fit_terms`).
    reference
        Reference level by variable; where left out the first level that somebody has, and the first knot of a spline.

    Raises
    ------
    MgRiskError
        ``regress.outcome`` for a category, or a number that is not 0 or 1 in a logistic regression;
        ``regress.reference`` for a level that nobody has; ``regress.no_terms``; ``regress.no_main`` for an interaction
        whose parts are no terms; ``regress.effect``; ``describe.nobody``; as `question.ask` and
        `survey.frames.regression`.

    Notes
    -----
    ``svyglm`` of the R package survey, family ``quasibinomial`` or ``gaussian``; ``regTermTest`` for variables.
    """
    return _fitted(ask(question, harmonised, cycles=cycles), model, effect, reference or {})


def _fitted(asked: Asked, model: Model | None, effect: Effect | None, reference: Mapping[str, str]) -> Regression:
    (text,) = asked.question.of
    if not asked.question.by:
        raise usage("regress.no_terms", "a regression has no terms", where="--on", hint="--on age_years sex")
    outcome = _outcome(asked, text)
    kind: Model = model or ("logistic" if isinstance(asked.values(text), Truth) else "linear")
    reading = READINGS.get((kind, effect or EFFECTS[kind]))
    if reading is None:
        raise usage(
            "regress.effect",
            f"a {kind} regression has no {effect}",
            where="--effect",
            hint=f"one of {', '.join(known for model_, known in READINGS if model_ == kind)}",
        )
    terms = _terms(asked, reference)
    known = (outcome.notna() & terms.columns.notna().all(axis=1)).to_numpy()
    domain = asked.domain.where(known)
    if domain.n == 0:
        raise usage(
            "describe.nobody",
            "nobody has a value of everything in the regression",
            where=f"cycles {', '.join(asked.cycles)}",
            hint="ask for fewer at a time, or another --where",
        )
    if kind == "logistic" and not outcome[domain.analysis_weight > 0].isin((0.0, 1.0)).all():
        raise _no_outcome(text, "has values other than 0 and 1", f"--of '{text} >= …'")
    found = regression(
        outcome,
        terms.columns,
        domain,
        kind=kind,
        effect=reading.effect,
        splines=terms.splines,
        interactions=terms.interactions,
    )
    present = terms.columns[domain.analysis_weight > 0]
    records = [{"outcome": text, **record} for record in _records(found, terms, present, reading)]
    # Who is below the first range is not asked for; who lacks a value is.
    asked_for = asked.domain.domain & (asked.unsaid | terms.columns.notna().all(axis=1).to_numpy())
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


@dataclass(frozen=True)
class Terms:
    """Columns by variable, categories with their reference first; knots by variable, and which terms interact."""

    columns: pd.DataFrame
    splines: Mapping[str, Sequence[float]]
    interactions: Sequence[Sequence[str]] = ()

    def levels(self, name: str, present: pd.DataFrame) -> list[str]:
        """Return the levels of a variable, the reference first; none of a number or a condition."""
        if name in self.splines:
            return [f"{knot:g}" for knot in self.splines[name]]
        values = present[name]
        if isinstance(values.dtype, pd.CategoricalDtype):
            return [str(each) for each in values.cat.remove_unused_categories().cat.categories]
        return []

    def referred(self, name: str, level: str, present: pd.DataFrame) -> Terms:
        """Return them with another reference of a variable."""
        levels = self.levels(name, present) if name in present else []
        if level not in levels:
            raise usage(
                "regress.reference",
                f"{level!r} is no level of {name} among the people asked",
                where="--reference",
                hint=f"one of {', '.join(levels)}"
                if levels
                else "give NAME=LEVEL of a category, of ranges or of a spline in --on",
            )
        if name in self.splines:
            knots = sorted(self.splines[name], key=lambda knot: f"{knot:g}" != level)
            return replace(self, splines={**self.splines, name: knots})
        values = self.columns[name]
        ordered = sorted(values.cat.categories, key=lambda each: str(each) != level)
        return replace(self, columns=self.columns.assign(**{name: values.cat.reorder_categories(ordered)}))


def _terms(asked: Asked, reference: Mapping[str, str]) -> Terms:
    inside = asked.domain.analysis_weight > 0
    groups = [grouping(text) for text in asked.question.by]
    columns: dict[str, pd.Series] = {}
    splines: dict[str, Sequence[float]] = {}
    named: dict[str, str] = {}
    for group in (each for each in groups if not each.parts):
        name = named[group.text.strip()] = group.variable
        if name in columns:
            raise usage("regress.twice", f"{name} is named twice", where="--on", hint="name each variable once")
        values = asked.values(name)
        if isinstance(values, Truth):
            values = pd.Series(values.true, dtype="boolean").mask(values.undecided)
        if group.cuts:
            labels = [label.removeprefix(f"{name} ") for label, _ in group.members(asked.shown, asked.columns, inside)]
            values = pd.cut(values, [*group.cuts, np.inf], right=False, labels=labels)
        if group.knots:
            if isinstance(values.dtype, pd.CategoricalDtype):
                raise usage(
                    "describe.not_a_number", f"{name} is a category and has no curve", where="--on", hint=f"--on {name}"
                )
            splines[name] = of_fit.knots_of(values.to_numpy(dtype=np.float64), group.knots, asked.domain)
        columns[name] = values
    interactions = []
    for group in (each for each in groups if each.parts):
        if lacking := [part.text for part in group.parts if part.text not in named]:
            raise usage(
                "regress.no_main",
                f"{group.text} is an interaction of {', '.join(lacking)}, which is no term of its own",
                where="--on",
                hint=f"--on {' '.join(part.text for part in group.parts)} {group.text}",
            )
        interactions.append([named[part.text] for part in group.parts])
    terms = Terms(pd.DataFrame(columns), splines, interactions)
    for name, level in reference.items():
        terms = terms.referred(name, level, terms.columns[inside])
    return terms


def _records(found: pd.DataFrame, terms: Terms, present: pd.DataFrame, reading: Reading) -> Iterator[dict[str, Any]]:
    """Yield a row for each coefficient or average, and one for each reference level before the other levels."""
    fits = found.to_dict("index")
    of_variable: dict[str, list[tuple[str, str]]] = {}
    for name in present.columns:
        levels = terms.levels(name, present)
        of_variable[name] = [(level, f"{name}={level}") for level in levels] or [("", name)]
    rows = [] if reading.effect != "coefficient" else [(of_fit.INTERCEPT, reading.at_zero, "", "", of_fit.INTERCEPT)]
    for name, pairs in of_variable.items():
        rows += [(name, reading.statistic, pairs[0][0], level, label) for level, label in pairs]
    for names in terms.interactions if reading.effect == "coefficient" else ():
        # What is at the reference of any part has no coefficient.
        for parts in product(*(of_variable[name][len(of_variable[name]) > 1 :] for name in names)):
            at = ", ".join(level for level, _ in parts if level)
            rows.append((":".join(names), reading.of_interactions, "", at, ":".join(label for _, label in parts)))
    tests = {variable: fits[label] for variable, _, _, _, label in rows if label in fits}
    n_and_df = {key: next(iter(fits.values()))[key] for key in ("n", "df")}
    for variable, statistic, reference, level, label in rows:
        fit = fits.get(label)
        estimate = {"estimate": 1.0 if reading.is_ratio else 0.0, "low": NAN, "high": NAN}
        if fit is not None:
            estimate = {key: np.exp(fit[key]) if reading.is_ratio else fit[key] for key in estimate}
        yield {
            **{"variable": variable, "level": level, "reference": reference, "statistic": statistic},
            **estimate,
            **{"coefficient": 0.0 if fit is None else fit["estimate"]},
            **{key: NAN if fit is None else fit[key] for key in ("se", "p")},
            **{key: tests[variable][key] if variable in tests else NAN for key in ("p_variable", "p_curve")},
            **n_and_df,
        }

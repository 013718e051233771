"""Regressions of a number or a condition on variables, ranges and conditions, for `mgrisk regress`.

The question is that of `describe`: `of` is the outcome, and the groupings in `by` are the terms.
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


class EffectMeasure(NamedTuple):
    """An effect measure of a regression, and the names of its statistics."""

    effect: of_fit.Effect
    statistic: str
    at_zero: str
    of_interactions: str
    is_ratio: bool


EFFECT_MEASURES: Final[Mapping[tuple[Model, Effect], EffectMeasure]] = {
    ("linear", "difference"): EffectMeasure("coefficient", "difference", "value", "difference of differences", False),
    ("logistic", "odds-ratio"): EffectMeasure("coefficient", "odds ratio", "odds", "ratio of odds ratios", True),
    ("logistic", "difference"): EffectMeasure("difference", "average difference", "", "", False),
    ("logistic", "prevalence-ratio"): EffectMeasure("ratio", "prevalence ratio", "", "", True),
}
EFFECTS: Final[Mapping[Model, Effect]] = {"linear": "difference", "logistic": "odds-ratio"}


@dataclass(frozen=True)
class Regression(Answer):
    """A regression, with a record for each coefficient or average effect and each reference level.

    Fields of a record: outcome, variable, level, reference, statistic, estimate, low, high, coefficient, se, p,
    p_variable, p_curve, n, df, data. `estimate` is an odds ratio, a difference in the unit of the outcome (linear
    regression), an average difference of probabilities, or a prevalence ratio: of a level against the reference level,
    or per unit of a number. For the intercept it is the odds or value with all terms at zero or their reference; for an
    interaction it is a ratio of odds ratios or a difference of differences. `coefficient` and `se` are on the log scale
    for ratios. `p_variable` tests all levels of a variable jointly, `p_curve` the non-linearity of a spline. The record
    of a reference level has the estimate 1 or 0.
    """

    LEFT_OUT: ClassVar[str] = "a value of --of, --on or --where is missing"

    def lines(self) -> list[str]:
        """Return the records as lines of an aligned table."""
        rows: list[tuple[str, ...]] = [
            ("variable", "level", self._statistic, "95 % interval", "p", "p of variable", "p of curve", "of")
        ]
        for record in self.records:
            is_reference = bool(record["reference"]) and record["level"] == record["reference"]
            is_interaction = record["statistic"] in {each.of_interactions for each in EFFECT_MEASURES.values()}
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
        """Return the context of the records in sentences."""
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
    """Fit the regression of a question, using tables already read.

    Parameters
    ----------
    question
        `of` has one outcome, a number or a condition. `by` has the terms: numbers; categories, ranges and conditions,
        with a coefficient for each level except the reference; splines, ``spline(age_years)`` with four knots,
        ``spline(age_years=5)`` with five or ``spline(age_years=20,40,60)`` with the given ones; and interactions of
        terms, ``sex:age_years``.
    harmonised, cycles
        As for `question.ask`.
    model
        ``logistic`` or ``linear``; by default logistic for a condition and linear for a number.
    effect
        Effect measure of a logistic regression: ``odds-ratio`` (default), or ``difference`` or ``prevalence-ratio``,
        averaged over the people in the domain (`survey.terms.fit_terms`).
    reference
        Reference level by variable; by default the first level present, or the first knot of a spline.

    Raises
    ------
    MgRiskError
        ``regress.outcome`` for a category, or a number other than 0 and 1 in a logistic regression;
        ``regress.reference`` for a level that is not present; ``regress.no_terms``; ``regress.no_main`` for an
        interaction without main effects; ``regress.effect``; ``describe.nobody``; as `question.ask` and
        `survey.frames.regression`.

    Notes
    -----
    ``svyglm`` of the R package survey, family ``quasibinomial`` or ``gaussian``; ``regTermTest`` for variables.
    """
    return _fitted(ask(question, harmonised, cycles=cycles), model, effect, reference or {})


def _fitted(asked: Asked, model: Model | None, effect: Effect | None, reference: Mapping[str, str]) -> Regression:
    (text,) = asked.question.of
    if not asked.question.by:
        raise usage(
            "regress.no_terms",
            "a regression has no terms",
            where="--on",
            hint="add terms, for example --on age_years sex",
        )
    outcome = _outcome(asked, text)
    kind: Model = model or ("logistic" if isinstance(asked.values(text), Truth) else "linear")
    measure = EFFECT_MEASURES.get((kind, effect or EFFECTS[kind]))
    if measure is None:
        raise usage(
            "regress.effect",
            f"a {kind} regression has no {effect}",
            where="--effect",
            hint=f"one of {', '.join(known for model_, known in EFFECT_MEASURES if model_ == kind)}",
        )
    terms = _terms(asked, reference)
    known = (outcome.notna() & terms.columns.notna().all(axis=1)).to_numpy()
    domain = asked.domain.where(known)
    if domain.n == 0:
        raise usage(
            "describe.nobody",
            "nobody has complete data for the regression",
            where=f"cycles {', '.join(asked.cycles)}",
            hint="use fewer variables, or another --where",
        )
    if kind == "logistic" and not outcome[domain.analysis_weight > 0].isin((0.0, 1.0)).all():
        raise _no_outcome(text, "has values other than 0 and 1", f"--of '{text} >= …'")
    found = regression(
        outcome,
        terms.columns,
        domain,
        kind=kind,
        effect=measure.effect,
        splines=terms.splines,
        interactions=terms.interactions,
    )
    present = terms.columns[domain.analysis_weight > 0]
    records = [{"outcome": text, **record} for record in _records(found, terms, present, measure)]
    # People below the first range are not counted as excluded; people with a missing value are.
    asked_for = asked.domain.domain & (asked.undecided | terms.columns.notna().all(axis=1).to_numpy())
    left_out = replace(asked, undecided=asked.undecided | (asked_for & outcome.isna().to_numpy()))
    answer = left_out.answered(Regression, records)
    if found["df"].iloc[0] > 0:
        return answer
    return replace(
        answer,
        warnings=(
            *answer.warnings,
            f"{len(found)} coefficients are more than the degrees of freedom of the design allow: there are no "
            "intervals and no p values; combine cycles, or use fewer terms",
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
    return usage("regress.outcome", f"{text} {why} and cannot be the outcome", where="--of", hint=f"use {hint}")


@dataclass(frozen=True)
class Terms:
    """Columns by variable (categories with the reference first), knots of splines by variable, and interactions."""

    columns: pd.DataFrame
    splines: Mapping[str, Sequence[float]]
    interactions: Sequence[Sequence[str]] = ()

    def levels(self, name: str, present: pd.DataFrame) -> list[str]:
        """Return the levels of a variable, the reference first; empty for a number or a condition."""
        if name in self.splines:
            return [f"{knot:g}" for knot in self.splines[name]]
        values = present[name]
        if isinstance(values.dtype, pd.CategoricalDtype):
            return [str(each) for each in values.cat.remove_unused_categories().cat.categories]
        return []

    def referred(self, name: str, level: str, present: pd.DataFrame) -> Terms:
        """Return the terms with another reference level of a variable."""
        levels = self.levels(name, present) if name in present else []
        if level not in levels:
            raise usage(
                "regress.reference",
                f"{level!r} is not a level of {name} in the domain",
                where="--reference",
                hint=f"one of {', '.join(levels)}"
                if levels
                else "use NAME=LEVEL for a category, ranges or a spline in --on",
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
                    "describe.not_a_number",
                    f"{name} is a category and has no spline",
                    where="--on",
                    hint=f"use --on {name}",
                )
            splines[name] = of_fit.knots_of(values.to_numpy(dtype=np.float64), group.knots, asked.domain)
        columns[name] = values
    interactions = []
    for group in (each for each in groups if each.parts):
        if lacking := [part.text for part in group.parts if part.text not in named]:
            raise usage(
                "regress.no_main",
                f"{group.text} is an interaction without the main effect of {', '.join(lacking)}",
                where="--on",
                hint=f"use --on {' '.join(part.text for part in group.parts)} {group.text}",
            )
        interactions.append([named[part.text] for part in group.parts])
    terms = Terms(pd.DataFrame(columns), splines, interactions)
    for name, level in reference.items():
        terms = terms.referred(name, level, terms.columns[inside])
    return terms


def _records(
    found: pd.DataFrame, terms: Terms, present: pd.DataFrame, measure: EffectMeasure
) -> Iterator[dict[str, Any]]:
    """Yield a record for each coefficient or average effect, with reference levels before the other levels."""
    fits = found.to_dict("index")
    of_variable: dict[str, list[tuple[str, str]]] = {}
    for name in present.columns:
        levels = terms.levels(name, present)
        of_variable[name] = [(level, f"{name}={level}") for level in levels] or [("", name)]
    rows = [] if measure.effect != "coefficient" else [(of_fit.INTERCEPT, measure.at_zero, "", "", of_fit.INTERCEPT)]
    for name, pairs in of_variable.items():
        rows += [(name, measure.statistic, pairs[0][0], level, label) for level, label in pairs]
    for names in terms.interactions if measure.effect == "coefficient" else ():
        # There is no coefficient for the reference level of any part.
        for parts in product(*(of_variable[name][len(of_variable[name]) > 1 :] for name in names)):
            at = ", ".join(level for level, _ in parts if level)
            rows.append((":".join(names), measure.of_interactions, "", at, ":".join(label for _, label in parts)))
    tests = {variable: fits[label] for variable, _, _, _, label in rows if label in fits}
    n_and_df = {key: next(iter(fits.values()))[key] for key in ("n", "df")}
    for variable, statistic, reference, level, label in rows:
        fit = fits.get(label)
        estimate = {"estimate": 1.0 if measure.is_ratio else 0.0, "low": NAN, "high": NAN}
        if fit is not None:
            estimate = {key: np.exp(fit[key]) if measure.is_ratio else fit[key] for key in estimate}
        yield {
            **{"variable": variable, "level": level, "reference": reference, "statistic": statistic},
            **estimate,
            **{"coefficient": 0.0 if fit is None else fit["estimate"]},
            **{key: NAN if fit is None else fit[key] for key in ("se", "p")},
            **{key: tests[variable][key] if variable in tests else NAN for key in ("p_variable", "p_curve")},
            **n_and_df,
        }

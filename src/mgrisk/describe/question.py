"""A question about NHANES (names, conditions, ranges), its validation, and the data needed to answer it.

`read` reads the tables that a question needs; `ask` uses tables already read. Both return the columns and the survey
design from which `query`, `compare` and `regress` compute results.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final, TypeVar

import numpy as np
import pandas as pd

from mgrisk.cohort.variables import column, decoded, level_of, problem_in, refuse_unknown, sources_of
from mgrisk.cohort.weights import combined_weight, shares
from mgrisk.describe.answers import Answer
from mgrisk.describe.conditions import Amount, Condition, Truth, evaluated, expression, parse
from mgrisk.describe.groups import grouping
from mgrisk.errors import MgRiskError, usage
from mgrisk.features import compute
from mgrisk.features.compute import from_nhanes
from mgrisk.features.registry import FEATURES, Feature, computed_from, features
from mgrisk.features.summary import gather
from mgrisk.nhanes.codebook import SYNTHETIC
from mgrisk.nhanes.cycles import CYCLES, cycle
from mgrisk.nhanes.eras import Break, check_comparable, equation_sources, later_breaks
from mgrisk.nhanes.harmonise import Harmonised, apply_crosswalks
from mgrisk.nhanes.store import Store
from mgrisk.survey.design import SurveyDesign, WeightLevel, weight_level
from mgrisk.survey.standard import standard_population
from mgrisk.types import Booleans

KORN_GRAUBARD: Final = "korn-graubard"
RATIO: Final = "ratio"
DESIGN: Final = ("SDMVSTRA", "SDMVPSU")
AGE: Final = "RIDAGEYR"
AGE_ADJUSTED: Final = "age-adjusted"


@dataclass(frozen=True)
class Question:
    """A question to be answered from NHANES.

    Attributes
    ----------
    of
        What to estimate: features, NHANES variables, arithmetic on them, or conditions, whose share is estimated.
    by
        Groupings into domains: features or variables, ranges of a number (``age_years=20,40,60``), or conditions.
    where
        Condition that defines the domain; no rows are dropped.
    statistic
        ``mean``, ``proportion``, ``quantile=P``; ``total`` over the population (people without a value count as 0);
        ``ratio`` of two totals, ``A / B``; or ``age-adjusted``, means and shares standardised to the US population of
        the year 2000, 20 years and over. If empty, means of numbers and shares of categories.
    weight
        NHANES name of the weight to use; if empty, that of the smallest subsample in the question.
    standard
        Lower age limits of the groups of ``age-adjusted``.
    interval
        Interval of proportions: ``korn-graubard``, as published by NCHS, or ``logit``.
    harmonise
        Names of breaks (`nhanes/eras.toml`) before which values are converted to the later scale by CDC's equation.
    """

    of: tuple[str, ...]
    by: tuple[str, ...] = ()
    where: str = ""
    statistic: str = ""
    weight: str = ""
    standard: tuple[int, ...] = (20, 40, 60)
    interval: str = KORN_GRAUBARD
    harmonise: tuple[str, ...] = ()

    def names(self) -> tuple[str, ...]:
        """Return every feature and variable in the question, without duplicates.

        Raises
        ------
        MgRiskError
            ``describe.unknown_name`` with the closest name, ``condition.syntax``, ``describe.statistic``.
        """
        statistic_of(self.statistic)
        standard_population(self.standard)
        if self.statistic == RATIO:
            for text in self.of:
                quotient(text)
        conditions: list[Condition | Amount] = [expression(text) for text in self.of if not text.isidentifier()]
        conditions += [parse(self.where)] if self.where else []
        by = [grouping(text) for text in self.by]
        plain = [text for text in self.of if text.isidentifier()]
        age = [AGE] if self.statistic == AGE_ADJUSTED else []
        conditional = [name for each in by for name in each.names]
        conditional += [name for each in conditions for name in each.names]
        names = dict.fromkeys([*plain, *conditional, *age])
        refuse_unknown(names)
        return tuple(names)

    def level(self, cycles: Sequence[str]) -> tuple[WeightLevel, str]:
        """Return the subsample that covers all variables of the question, and the variable that determines it."""
        if not self.weight:
            return weight_level({name: level_of(name, cycles) for name in self.names()})
        found = [level for level in WeightLevel if _weights_or_none(level, cycles) == (self.weight,)]
        if not found:
            known = dict.fromkeys(name for each in WeightLevel for name in _weights_or_none(each, cycles))
            raise usage(
                "describe.no_weight",
                f"{self.weight} is not the weight of any sample in {', '.join(cycles)}",
                where="--weight",
                hint=f"one of {', '.join(known)}",
            )
        return found[0], "--weight"

    def features(self) -> tuple[Feature, ...]:
        """Return the features in the question."""
        return features(name for name in self.names() if name in FEATURES)

    def sources(self, cycles: Sequence[str]) -> tuple[str, ...]:
        """Return the NHANES variables to read: sources of the names in the question, design and weights."""
        level, _ = self.level(cycles)
        asked = (source for name in self.names() for source in sources_of(name))
        converted = equation_sources(self.harmonise)
        return tuple(dict.fromkeys([*asked, *converted, *DESIGN, *_weights(level, cycles)]))

    def gather(self, store: Store, cycles: Sequence[str]) -> Harmonised:
        """Read all participants of some cycles with the variables that the question needs."""
        chosen = [cycle(years) for years in cycles]
        return gather(store, cycles=chosen, chosen=self.features(), names=self.sources(cycles))


KindOfAnswer = TypeVar("KindOfAnswer", bound=Answer)


@dataclass(frozen=True, eq=False)
class Asked:
    """A question with the data to answer it.

    Attributes
    ----------
    question
        The question.
    columns, shown
        A series for each name of the question, shape (n,): numbers and codes, and the same with CDC's labels.
    full, domain
        The design of all participants of the cycles, and the same with `where` as its domain.
    undecided
        For whom `where` or a group of `by` is undecided because a value is missing, shape (n,).
    weight, forced_by
        Names of the weights, and the variable that determined them.
    cycles, synthetic, crossed, harmonised, not_harmonised
        As in `Answer`.
    """

    question: Question
    columns: Mapping[str, pd.Series]
    shown: Mapping[str, pd.Series]
    full: SurveyDesign
    domain: SurveyDesign
    undecided: Booleans
    weight: tuple[str, ...]
    forced_by: str
    cycles: tuple[str, ...]
    synthetic: bool
    crossed: tuple[Break, ...] = ()
    harmonised: tuple[Break, ...] = ()
    not_harmonised: tuple[Break, ...] = ()

    def answered(self, kind: type[KindOfAnswer], records: Iterable[dict[str, Any]]) -> KindOfAnswer:
        """Return the records as an answer, with their context."""
        return kind(
            records=tuple({**record, "data": SYNTHETIC if self.synthetic else "NHANES"} for record in records),
            level=self.full.level,
            weight=self.weight,
            forced_by=self.forced_by,
            cycles=self.cycles,
            undecided=share(self.undecided, self.full),
            synthetic=self.synthetic,
            crossed=self.crossed,
            harmonised=self.harmonised,
            not_harmonised=self.not_harmonised,
            warnings=tuple(self._partly_missing()),
        )

    def values(self, text: str) -> pd.Series | Truth:
        """Return the values of a text in `of` or `by`: numbers, categories with CDC's labels, or truth values."""
        return self.shown[text] if text in self.shown else evaluated(text, self.columns)

    def groups(self, by: Sequence[str]) -> list[tuple[str, SurveyDesign]]:
        """Return the non-empty groups of crossed groupings, each with its label and design."""
        inside = self.domain.analysis_weight > 0
        found = [grouping(text).members(self.shown, self.columns, inside) for text in by]
        groups = []
        for members in itertools.product(*found):
            mask = np.logical_and.reduce([mask for _, mask in members]) if members else self.domain.domain
            if not members or (mask & inside).any():
                groups.append(("; ".join(label for label, _ in members), self.domain.where(mask)))
        return groups

    def _partly_missing(self) -> Iterator[str]:
        """Yield a warning for each condition that is decided for some people despite missing values."""
        for text in self.question.of:
            condition = None if text.isidentifier() else expression(text)
            if not isinstance(condition, Condition):
                continue
            truth, lacking = condition.holds(self.columns), condition.missing(self.columns)
            decided = share(lacking & ~truth.undecided, self.domain)
            if decided > 0 and share(truth.undecided, self.domain) > 0:
                guard = " and ".join(f"not missing({name})" for name in condition.names)
                yield (
                    f"'{text}': {100 * decided:.1f} % have a missing value but are counted, because their other values "
                    f"decide the condition; others with a missing value are excluded; to exclude both, add --where "
                    f"'{guard}'"
                )


def read(store: Store, question: Question, *, cycles: Sequence[str] = (), across_breaks: Iterable[str] = ()) -> Asked:
    """Read the tables that a question needs.

    Parameters
    ----------
    store
        Source of raw tables.
    question
        The question.
    cycles
        Cycles to combine; by default the latest one that has all variables of the question.
    across_breaks
        Names of the breaks in question or method across which values are pooled (`nhanes/eras.toml`).

    Raises
    ------
    MgRiskError
        As `Question.names`, `ask`, `eras.check_comparable` and reading tables; ``describe.no_cycle``,
        ``describe.not_measured``, ``describe.nothing_to_harmonise``.
    """
    names = question.names()
    chosen = list(cycles)
    for name, years in itertools.product(names, chosen):
        if problem := problem_in(name, cycle(years)):
            raise problem
    if not chosen:
        chosen = [each.years for each in CYCLES if all(problem_in(name, each) is None for name in names)][-1:]
    if not chosen:
        raise usage(
            "describe.no_cycle",
            f"no cycle has all of {', '.join(names)}",
            where="mgrisk describe",
            hint="use fewer variables at a time",
        )
    meant = [*names, *(each.name for each in computed_from(question.features()))]
    converted = frozenset(question.harmonise)
    crossed = check_comparable(meant, chosen, across_breaks=frozenset(across_breaks), crosswalks=converted)
    later = later_breaks(meant, chosen)
    if idle := [name for name in question.harmonise if name not in {each.name for each in later}]:
        known = [each.name for each in later if each.converts]
        raise usage(
            "describe.nothing_to_harmonise",
            f"no variable of the question in {', '.join(chosen)} is converted at {', '.join(idle)}",
            where="--harmonise",
            hint=f"one of {', '.join(known)}" if known else "leave it out",
        )
    return replace(
        ask(question, question.gather(store, chosen), cycles=chosen),
        crossed=tuple(each for each in crossed if not each.accepted and each.name not in converted),
        harmonised=tuple(each for each in later if each.name in converted),
        not_harmonised=tuple(each for each in later if each.accepted and each.name not in converted),
    )


def ask(question: Question, harmonised: Harmonised, *, cycles: Sequence[str]) -> Asked:
    """Prepare the data of a question from tables already read.

    Parameters
    ----------
    question
        The question.
    harmonised
        All participants of some cycles, as returned by `Question.gather`.
    cycles
        Cycles to combine, among those in `harmonised`.

    Raises
    ------
    MgRiskError
        As `Question.names`; ``weights.none``.
    """
    rows = harmonised.frame["cycle"].isin(list(cycles))
    raw = apply_crosswalks(harmonised.frame[rows].reset_index(drop=True), question.harmonise)
    level, forced_by = question.level(cycles)
    full = SurveyDesign(
        weight=combined_weight(raw, level, cycles).to_numpy(),
        stratum=raw["SDMVSTRA"].to_numpy(),
        psu=raw["SDMVPSU"].to_numpy(),
        level=level,
    )
    columns = _columns(question, raw, full)
    everyone = Truth(np.ones(len(raw), dtype=np.bool_), np.zeros(len(raw), dtype=np.bool_))
    where = parse(question.where).holds(columns) if question.where else everyone
    undecided = np.zeros(len(raw), dtype=np.bool_)
    for text in question.by:
        undecided |= grouping(text).undecided(columns)
    return Asked(
        question=question,
        columns=columns,
        shown={name: decoded(name, values) for name, values in columns.items()},
        full=full,
        domain=full.where(where.true),
        undecided=where.undecided | (where.true & undecided),
        weight=_weights(level, cycles),
        forced_by=forced_by,
        cycles=tuple(cycles),
        synthetic=harmonised.synthetic,
    )


def _columns(question: Question, raw: pd.DataFrame, full: SurveyDesign) -> dict[str, pd.Series]:
    """Return every feature and variable in the question; models of features are fitted on all participants."""
    chosen = question.features()
    parents = computed_from(chosen)
    models = compute.fit(from_nhanes(raw, parents), full, parents)
    values = from_nhanes(raw, chosen, models=models)
    return {name: values[name] if name in values else column(name, raw) for name in question.names()}


def _weights_or_none(level: WeightLevel, cycles: Sequence[str]) -> tuple[str, ...]:
    try:
        return _weights(level, cycles)
    except MgRiskError:
        return ()


def _weights(level: WeightLevel, cycles: Sequence[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(share.weight for share in shares(level, cycles)))


def statistic_of(text: str) -> tuple[str, float]:
    """Return the name of a statistic (empty for the default) and the probability of a quantile."""
    if text in {"", "mean", "proportion", "total", RATIO, AGE_ADJUSTED}:
        return text, float("nan")
    found = re.fullmatch(r"quantile=(0?\.\d+)", text)
    if not found or not 0.0 < float(found[1]) < 1.0:
        raise usage(
            "describe.statistic",
            f"{text!r} is not a statistic",
            where="--statistic",
            hint="mean, proportion, total, ratio, age-adjusted, or quantile=P with P between 0 and 1: quantile=0.5",
        )
    return "quantile", float(found[1])


def quotient(text: str) -> tuple[Amount, Amount]:
    """Return numerator and denominator of a ratio of totals.

    Raises
    ------
    MgRiskError
        ``describe.ratio``.

    Examples
    --------
    >>> quotient("DR1TTFAT * 9 / DR1TKCAL")[0].text
    'DR1TTFAT * 9'
    """
    asked = None if text.isidentifier() else expression(text)
    sides = asked.quotient() if isinstance(asked, Amount) else None
    if sides is None:
        raise usage(
            "describe.ratio",
            f"{text} is not the quotient of two amounts",
            where="--of",
            hint="write one division, with a name on both sides: 'DR1TTFAT * 9 / DR1TKCAL'",
        )
    return sides


def share(mask: Booleans, design: SurveyDesign) -> float:
    """Return the weighted share of a domain for whom `mask` is true; NaN if the domain is empty."""
    whole = float(design.analysis_weight.sum())
    return float(design.analysis_weight[mask].sum()) / whole if whole > 0 else float("nan")

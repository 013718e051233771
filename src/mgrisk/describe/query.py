"""Design-based estimates of features, NHANES variables and conditions, by domains: what `mgrisk describe` computes.

A `Question` is checked before tables are read; `describe` reads them, `answer` estimates on a frame that is there, and
a `Description` holds flat records and prints them as a table.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, Final

import numpy as np
import pandas as pd

from mgrisk.cohort.variables import column, decoded, level_of, problem_in, refuse_unknown, sources_of
from mgrisk.cohort.weights import combined_weight, shares
from mgrisk.describe.conditions import Truth, parse
from mgrisk.errors import usage
from mgrisk.features import compute
from mgrisk.features.compute import from_nhanes
from mgrisk.features.registry import FEATURES, Feature, computed_from, features
from mgrisk.features.summary import gather
from mgrisk.nhanes.codebook import SYNTHETIC
from mgrisk.nhanes.cycles import CYCLES, cycle
from mgrisk.nhanes.eras import Break, check_comparable
from mgrisk.nhanes.harmonise import Harmonised
from mgrisk.nhanes.store import Store
from mgrisk.survey.design import SurveyDesign, WeightLevel, weight_level
from mgrisk.survey.estimates import (
    UNDEFINED,
    Estimate,
    mean,
    proportion,
    quantile,
    standardised_mean,
    us_2000_age_group,
)
from mgrisk.types import Booleans, Floats

TEXTS: Final = ("variable", "level", "by", "statistic")


@dataclass(frozen=True)
class Description:
    """Estimates with what a reader must know beside them.

    Attributes
    ----------
    records
        Flat: variable, level, by, statistic, estimate, se, low, high, n, df, missing, data. `missing` is the weighted
        share of the domain whose value is missing; `data` is NHANES or SYNTHETIC.
    level, weight, forced_by
        Weight level, the names of its weights, and the name that forced it.
    cycles
        The cycles described.
    undecided
        Weighted share of all people for whom `where` or a value of `by` is missing, so that they are nowhere.
    synthetic
        Whether the people are made up.
    crossed
        Breaks in meaning between the cycles that were accepted.
    """

    records: tuple[dict[str, Any], ...]
    level: WeightLevel
    weight: tuple[str, ...]
    forced_by: str
    cycles: tuple[str, ...]
    undecided: float
    synthetic: bool
    crossed: tuple[Break, ...] = ()

    def frame(self) -> pd.DataFrame:
        """Return the records as a table."""
        return pd.DataFrame(list(self.records))

    def to_dict(self) -> dict[str, Any]:
        """Return the records and where they come from as a plain dict."""
        about = {"weight_level": str(self.level), "weight": list(self.weight), "forced_by": self.forced_by}
        return {**about, "cycles": list(self.cycles), "undecided": self.undecided, "records": list(self.records)}

    def plain_records(self) -> list[dict[str, Any]]:
        """Return the records for JSON, which has no NaN: None stands in its place."""
        return [
            {key: None if isinstance(value, float) and value != value else value for key, value in record.items()}
            for record in self.records
        ]

    def lines(self) -> list[str]:
        """Return the records as the lines of a table for people."""
        rows: list[tuple[str, ...]] = [
            ("variable", "level", "by", "statistic", "estimate", "se", "95 % interval", "n", "df", "missing")
        ]
        for record in self.records:
            estimate, se, low, high = (_digits(record[key], record["se"]) for key in ("estimate", "se", "low", "high"))
            rows.append(
                (
                    *(str(record[key]) for key in TEXTS),
                    *(estimate, se, f"{low} to {high}", f"{record['n']:,}", str(record["df"])),
                    f"{100 * record['missing']:.1f} %",
                )
            )
        # A column that is empty in every row is left out, and so is its head.
        kept = [cells for cells in zip(*rows, strict=True) if any(cells[1:])]
        widths = [max(map(len, cells)) for cells in kept]
        left = [cells[0] in TEXTS for cells in kept]
        return [
            "  ".join(
                cell.ljust(width) if to_left else cell.rjust(width)
                for cell, width, to_left in zip(row, widths, left, strict=True)
            ).rstrip()
            for row in zip(*kept, strict=True)
        ]

    def notes(self) -> list[str]:
        """Return in words what a reader must know beside the numbers."""
        first = f"{SYNTHETIC}: these people are made up; no number is about anybody"
        notes = [first] if self.synthetic else []
        notes.append(f"cycles {', '.join(self.cycles)}")
        notes.append(f"weight {', '.join(self.weight)} ({self.level} sample), because of {self.forced_by}")
        notes += [f"across the break at {each.after} ({each.name}): {each.reason}" for each in self.crossed]
        if self.undecided > 0:
            notes.append(f"{100 * self.undecided:.1f} % (weighted) are left out: a value of --where or --by is missing")
        return notes


def _digits(value: float, se: float) -> str:
    """Write a number with two significant digits of its standard error."""
    if value != value:
        return "-"
    places = 4 if not se > 0 else max(0, 1 - int(np.floor(np.log10(se))))
    return f"{value:,.{min(places, 6)}f}"


MOST_GROUPS: Final = 25
DESIGN: Final = ("SDMVSTRA", "SDMVPSU")
AGE: Final = "RIDAGEYR"
AGE_ADJUSTED: Final = "age-adjusted"


@dataclass(frozen=True)
class Question:
    """What is asked.

    Attributes
    ----------
    of
        Features, NHANES variables, or conditions on them, whose share is estimated.
    by
        Features or variables whose values are domains.
    where
        Condition on the people described: a domain too, never a filter of rows.
    statistic
        ``mean``, ``proportion``, ``quantile=P``, or ``age-adjusted``: means and shares in the US population of 20 years
        and over of the year 2000. The mean of numbers and shares of categories where it is empty.
    """

    of: tuple[str, ...]
    by: tuple[str, ...] = ()
    where: str = ""
    statistic: str = ""

    def names(self) -> tuple[str, ...]:
        """Return every feature and variable in it, each once.

        Raises
        ------
        MgRiskError
            ``describe.unknown_name`` with the nearest one, ``condition.syntax``, ``describe.statistic``.
        """
        _statistic(self.statistic)
        conditions = [parse(text) for text in self.of if not text.isidentifier()]
        conditions += [parse(self.where)] if self.where else []
        plain = [text for text in self.of if text.isidentifier()]
        age = [AGE] if self.statistic == AGE_ADJUSTED else []
        names = dict.fromkeys([*plain, *self.by, *(name for each in conditions for name in each.names), *age])
        refuse_unknown(names)
        return tuple(names)

    def level(self, cycles: Sequence[str]) -> tuple[WeightLevel, str]:
        """Return the subsample that covers everything in the question in some cycles, and the name that forced it."""
        return weight_level({name: level_of(name, cycles) for name in self.names()})

    def features(self) -> tuple[Feature, ...]:
        """Return the features in it."""
        return features(name for name in self.names() if name in FEATURES)

    def sources(self, cycles: Sequence[str]) -> tuple[str, ...]:
        """Return the NHANES variables to read: sources of everything asked for, the design and the weights."""
        level, _ = self.level(cycles)
        asked = (source for name in self.names() for source in sources_of(name))
        return tuple(dict.fromkeys([*asked, *DESIGN, *_weights(level, cycles)]))

    def gather(self, store: Store, cycles: Sequence[str]) -> Harmonised:
        """Read everybody in some cycles with all that the question needs."""
        chosen = [cycle(years) for years in cycles]
        return gather(store, cycles=chosen, chosen=self.features(), names=self.sources(cycles))


def describe(
    store: Store, question: Question, *, cycles: Sequence[str] = (), across_breaks: Iterable[str] = ()
) -> Description:
    """Read the tables that a question needs and answer it.

    Parameters
    ----------
    store
        Where raw tables come from.
    question
        What is asked.
    cycles
        Cycles to combine; the latest one that has everything asked for where none is named.
    across_breaks
        Names of the breaks in meaning between cycles that are accepted (`nhanes/eras.toml`).

    Raises
    ------
    MgRiskError
        As `Question.names`, `answer` and reading tables; ``describe.no_cycle``, ``describe.not_measured``,
        ``eras.not_comparable``.
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
            hint="ask for fewer at a time",
        )
    meant = [*names, *(each.name for each in computed_from(question.features()))]
    crossed = check_comparable(meant, chosen, across_breaks=frozenset(across_breaks))
    tables = question.gather(store, chosen)
    return replace(answer(question, tables, cycles=chosen), crossed=crossed)


def answer(question: Question, harmonised: Harmonised, *, cycles: Sequence[str]) -> Description:
    """Answer a question from tables that were read.

    Parameters
    ----------
    question
        What is asked.
    harmonised
        All participants of some cycles, as `Question.gather` reads them.
    cycles
        The cycles to combine, of those in `harmonised`.

    Raises
    ------
    MgRiskError
        ``describe.statistic`` for a statistic that the kind of a variable does not have; ``describe.too_many_groups``;
        ``weights.none``; what the survey estimates raise.
    """
    rows = harmonised.frame["cycle"].isin(list(cycles))
    raw = harmonised.frame[rows].reset_index(drop=True)
    level, forced_by = question.level(cycles)
    full = SurveyDesign(
        weight=combined_weight(raw, level, cycles).to_numpy(),
        stratum=raw["SDMVSTRA"].to_numpy(),
        psu=raw["SDMVPSU"].to_numpy(),
        level=level,
    )
    columns = _columns(question, raw, full)
    everybody = Truth(np.ones(len(raw), dtype=np.bool_), np.zeros(len(raw), dtype=np.bool_))
    where = parse(question.where).holds(columns) if question.where else everybody
    shown = {name: decoded(name, values) for name, values in columns.items()}
    unsaid = np.zeros(len(raw), dtype=np.bool_)
    for name in question.by:
        unsaid |= columns[name].isna().to_numpy(dtype=np.bool_)
    domain = full.where(where.true)
    records = [
        {**record, "by": by, "data": SYNTHETIC if harmonised.synthetic else "NHANES"}
        for text in question.of
        for by, group in _groups(question.by, shown, domain)
        for record in _records(
            text, question.statistic, shown[text] if text in shown else parse(text).holds(columns), group, columns
        )
    ]
    return Description(
        records=tuple(records),
        level=level,
        weight=_weights(level, cycles),
        forced_by=forced_by,
        cycles=tuple(cycles),
        undecided=_share(where.undecided | (where.true & unsaid), full),
        synthetic=harmonised.synthetic,
    )


def _columns(question: Question, raw: pd.DataFrame, full: SurveyDesign) -> dict[str, pd.Series]:
    """Return every feature and variable in the question; models of features are fitted on everybody described."""
    chosen = question.features()
    parents = computed_from(chosen)
    models = compute.fit(from_nhanes(raw, parents), full, parents)
    values = from_nhanes(raw, chosen, models=models)
    return {name: values[name] if name in values else column(name, raw) for name in question.names()}


def _records(
    text: str, statistic: str, values: pd.Series | Truth, group: SurveyDesign, columns: Mapping[str, pd.Series]
) -> list[dict[str, Any]]:
    name, probability = _statistic(statistic)
    if isinstance(values, Truth):
        numeric, unknown = False, values.undecided
        of_level: dict[str, Floats] = {"": values.true.astype(np.float64)}
    else:
        numeric = not isinstance(values.dtype, pd.CategoricalDtype)
        unknown = values.isna().to_numpy(dtype=np.bool_)
        levels = [] if numeric else list(values.cat.categories)
        of_level = {"": values.to_numpy(dtype=np.float64)} if numeric else {}
        of_level |= {str(each): (values == each).to_numpy(dtype=np.float64) for each in levels}
    if (numeric and name == "proportion") or (not numeric and name == "quantile"):
        raise usage(
            "describe.statistic",
            f"{text} has no {name}",
            where="--statistic",
            hint=f"--of '{text} >= …' for the share with a large value" if numeric else "leave --statistic out",
        )
    function: Callable[..., Estimate] = mean if numeric else proportion
    if name == "quantile":
        function = partial(quantile, probability=probability)
    elif name == AGE_ADJUSTED:
        function = _age_adjusted(columns[AGE], group)
    known, missing = group.where(~unknown), _share(unknown, group)
    return [
        {
            "variable": text,
            "level": level,
            "by": "",
            "statistic": (statistic or "mean") if numeric or name == AGE_ADJUSTED else "proportion",
            **(function(each, known) if known.n else UNDEFINED).to_dict(),
            "missing": missing,
        }
        for level, each in of_level.items()
    ]


def _age_adjusted(age: pd.Series, group: SurveyDesign) -> Callable[..., Estimate]:
    ages = us_2000_age_group(age)
    if (ages.isna().to_numpy() & (group.analysis_weight > 0)).any():
        raise usage(
            "describe.age_adjusted",
            "the standard population is of 20 years and over, and some people described are younger",
            where="--statistic",
            hint=f"--where '{AGE} >= 20'",
        )

    def adjusted(values: Floats, design: SurveyDesign) -> Estimate:
        return standardised_mean(values, ages, design)

    return adjusted


def _groups(
    by: Sequence[str], columns: Mapping[str, pd.Series], domain: SurveyDesign
) -> list[tuple[str, SurveyDesign]]:
    inside = domain.analysis_weight > 0
    found: list[list[tuple[str, Booleans]]] = []
    for name in by:
        values = columns[name]
        seen = set(values[inside].dropna())
        is_category = isinstance(values.dtype, pd.CategoricalDtype)
        ordered = [each for each in values.cat.categories if each in seen] if is_category else sorted(seen)
        if len(ordered) > MOST_GROUPS:
            raise usage(
                "describe.too_many_groups",
                f"{name} has {len(ordered)} values",
                where="--by",
                hint=f"at most {MOST_GROUPS}; use conditions in --where for ranges of a number",
            )
        found.append([(f"{name}={_plain(value)}", (values == value).to_numpy(dtype=np.bool_)) for value in ordered])
    groups = []
    for members in itertools.product(*found):
        mask = np.logical_and.reduce([mask for _, mask in members]) if members else np.ones(len(domain), dtype=np.bool_)
        if not members or (mask & inside).any():
            groups.append(("; ".join(label for label, _ in members), domain.where(mask)))
    return groups


def _weights(level: WeightLevel, cycles: Sequence[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(share.weight for share in shares(level, cycles)))


def _statistic(text: str) -> tuple[str, float]:
    if text in {"", "mean", "proportion", AGE_ADJUSTED}:
        return text, float("nan")
    found = re.fullmatch(r"quantile=(0?\.\d+)", text)
    if not found or not 0.0 < float(found[1]) < 1.0:
        raise usage(
            "describe.statistic",
            f"{text!r} is not a statistic",
            where="--statistic",
            hint="mean, proportion, age-adjusted, or quantile=P with P between 0 and 1, for example quantile=0.5",
        )
    return "quantile", float(found[1])


def _share(mask: Booleans, design: SurveyDesign) -> float:
    whole = float(design.analysis_weight.sum())
    return float(design.analysis_weight[mask].sum()) / whole if whole > 0 else float("nan")


def _plain(value: object) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)

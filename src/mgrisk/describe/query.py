"""Design-based estimates of features, NHANES variables and conditions, by domains: what `mgrisk describe` computes.

A `Question` is checked before tables are read; `describe` reads them, `answer` estimates on a frame that is there, and
a `Description` holds flat records and prints them as a table.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, Final

import numpy as np
import pandas as pd

from mgrisk.cohort.variables import column, decoded, level_of, problem_in, refuse_unknown, sources_of
from mgrisk.cohort.weights import combined_weight, shares
from mgrisk.describe.conditions import Truth, parse
from mgrisk.errors import MgRiskError, usage
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
from mgrisk.survey.estimates import UNDEFINED, Estimate, mean, proportion, quantile, standardised_mean
from mgrisk.survey.presentation import PRESENT, korn_graubard, presentation_code
from mgrisk.survey.standard import age_group, standard_population
from mgrisk.types import Booleans, Floats

TEXTS: Final = ("variable", "level", "by", "statistic")
KORN_GRAUBARD: Final = "korn-graubard"
INTERVALS: Final = (KORN_GRAUBARD, "logit")


@dataclass(frozen=True)
class Description:
    """Estimates with what a reader must know beside them.

    Attributes
    ----------
    records
        Flat: variable, level, by, statistic, estimate, se, low, high, n, df, missing, presentation, data. `missing` is
        the weighted share of the domain whose value is missing; `presentation` whether NCHS would print a proportion
        (`survey.presentation`), empty of other statistics; `data` is NHANES or SYNTHETIC.
    level, weight, forced_by
        Weight level, the names of its weights, and the name that forced it, or ``--weight``.
    cycles
        The cycles described.
    undecided
        Weighted share of all people for whom `where` or a value of `by` is missing, so that they are nowhere.
    synthetic
        Whether the people are made up.
    crossed
        Breaks in meaning between the cycles that were accepted.
    warnings
        What is wrong with who is counted, in sentences.
    """

    records: tuple[dict[str, Any], ...]
    level: WeightLevel
    weight: tuple[str, ...]
    forced_by: str
    cycles: tuple[str, ...]
    undecided: float
    synthetic: bool
    crossed: tuple[Break, ...] = ()
    warnings: tuple[str, ...] = ()

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
            ("variable", "level", "by", "statistic", "estimate", "se", "95 % interval", "n", "df", "missing", "NCHS")
        ]
        for record in self.records:
            estimate, se, low, high = (_digits(record[key], record["se"]) for key in ("estimate", "se", "low", "high"))
            rows.append(
                (
                    *(str(record[key]) for key in TEXTS),
                    *(estimate, se, f"{low} to {high}", f"{record['n']:,}", str(record["df"])),
                    f"{100 * record['missing']:.1f} %",
                    "" if record["presentation"] == PRESENT else str(record["presentation"]),
                )
            )
        # A column that is empty in every row is left out, and so is its head.
        kept = [cells for cells in zip(*rows, strict=True) if any(cells[1:])]
        widths = [max(map(len, cells)) for cells in kept]
        left = [cells[0] in {*TEXTS, "NCHS"} for cells in kept]
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
        notes += self.warnings
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
        Whose values are domains: features or variables; a number cut at values, ``age_years=20,40,60``; conditions.
    where
        Condition on the people described: a domain too, never a filter of rows.
    statistic
        ``mean``, ``proportion``, ``quantile=P``, or ``age-adjusted``: means and shares in the US population of 20 years
        and over of the year 2000. The mean of numbers and shares of categories where it is empty.
    weight
        NHANES name of the weight to use; where it is empty, that of the smallest subsample in the question.
    standard
        Ages at which the groups of ``age-adjusted`` begin.
    interval
        Of proportions: ``korn-graubard``, as NCHS prints it, or ``logit``.
    """

    of: tuple[str, ...]
    by: tuple[str, ...] = ()
    where: str = ""
    statistic: str = ""
    weight: str = ""
    standard: tuple[int, ...] = (20, 40, 60)
    interval: str = KORN_GRAUBARD

    def names(self) -> tuple[str, ...]:
        """Return every feature and variable in it, each once.

        Raises
        ------
        MgRiskError
            ``describe.unknown_name`` with the nearest one, ``condition.syntax``, ``describe.statistic``.
        """
        _statistic(self.statistic)
        standard_population(self.standard)
        conditions = [parse(text) for text in self.of if not text.isidentifier()]
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
        """Return the subsample that covers everything in the question in some cycles, and the name that forced it."""
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
    domain = full.where(where.true)
    groupings = [grouping(text) for text in question.by]
    unsaid = np.zeros(len(raw), dtype=np.bool_)
    for each in groupings:
        unsaid |= each.unsaid(columns)
    records = [
        {**record, "by": by, "data": SYNTHETIC if harmonised.synthetic else "NHANES"}
        for text in question.of
        for by, group in _groups(groupings, shown, columns, domain)
        for record in _records(
            text, question, shown[text] if text in shown else parse(text).holds(columns), group, columns
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
        warnings=tuple(_half_known(question, columns, domain)),
    )


def _half_known(question: Question, columns: Mapping[str, pd.Series], domain: SurveyDesign) -> Iterator[str]:
    """Say of which conditions the parts that are known decide who is counted: the others of the same kind are not."""
    for text in question.of:
        if text.isidentifier():
            continue
        condition = parse(text)
        truth, lacking = condition.holds(columns), condition.missing(columns)
        decided = _share(lacking & ~truth.undecided, domain)
        if decided > 0 and _share(truth.undecided, domain) > 0:
            guard = " and ".join(f"not missing({name})" for name in condition.names)
            yield (
                f"'{text}': {100 * decided:.1f} % lack a part of it and are counted by the others, while people whose "
                f"other parts do not decide it are left out; to leave out both, add --where '{guard}'"
            )


def _columns(question: Question, raw: pd.DataFrame, full: SurveyDesign) -> dict[str, pd.Series]:
    """Return every feature and variable in the question; models of features are fitted on everybody described."""
    chosen = question.features()
    parents = computed_from(chosen)
    models = compute.fit(from_nhanes(raw, parents), full, parents)
    values = from_nhanes(raw, chosen, models=models)
    return {name: values[name] if name in values else column(name, raw) for name in question.names()}


def _records(
    text: str, question: Question, values: pd.Series | Truth, group: SurveyDesign, columns: Mapping[str, pd.Series]
) -> list[dict[str, Any]]:
    statistic = question.statistic
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
    function: Callable[..., Estimate] = mean if numeric else partial(_proportion, interval=question.interval)
    if name == "quantile":
        function = partial(quantile, probability=probability)
    elif name == AGE_ADJUSTED:
        function = _age_adjusted(columns[AGE], group, question.standard)
    known, missing = group.where(~unknown), _share(unknown, group)
    shares = not numeric and name != AGE_ADJUSTED
    return [
        {
            "variable": text,
            "level": level,
            "by": "",
            "statistic": "proportion" if shares else statistic or "mean",
            **(found := function(each, known) if known.n else UNDEFINED).to_dict(),
            "missing": missing,
            "presentation": presentation_code(found, *korn_graubard(found)) if shares and known.n else "",
        }
        for level, each in of_level.items()
    ]


def _proportion(values: Floats, design: SurveyDesign, *, interval: str) -> Estimate:
    found = proportion(values, design)
    if interval != KORN_GRAUBARD:
        return found
    low, high = korn_graubard(found)
    return replace(found, low=low, high=high)


def _age_adjusted(age: pd.Series, group: SurveyDesign, starts: tuple[int, ...]) -> Callable[..., Estimate]:
    ages, standard = age_group(age, starts), standard_population(starts)
    if (ages.isna().to_numpy() & (group.analysis_weight > 0)).any():
        raise usage(
            "describe.age_adjusted",
            f"the standard population is of {starts[0]} years and over, and some people described are younger",
            where="--statistic",
            hint=f"--where '{AGE} >= {starts[0]}'",
        )

    def adjusted(values: Floats, design: SurveyDesign) -> Estimate:
        return standardised_mean(values, ages, design, standard=standard)

    return adjusted


@dataclass(frozen=True)
class Grouping:
    """What `--by` splits people by: the values of a name, ranges of a number, or whether a condition holds.

    Attributes
    ----------
    text
        As written.
    names
        The names in it.
    cuts
        Where ranges begin; people below the first are in none.
    """

    text: str
    names: tuple[str, ...]
    cuts: tuple[float, ...] = ()

    def unsaid(self, columns: Mapping[str, pd.Series]) -> Booleans:
        """Return for whom it cannot be said, shape (n,)."""
        if not self.text.isidentifier() and not self.cuts:
            return parse(self.text).holds(columns).undecided
        return columns[self.names[0]].isna().to_numpy(dtype=np.bool_)

    def members(
        self, shown: Mapping[str, pd.Series], columns: Mapping[str, pd.Series], inside: Booleans
    ) -> list[tuple[str, Booleans]]:
        """Return each group and who is in it, shape (n,).

        Raises
        ------
        MgRiskError
            ``describe.too_many_groups``, ``describe.not_a_number``.
        """
        if self.cuts:
            return self._ranges(columns[self.names[0]])
        if not self.text.isidentifier():
            truth = parse(self.text).holds(columns)
            return [(f"{self.text}: yes", truth.true), (f"{self.text}: no", truth.false)]
        values = shown[self.text]
        seen = set(values[inside].dropna())
        is_category = isinstance(values.dtype, pd.CategoricalDtype)
        ordered = [each for each in values.cat.categories if each in seen] if is_category else sorted(seen)
        if len(ordered) > MOST_GROUPS:
            raise usage(
                "describe.too_many_groups",
                f"{self.text} has {len(ordered)} values",
                where="--by",
                hint=f"at most {MOST_GROUPS}; name where ranges begin: {self.text}={_starts(values[inside])}",
            )
        return [(f"{self.text}={_plain(value)}", (values == value).to_numpy(dtype=np.bool_)) for value in ordered]

    def _ranges(self, values: pd.Series) -> list[tuple[str, Booleans]]:
        if isinstance(values.dtype, pd.CategoricalDtype):
            raise usage(
                "describe.not_a_number",
                f"{self.names[0]} is a category and has no ranges",
                where="--by",
                hint=f"--by {self.names[0]}",
            )
        numbers, found = values.to_numpy(dtype=np.float64), []
        for low, high in itertools.pairwise((*self.cuts, np.inf)):
            range_ = f"{_plain(low)} and over" if high == np.inf else f"{_plain(low)} to <{_plain(high)}"
            found.append((f"{self.names[0]} {range_}", (numbers >= low) & (numbers < high)))
        return found


def grouping(text: str) -> Grouping:
    """Read what `--by` is given.

    Raises
    ------
    MgRiskError
        ``describe.cuts`` where numbers do not increase, ``condition.syntax``.

    Examples
    --------
    >>> grouping("age_years=20,40,60").cuts, grouping("bmi_kg_m2 >= 30 and sex == 'male'").names
    ((20.0, 40.0, 60.0), ('bmi_kg_m2', 'sex'))
    """
    if text.isidentifier():
        return Grouping(text, (text,))
    found = re.fullmatch(r"\s*([A-Za-z]\w*)\s*=\s*([-+.\d][-+.\d, ]*)", text)
    if not found:
        return Grouping(text, parse(text).names)
    try:
        cuts = tuple(float(each) for each in found[2].split(","))
    except ValueError:
        cuts = ()
    if not cuts or any(low >= high for low, high in itertools.pairwise(cuts)):
        raise usage(
            "describe.cuts",
            "the numbers at which ranges begin do not increase",
            where="--by",
            got=text,
            hint="for example --by age_years=20,40,60",
        )
    return Grouping(text, (found[1],), cuts)


def _starts(values: pd.Series) -> str:
    """Return where thirds of some numbers begin, as an example of ranges."""
    return ",".join(_plain(float(each)) for each in np.unique(np.round(values.dropna().quantile([0, 1 / 3, 2 / 3]))))


def _groups(
    groupings: Sequence[Grouping],
    shown: Mapping[str, pd.Series],
    columns: Mapping[str, pd.Series],
    domain: SurveyDesign,
) -> list[tuple[str, SurveyDesign]]:
    inside = domain.analysis_weight > 0
    found = [each.members(shown, columns, inside) for each in groupings]
    groups = []
    for members in itertools.product(*found):
        mask = np.logical_and.reduce([mask for _, mask in members]) if members else np.ones(len(domain), dtype=np.bool_)
        if not members or (mask & inside).any():
            groups.append(("; ".join(label for label, _ in members), domain.where(mask)))
    return groups


def _weights_or_none(level: WeightLevel, cycles: Sequence[str]) -> tuple[str, ...]:
    try:
        return _weights(level, cycles)
    except MgRiskError:
        return ()


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

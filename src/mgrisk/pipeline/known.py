"""Replicate published NHANES estimates before a run on real NHANES, and stop if one is not replicated."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Final, Literal

import numpy as np
import pandas as pd
from pydantic import BaseModel, ConfigDict

from mgrisk.cohort.weights import combined_weight, shares
from mgrisk.config.toml import rows
from mgrisk.describe.conditions import parse
from mgrisk.describe.query import answer
from mgrisk.describe.question import DESIGN, Question
from mgrisk.errors import bad_source
from mgrisk.features.diet import NUTRIENTS, PATTERNS, TOTAL, hei_2020
from mgrisk.features.magnesium import reference_intakes
from mgrisk.features.usual_intake import RecalledDays, estimate_usual_intake
from mgrisk.nhanes import food_patterns
from mgrisk.nhanes.codebook import KEY, SYNTHETIC
from mgrisk.nhanes.cycles import cycle
from mgrisk.nhanes.harmonise import Harmonised, harmonise
from mgrisk.nhanes.store import Store
from mgrisk.pipeline.engine import Step
from mgrisk.pipeline.workspace import NHANES, Workspace
from mgrisk.run_folder import names
from mgrisk.survey.design import SurveyDesign, WeightLevel

ESTIMATED: Final = ("estimate", "se", "low", "high", "n", "df")
POPULATION_RATIO: Final = "population ratio"
Patterns = Mapping[str, pd.DataFrame]
"""Food patterns of the first recalled day by cycle, for cycles with a file of USDA."""
NO_PATTERNS: Final[Patterns] = MappingProxyType({})
USUAL: Final = re.compile(r"usual-intake (?:quantile=(0\.\d+)|(below-ear))")


@dataclass(frozen=True)
class UsualIntakeQuestion:
    """A published estimate of usual intake, replicated with one fit of `features.usual_intake`.

    Attributes
    ----------
    of
        Amount on the first recalled day, such as ``DR1TMAGN``; that of the second is ``DR2TMAGN``.
    where
        Condition on the people described; they need a reliable first recall.
    quantile
        Quantile of usual intake; None for the share below the magnesium requirement at their age and sex
        (`features/dri.toml`), for people who are neither pregnant nor lactating.
    """

    of: str
    where: str
    quantile: float | None

    def names(self) -> tuple[str, ...]:
        """Return every variable in it."""
        days = (self.of, "DR1DRSTZ", self.of.replace("DR1", "DR2"), "DR2DRSTZ")
        return tuple(dict.fromkeys((*days, "RIDAGEYR", "RIAGENDR", *parse(self.where).names)))

    def sources(self, cycles: Sequence[str]) -> tuple[str, ...]:
        """Return the NHANES variables to read."""
        weights = (share.weight for share in shares(WeightLevel.RECALL1, cycles))
        return tuple(dict.fromkeys((*self.names(), *DESIGN, *weights)))

    def answer(self, harmonised: Harmonised, *, cycles: Sequence[str]) -> dict[str, Any]:
        """Return the fields `ESTIMATED`, without a standard error, which would need a fit per replicate."""
        raw = harmonised.frame[harmonised.frame["cycle"].isin(list(cycles))].reset_index(drop=True)
        first, status1, second, status2 = self.names()[:4]
        days = np.column_stack([raw[first].where(raw[status1] == 1), raw[second].where(raw[status2] == 1)])
        weight = combined_weight(raw, WeightLevel.RECALL1, cycles).to_numpy()
        full = SurveyDesign(weight, raw["SDMVSTRA"].to_numpy(), raw["SDMVPSU"].to_numpy(), WeightLevel.RECALL1)
        asked = parse(self.where)
        design = full.where(asked.holds({name: raw[name] for name in asked.names}).true & np.isfinite(days[:, 0]))
        unknown = dict.fromkeys(ESTIMATED)
        if not design.n:
            return {**unknown, "estimate": float("nan"), "n": 0}
        sex = raw["RIAGENDR"].map({1.0: "male", 2.0: "female"})
        requirement = reference_intakes(raw["RIDAGEYR"], sex)["ear_mg"]
        asked_for = [] if self.quantile is None else [self.quantile]
        recalls = RecalledDays(days, design=design)
        found = estimate_usual_intake(recalls, cut_points=requirement, probabilities=asked_for)
        # Mean and SD come first, then the quantiles, then the share below the cut-point.
        return {**unknown, "estimate": float(found.estimates[2]), "n": found.n, "df": found.df}


@dataclass(frozen=True)
class DietQualityQuestion:
    """A published Healthy Eating Index of a population, computed from its summed first recall days.

    Attributes
    ----------
    where
        Condition on the people described; they need a reliable first recall.
    """

    where: str

    def names(self) -> tuple[str, ...]:
        """Return every variable in it, without the food patterns of USDA."""
        return ("DR1DRSTZ", *parse(self.where).names, *(f"DR1T{name}" for name in NUTRIENTS))

    def sources(self, cycles: Sequence[str]) -> tuple[str, ...]:
        """Return the NHANES variables to read."""
        weights = (share.weight for share in shares(WeightLevel.RECALL1, cycles))
        return tuple(dict.fromkeys((*self.names(), *DESIGN, *weights)))

    def answer(self, harmonised: Harmonised, patterns: pd.DataFrame, *, cycles: Sequence[str]) -> dict[str, Any]:
        """Return the fields `ESTIMATED`, without a standard error."""
        raw = harmonised.frame[harmonised.frame["cycle"].isin(list(cycles))]
        asked = parse(self.where)
        holds = asked.holds({name: raw[name] for name in asked.names}).true & (raw["DR1DRSTZ"] == 1.0).to_numpy()
        weight = combined_weight(raw, WeightLevel.RECALL1, cycles)[holds]
        eaten = raw[holds].merge(patterns, on=KEY, how="left", validate="one_to_one")
        intake = eaten[list(PATTERNS)].assign(**{name: eaten[f"DR1T{name}"] for name in NUTRIENTS})
        summed = intake.mul(weight.to_numpy(), axis=0).sum(skipna=False).to_frame().T
        return {**dict.fromkeys(ESTIMATED), "estimate": float(hei_2020(summed)[TOTAL].item()), "n": int(holds.sum())}


class KnownAnswer(BaseModel):
    """A row of `known_answers.toml`, whose header explains the fields."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    kind: Literal["published", "recomputed"]
    of: str
    where: str
    population: str
    cycles: tuple[str, ...]
    published: float
    tolerance: float
    source: str
    statistic: str = ""
    definition: str = ""
    harmonise: tuple[str, ...] = ()
    people: int | None = None

    @property
    def question(self) -> Question | UsualIntakeQuestion | DietQualityQuestion:
        """The question for `mgrisk describe`, the model of usual intake, or the diet quality of a population."""
        if self.statistic == POPULATION_RATIO:
            return DietQualityQuestion(self.where)
        if usual := USUAL.fullmatch(self.statistic):
            return UsualIntakeQuestion(self.of, self.where, float(usual[1]) if usual[1] else None)
        return Question((self.of,), (), self.where, self.statistic, harmonise=self.harmonise)

    def estimated(self, harmonised: Harmonised, patterns: Patterns = NO_PATTERNS) -> Mapping[str, Any]:
        """Return the fields `ESTIMATED`, computed from harmonised tables."""
        question = self.question
        if isinstance(question, DietQualityQuestion):
            return question.answer(harmonised, patterns[self.cycles[0]], cycles=self.cycles)
        if isinstance(question, UsualIntakeQuestion):
            return question.answer(harmonised, cycles=self.cycles)
        (record,) = answer(question, harmonised, cycles=self.cycles).records
        return {name: record[name] for name in ESTIMATED}


def _load() -> tuple[KnownAnswer, ...]:
    return tuple(KnownAnswer.model_validate(row) for row in rows("mgrisk.pipeline", "known_answers.toml", "answer"))


ANSWERS: Final[tuple[KnownAnswer, ...]] = _load()
"""All published estimates, in the order of the file."""


def applicable(cycles: Iterable[str]) -> tuple[KnownAnswer, ...]:
    """Return the published estimates whose cycles are all in a run.

    Examples
    --------
    >>> [each.name for each in applicable(["2011-2012", "2013-2014"])][:2]
    ['obesity-2011-2014', 'obesity-2011-2014-men']
    """
    among = set(cycles)
    return tuple(each for each in ANSWERS if among.issuperset(each.cycles))


def variables(cycles: Iterable[str]) -> tuple[str, ...]:
    """Return the NHANES variables that the applicable estimates need, each once.

    Examples
    --------
    >>> "BMXBMI" in variables(["2015-2016"]), variables(["2003-2004"])
    (True, ())
    """
    needed = (name for each in applicable(cycles) for name in each.question.sources(each.cycles))
    return tuple(dict.fromkeys(needed))


def known_answers(store: Store, *, cycles: Sequence[str], others: str = "") -> list[dict[str, Any]]:
    """Replicate all published estimates that apply to the cycles of a run.

    Parameters
    ----------
    store
        Store of the raw tables.
    cycles
        Cycles of the run.
    others
        Data label of the run if it is not NHANES, such as SYNTHETIC; no published estimate applies then, and no table
        is read.

    Returns
    -------
    list of dict
        A flat record per published estimate, in the order of the file: name, kind, population, cycles, published,
        tolerance, source, definition, estimate, se, low, high, n, df, passed, note. For one that does not apply,
        `passed` is None and `note` is the reason.

    Raises
    ------
    MgRiskError
        Errors of reading the tables.
    """
    asked = () if others else applicable(cycles)
    if not asked:
        return check(None, cycles=cycles, others=others)
    needed = [years for years in cycles if any(years in each.cycles for each in asked)]
    harmonised = harmonise(store, cycles=[cycle(each) for each in needed], names=variables(cycles))
    return check(harmonised, cycles=cycles, patterns=_patterns(store, needed))


def _patterns(store: Store, cycles: Sequence[str]) -> Patterns:
    given = {years: food_patterns.files(store.food_patterns, cycle(years)) for years in cycles}
    return {years: food_patterns.read(files, cycle(years), PATTERNS)[0][0] for years, files in given.items() if files}


def check(
    harmonised: Harmonised | None, *, cycles: Sequence[str], others: str = "", patterns: Patterns = NO_PATTERNS
) -> list[dict[str, Any]]:
    """Replicate the published estimates from harmonised tables; see `known_answers`.

    Parameters
    ----------
    harmonised
        All participants with at least `variables`; None if no estimate applies.
    cycles
        Cycles of the run.
    others
        As for `known_answers`.
    patterns
        Food patterns of USDA by cycle; an estimate that needs those of another cycle does not apply.
    """
    if harmonised is not None and harmonised.synthetic:
        others = SYNTHETIC
    asked = set() if others else {each.name for each in applicable(cycles)}
    records = []
    for each in ANSWERS:
        about = each.model_dump(
            include={"name", "kind", "population", "published", "tolerance", "source", "definition"}
        )
        about["cycles"] = ", ".join(each.cycles)
        unknown = each.statistic == POPULATION_RATIO and each.cycles[0] not in patterns
        if harmonised is None or each.name not in asked or unknown:
            absent = ", ".join(years for years in each.cycles if years not in cycles)
            lacking = (
                f"the run has no {absent}" if absent else "USDA's food patterns are not given (MGRISK_FOOD_PATTERNS)"
            )
            why = f"the people are {others}" if others else lacking
            found: Mapping[str, Any] = dict.fromkeys(ESTIMATED)
            records.append({**about, **found, "passed": None, "note": f"not applicable, because {why}"})
            continue
        found = each.estimated(harmonised, patterns)
        off = found["estimate"] - each.published
        wrong = [] if abs(off) <= each.tolerance else [f"off by {off:+.3g}"]
        if each.people not in (None, found["n"]):
            wrong.append(f"{found['n']} people for {each.people}")
        once = "the population has one score" if each.statistic == POPULATION_RATIO else "the model is fitted once"
        without = "" if found["se"] is not None else f"no standard error: {once}"
        records.append({**about, **found, "passed": not wrong, "note": ", ".join(wrong) or without})
    return records


def stop_at_misses(records: Iterable[Mapping[str, Any]]) -> None:
    """Raise if a published estimate was not replicated.

    Raises
    ------
    MgRiskError
        ``known_answers.missed``, with the published value, the estimate and the tolerance.

    Examples
    --------
    >>> stop_at_misses([{"name": "obesity-2017-2018", "passed": None}])
    """
    missed = [record for record in records if record["passed"] is False]
    if not missed:
        return
    said = [
        f"{each['name']} {each['estimate']:.6g} for {each['published']:g} ± {each['tolerance']:g}" for each in missed
    ]
    raise bad_source(
        "known_answers.missed",
        f"{len(missed)} published estimates were not replicated: {'; '.join(said)}",
        where=f"pipeline/known_answers.toml: {missed[0]['source']}",
        hint="tables, weights or decoding differ from CDC's; check the lock file, and fetch the tables again",
    )


def know(workspace: Workspace, store: Store) -> str:
    """Replicate published NHANES estimates, if the data are NHANES; raise if one is not replicated."""
    cohort, others = workspace.pipeline.cohort, "" if workspace.data_label == NHANES else workspace.data_label
    years = [*cohort.development, *cohort.held_out]
    records = known_answers(store, cycles=years, others=others)
    workspace.run.write_records(names.KNOWN_ANSWERS, records)
    stop_at_misses(records)
    passed = sum(record["passed"] is True for record in records)
    return f"{passed} published estimates replicated, {len(records) - passed} not applicable"


def known_variables(workspace: Workspace) -> tuple[str, ...]:
    """Return the NHANES variables that the published estimates need; none for SYNTHETIC people."""
    return () if workspace.synthetic else variables(each.years for each in workspace.cycles)


STEP = Step(
    "known",
    "replicate published estimates",
    inputs=(names.TABLES,),
    outputs=(names.KNOWN_ANSWERS,),
    logged=(names.KNOWN_ANSWERS,),
    settings=("cohort",),
    raw=True,
    action=lambda workspace: know(workspace, workspace.store),
)

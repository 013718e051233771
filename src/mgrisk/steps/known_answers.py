"""Known-answer gates: a run on real NHANES first reproduces figures that others have published, or stops."""

from __future__ import annotations

import tomllib
from collections.abc import Iterable, Mapping, Sequence
from importlib.resources import files
from typing import Any, Final, Literal

from pydantic import BaseModel, ConfigDict

from mgrisk.errors import bad_source
from mgrisk.nhanes.codebook import SYNTHETIC
from mgrisk.nhanes.cycles import cycle
from mgrisk.nhanes.harmonise import Harmonised, harmonise
from mgrisk.nhanes.store import Store
from mgrisk.steps.describe import Question, answer

ESTIMATED: Final = ("estimate", "se", "low", "high", "n", "df")


class KnownAnswer(BaseModel):
    """One row of `known_answers.toml`; the comments at its top explain the fields."""

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
    people: int | None = None

    @property
    def question(self) -> Question:
        """What `mgrisk describe` is asked."""
        return Question((self.of,), (), self.where, self.statistic)


def _load() -> tuple[KnownAnswer, ...]:
    rows = tomllib.loads(files("mgrisk.steps").joinpath("known_answers.toml").read_text("utf-8"))["answer"]
    return tuple(KnownAnswer.model_validate(row) for row in rows)


ANSWERS: Final[tuple[KnownAnswer, ...]] = _load()
"""Every known answer, in the order of the file."""


def applicable(cycles: Iterable[str]) -> tuple[KnownAnswer, ...]:
    """Return the answers whose cycles are all among those of a run.

    Examples
    --------
    >>> [each.name for each in applicable(["2011-2012", "2013-2014"])][:2]
    ['obesity-2011-2014', 'obesity-2011-2014-men']
    """
    among = set(cycles)
    return tuple(each for each in ANSWERS if among.issuperset(each.cycles))


def variables(cycles: Iterable[str]) -> tuple[str, ...]:
    """Return the NHANES variables that the applicable answers need, each once.

    Examples
    --------
    >>> "BMXBMI" in variables(["2015-2016"]), variables(["2005-2006"])
    (True, ())
    """
    needed = (name for each in applicable(cycles) for name in each.question.sources(each.cycles))
    return tuple(dict.fromkeys(needed))


def known_answers(store: Store, *, cycles: Sequence[str], synthetic: bool = False) -> list[dict[str, Any]]:
    """Compute every known answer that applies to the cycles of a run.

    Parameters
    ----------
    store
        Where raw tables come from.
    cycles
        Cycles of the run.
    synthetic
        Whether the run's people are made up: nothing published is about them, and no table is read.

    Returns
    -------
    list of dict
        A flat record for each known answer, in the order of the file: name, kind, population, cycles, published,
        tolerance, source, definition, estimate, se, low, high, n, df, passed, note. `passed` is None, and `note` says
        why, for one that does not apply.

    Raises
    ------
    MgRiskError
        What reading the tables raises.
    """
    asked = () if synthetic else applicable(cycles)
    if not asked:
        return check(None, cycles=cycles, synthetic=synthetic)
    needed = [years for years in cycles if any(years in each.cycles for each in asked)]
    return check(harmonise(store, cycles=[cycle(each) for each in needed], names=variables(cycles)), cycles=cycles)


def check(harmonised: Harmonised | None, *, cycles: Sequence[str], synthetic: bool = False) -> list[dict[str, Any]]:
    """Compute the known answers from tables that were read; see `known_answers`.

    Parameters
    ----------
    harmonised
        All participants with, at least, `variables`; None where no answer applies.
    cycles
        Cycles of the run.
    synthetic
        Whether the people are made up, where no table says it.
    """
    made_up = synthetic or (harmonised is not None and harmonised.synthetic)
    asked = set() if made_up else {each.name for each in applicable(cycles)}
    records = []
    for each in ANSWERS:
        about = each.model_dump(
            include={"name", "kind", "population", "published", "tolerance", "source", "definition"}
        )
        about["cycles"] = ", ".join(each.cycles)
        if harmonised is None or each.name not in asked:
            absent = ", ".join(years for years in each.cycles if years not in cycles)
            why = SYNTHETIC if made_up else f"the run has no {absent}"
            found: Mapping[str, Any] = dict.fromkeys(ESTIMATED)
            records.append({**about, **found, "passed": None, "note": f"not applicable, because {why}"})
            continue
        (record,) = answer(each.question, harmonised, cycles=each.cycles).records
        found = {name: record[name] for name in ESTIMATED}
        off = record["estimate"] - each.published
        wrong = [] if abs(off) <= each.tolerance else [f"off by {off:+.3g}"]
        if each.people not in (None, record["n"]):
            wrong.append(f"{record['n']} people for {each.people}")
        records.append({**about, **found, "passed": not wrong, "note": ", ".join(wrong)})
    return records


def stop_at_misses(records: Iterable[Mapping[str, Any]]) -> None:
    """Stop where a known answer was not reproduced.

    Raises
    ------
    MgRiskError
        ``known_answers.missed``, with each figure, what was found, and the tolerance.

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
        f"{len(missed)} known answers are not reproduced: {'; '.join(said)}",
        where=f"steps/known_answers.toml: {missed[0]['source']}",
        hint="tables, weights or decoding differ from CDC's; check the lock file, and fetch the tables again",
    )

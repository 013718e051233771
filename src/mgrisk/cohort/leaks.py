"""The leak guard: features that give the outcome away are refused by name, or listed where they may follow from it.

Refused are features computed from what defines, treats or follows the outcome (`outcomes.toml`). What is asked or
measured after the outcome is known may be changed by knowing it, and is listed by `timing`. A visit of NHANES goes in
order: the interview at home, the examination with blood and the first recall, the second recall by telephone 3 to 10
days later, and the laboratory's results by mail some weeks after that. Cases with a diagnosis have known it before all
that.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from fnmatch import fnmatchcase
from types import MappingProxyType
from typing import Final

from mgrisk.cohort.outcomes import Leak, Outcome
from mgrisk.errors import usage
from mgrisk.features.registry import Feature, with_ancestors
from mgrisk.nhanes.codebook import variable
from mgrisk.survey.design import WeightLevel

MARKER = "marker"


def refuse_leaks(outcome: Outcome, chosen: Sequence[Feature]) -> None:
    """Stop where a feature, or one that it is made of, is a marker or has a source on the outcome's leak lists.

    Raises
    ------
    MgRiskError
        `leakage.by_name`, naming the feature, its source and the pattern that forbids it; `leakage.marker`.
    """
    for feature in chosen:
        for part in with_ancestors([feature]):
            made_of = "" if part.name == feature.name else f", by way of {part.name}"
            if part.group == MARKER:
                raise usage(
                    "leakage.marker",
                    f"feature {feature.name} is measured for outcomes and evidence and never predicts{made_of}",
                    got=part.name,
                    where="model.features",
                    hint="leave the feature out; features/registry/marker.toml and its like hold the markers",
                )
            _refuse_sources(outcome, feature, part, made_of)


def refuse_leaking_variables(outcome: Outcome, names: Sequence[str]) -> None:
    """Stop where an NHANES variable is on the outcome's leak lists.

    Raises
    ------
    MgRiskError
        `leakage.by_name`, naming the variable and the pattern that forbids it.
    """
    for name in names:
        for leak in outcome.leaks:
            if pattern := _pattern_of(leak, name):
                raise usage(
                    "leakage.by_name",
                    f"variable {name} gives away {outcome.name}: it is on the leak list {leak.name}, which {leak.why}",
                    got=pattern,
                    where="variables",
                    hint="load it without the outcome, for estimates; or leave it out",
                )


def _refuse_sources(outcome: Outcome, feature: Feature, part: Feature, made_of: str) -> None:
    for leak in outcome.leaks:
        if part.name in leak.spares:
            continue
        for source in part.sources:
            if pattern := _pattern_of(leak, source):
                raise usage(
                    "leakage.by_name",
                    f"feature {feature.name} gives away {outcome.name}: its source {source}{made_of} is on the "
                    f"leak list {leak.name}, which {leak.why}",
                    got=pattern,
                    where="model.features",
                    hint="leave the feature out; cohort/leaks.toml says what defines, treats or follows",
                )


def _pattern_of(leak: Leak, name: str) -> str | None:
    """Return the first pattern of a leak list that an NHANES variable is caught by."""
    return next((pattern for pattern in leak.patterns if fnmatchcase(name, pattern)), None)


TOLD, INTERVIEW, EXAMINATION, TELEPHONE, RESULTS = "told before", "interview", "examination", "telephone", "results"
ORDER: Final = (TOLD, INTERVIEW, EXAMINATION, TELEPHONE, RESULTS)
STAGES: Mapping[WeightLevel, str] = MappingProxyType(
    {
        WeightLevel.INTERVIEW: INTERVIEW,
        WeightLevel.EXAM: EXAMINATION,
        WeightLevel.BLOOD: EXAMINATION,
        # By telephone in 2021-2023, where mgrisk has no outcome.
        WeightLevel.RECALL1: EXAMINATION,
        WeightLevel.RECALL2: TELEPHONE,
        WeightLevel.FASTING: EXAMINATION,
        WeightLevel.OGTT: EXAMINATION,
    }
)
# Age, sex, origin and the diabetes of relatives are as they would be without the outcome.
UNMOVED = ("RIDAGEYR", "RIAGENDR", "RIDRETH*", "MCQ250A", "MCQ260A*", "MCQ300C")


@dataclass(frozen=True)
class Timing:
    """When a feature is asked or measured, and whether the outcome was known by then.

    Attributes
    ----------
    feature, source
        The feature, and its source that comes last.
    stage, known
        When that is asked or measured, and when people know whether they are cases; of `ORDER`.
    finding
        Whether the feature may follow from the outcome, because some cases knew of it first.
    """

    feature: str
    source: str
    stage: str
    known: str
    finding: bool

    def to_dict(self) -> dict[str, object]:
        """Return the record for the run's files and the report."""
        return asdict(self)


def timing(outcome: Outcome, chosen: Sequence[Feature]) -> list[Timing]:
    """Compare when each feature is asked or measured with when people know whether they are cases.

    An outcome told by laboratory values alone is known when the results come; one that counts people told of a
    diagnosis is known, to them, before everything that is asked.

    Parameters
    ----------
    outcome
        What is predicted.
    chosen
        Features; what they are made of counts.

    Examples
    --------
    >>> from mgrisk.cohort.outcomes import outcome
    >>> from mgrisk.features.registry import features
    >>> [each.finding for each in timing(outcome("undiagnosed"), features(["waist_cm", "recall_days"]))]
    [False, False]
    >>> [each.finding for each in timing(outcome("diabetes"), features(["waist_cm", "age_years"]))]
    [True, False]
    """
    known = TOLD if any(each.variable not in outcome.required for each in outcome.case) else RESULTS
    found = []
    for feature in chosen:
        sources = list(dict.fromkeys(name for part in with_ancestors([feature]) for name in part.sources))
        moved = [name for name in sources if not any(fnmatchcase(name, pattern) for pattern in UNMOVED)]
        last = max(moved or sources, key=lambda name: ORDER.index(_stage(name)))
        stage = _stage(last)
        found.append(Timing(feature.name, last, stage, known, bool(moved) and ORDER.index(stage) > ORDER.index(known)))
    return found


def _stage(name: str) -> str:
    return STAGES[variable(name).level]

"""Leakage audit: features that leak the outcome are rejected; features that may be affected by it are listed.

Features computed from variables that define, treat or follow the outcome (`outcomes.toml`) are errors. Answers and
measurements made after people know their outcome may be affected by it, and are listed by `timing`. The order in NHANES
is: interview at home; examination with blood sample and first recall; second recall by telephone 3 to 10 days later;
laboratory results by mail some weeks after that. Diagnosed cases knew of their diagnosis before the interview.
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
    """Raise an error if a feature, or one of its ancestors, is a marker or has a source on the outcome's leak lists.

    Raises
    ------
    MgRiskError
        `leakage.by_name`, with the feature, its source and the matching pattern; `leakage.marker`.
    """
    for feature in chosen:
        for part in with_ancestors([feature]):
            made_of = "" if part.name == feature.name else f" (via {part.name})"
            if part.group == MARKER:
                raise usage(
                    "leakage.marker",
                    f"feature {feature.name} is a marker, for outcomes and evidence only, not a predictor{made_of}",
                    got=part.name,
                    where="model.features",
                    hint="leave out the feature; markers are listed in features/registry/marker.toml",
                )
            _refuse_sources(outcome, feature, part, made_of)


def refuse_leaking_variables(outcome: Outcome, names: Sequence[str]) -> None:
    """Raise an error if an NHANES variable is on the outcome's leak lists.

    Raises
    ------
    MgRiskError
        `leakage.by_name`, with the variable and the matching pattern.
    """
    for name in names:
        for leak in outcome.leaks:
            if pattern := _pattern_of(leak, name):
                raise usage(
                    "leakage.by_name",
                    f"variable {name} leaks the outcome {outcome.name}: "
                    f"it is on the list {leak.name}, which {leak.why}",
                    got=pattern,
                    where="variables",
                    hint="leave it out, or load it without the outcome",
                )


def _refuse_sources(outcome: Outcome, feature: Feature, part: Feature, made_of: str) -> None:
    for leak in outcome.leaks:
        if part.name in leak.spares:
            continue
        for source in part.sources:
            if pattern := _pattern_of(leak, source):
                raise usage(
                    "leakage.by_name",
                    f"feature {feature.name} leaks the outcome {outcome.name}: its source {source}{made_of} is on the "
                    f"list {leak.name}, which {leak.why}",
                    got=pattern,
                    where="model.features",
                    hint="leave out the feature; the lists are in cohort/leaks.toml",
                )


def _pattern_of(leak: Leak, name: str) -> str | None:
    """Return the first pattern of a leak list that matches an NHANES variable."""
    return next((pattern for pattern in leak.patterns if fnmatchcase(name, pattern)), None)


BEFORE, INTERVIEW, EXAMINATION, TELEPHONE, RESULTS = (
    "before the visit", "interview", "examination", "telephone", "results",
)  # fmt: skip
ORDER: Final = (BEFORE, INTERVIEW, EXAMINATION, TELEPHONE, RESULTS)
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
# Age, sex, race/ethnicity and relatives' diabetes cannot be affected by the outcome.
UNAFFECTED = ("RIDAGEYR", "RIAGENDR", "RIDRETH*", "MCQ250A", "MCQ260A*", "MCQ300C")


@dataclass(frozen=True)
class Timing:
    """When a feature is asked or measured, and whether people knew their outcome by then.

    Attributes
    ----------
    feature, source
        The feature, and the last of its sources.
    stage, known
        When the source is asked or measured, and when people learn whether they are cases; values of `ORDER`.
    finding
        Whether the feature may be affected by the outcome, because some cases knew of it before.
    """

    feature: str
    source: str
    stage: str
    known: str
    finding: bool

    def to_dict(self) -> dict[str, object]:
        """Return the record as a dict for the run's files and the report."""
        return asdict(self)


def timing(outcome: Outcome, chosen: Sequence[Feature]) -> list[Timing]:
    """Compare when each feature is asked or measured with when people learn whether they are cases.

    An outcome defined only by laboratory values is known when the results arrive; one that includes a self-reported
    diagnosis is known to diagnosed cases before the interview.

    Parameters
    ----------
    outcome
        Outcome that is predicted.
    chosen
        Features; the sources of their ancestors are included.

    Examples
    --------
    >>> from mgrisk.cohort.outcomes import outcome
    >>> from mgrisk.features.registry import features
    >>> [each.finding for each in timing(outcome("undiagnosed"), features(["waist_cm", "recall_days"]))]
    [False, False]
    >>> [each.finding for each in timing(outcome("diabetes"), features(["waist_cm", "age_years"]))]
    [True, False]
    """
    known = BEFORE if any(each.variable not in outcome.required for each in outcome.case) else RESULTS
    found = []
    for feature in chosen:
        sources = list(dict.fromkeys(name for part in with_ancestors([feature]) for name in part.sources))
        affected = [name for name in sources if not any(fnmatchcase(name, pattern) for pattern in UNAFFECTED)]
        last = max(affected or sources, key=lambda name: ORDER.index(_stage(name)))
        stage = _stage(last)
        found.append(
            Timing(feature.name, last, stage, known, bool(affected) and ORDER.index(stage) > ORDER.index(known))
        )
    return found


def _stage(name: str) -> str:
    return STAGES[variable(name).level]

"""Typed records of the files that the report shows and no check reads; fields are those of the JSON."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from mgrisk.evaluate.records import Estimated, Interval, Metric
from mgrisk.evidence.records import Record


@dataclass(frozen=True)
class TableRecord:
    """A source table: its rows (None where it is no table of people), its size in bytes and its digest."""

    cycle: str
    table: str
    rows: int | None
    size: int
    sha256: str


@dataclass(frozen=True)
class ItemRecord:
    """An item of TRIPOD+AI with its answer and the paths of its evidence."""

    source: str
    status: str
    item: str
    topic: str
    answer: str
    evidence: tuple[str, ...]


@dataclass(frozen=True)
class QuestionRecord:
    """A signalling question of PROBAST+AI with its answer and the paths of its evidence."""

    source: str
    answer: str
    id: str
    topic: str
    reason: str
    evidence: tuple[str, ...]


@dataclass(frozen=True)
class PublishedFigures:
    """What was published of a score in some people, figures as printed; `cut` in the unit of the score."""

    people: str
    outcome: str
    cut: float | None
    auroc: str = ""
    sensitivity: str = ""
    specificity: str = ""


@dataclass(frozen=True)
class Answered:
    """Weighted share of the people of a set who left an item of a score unanswered."""

    unanswered: float


@dataclass(frozen=True)
class ScoreRecord:
    """A published score in this run; `problem` says why it was not evaluated, `sets` is by name of the set."""

    name: str
    label: str
    kind: str
    high: float | None
    published: tuple[PublishedFigures, ...]
    evaluated: bool
    problem: str = ""
    sets: dict[str, Answered] | None = None


class Sized:
    """What every record of an importance can be asked: weighted mean |contribution|, in log-odds, with its interval."""

    importance: float | None
    low: float | None
    high: float | None

    @property
    def size(self) -> Interval:
        """The importance as an estimate."""
        return Interval(self.importance, self.low, self.high)


@dataclass(frozen=True, kw_only=True)
class Importance(Sized):
    """Importance of a feature in one set.

    Attributes
    ----------
    direction
        Rank correlation of value and contribution; None for a category.
    rank, rank_low, rank_high, among_first
        Rank of its importance, with the range over redrawn PSUs and the share of these in which it is among the first
        three; not known of a file of one's own.
    """

    set: str = ""
    feature: str
    label: str
    group: str
    importance: float
    se: float | None
    low: float | None
    high: float | None
    direction: float | None
    rank: float = 0.0
    rank_low: float = 0.0
    rank_high: float = 0.0
    among_first: float = 0.0


@dataclass(frozen=True)
class GroupImportance(Sized):
    """Importance of a group of features as one player, and the sum of their own values."""

    set: str
    group: str
    importance: float
    low: float | None
    high: float | None
    summed: float


@dataclass(frozen=True)
class SubgroupImportance(Sized):
    """Importance of a feature in a subgroup of people; None where they are too few."""

    by: str
    level: str
    feature: str
    n: int
    importance: float | None
    low: float | None
    high: float | None
    problem: str


@dataclass(frozen=True, kw_only=True)
class PairImportance(Sized):
    """Mean |interaction| of two features in a learner with trees; a record with a problem has nothing else."""

    learner: str
    first_label: str = ""
    second_label: str = ""
    importance: float | None = None
    low: float | None = None
    high: float | None = None
    problem: str


@dataclass(frozen=True)
class Agreement:
    """How far another learner gives the reasons of the chosen one: shares of people, and correlations."""

    learner: str
    same_first: float
    in_common: float
    log_odds: float | None
    importance: float | None
    features: dict[str, float | None]


@dataclass(frozen=True)
class RankRange:
    """Lowest and highest rank of a feature."""

    low: float
    high: float


@dataclass(frozen=True)
class AcrossLearners:
    """What all learners together make of first reasons and of ranks, by feature."""

    models: int
    always_first: float
    ranks: dict[str, RankRange]


@dataclass(frozen=True)
class ExplanationSummary:
    """What can be said of the contributions of everybody; the error is one of log-odds."""

    largest_additivity_error: float
    features: tuple[Importance, ...]
    groups: tuple[GroupImportance, ...]
    subgroups: tuple[SubgroupImportance, ...]
    agreement: tuple[Agreement, ...]
    across_learners: AcrossLearners | None
    interactions: tuple[PairImportance, ...]


@dataclass(frozen=True)
class Refits:
    """Refits of one way: shares of people whose reasons stay, and the range of ranks by feature."""

    way: str
    label: str
    refits: int
    same_first: float
    in_common: float
    always_first: float
    log_odds: float | None
    ranks: dict[str, RankRange]
    moved: float


@dataclass(frozen=True)
class Stability:
    """Refits of the chosen model, by way of refitting."""

    ways: tuple[Refits, ...]


@dataclass(frozen=True, kw_only=True)
class CycleMetric(Metric):
    """A metric in a development cycle, by a model of the others."""

    cycle: str


@dataclass(frozen=True, kw_only=True)
class PatternMetric(Metric):
    """A metric of all development people with some inputs absent, each predicted by a model of the other cycles.

    `refitted_auroc` is that of a model fitted to the inputs that are left; None where the model is not additive.
    """

    pattern: str
    label: str
    kind: str
    absent: tuple[str, ...]
    refitted_auroc: float | None


@dataclass(frozen=True)
class Temporal:
    """The chosen model in cycles that it had not seen; `reason` says why there are none."""

    model: str
    reason: str
    cycles: tuple[CycleMetric, ...]
    patterns: tuple[PatternMetric, ...]


@dataclass(frozen=True)
class ImputedMetric(Estimated):
    """A metric with missing values as such, pooled over imputations, and the difference of the two."""

    set: str
    metric: str
    estimate: float | None
    low: float | None
    high: float | None
    pooled: float | None
    between: float | None
    difference: float | None
    difference_low: float | None
    difference_high: float | None


@dataclass(frozen=True)
class Imputation:
    """The chosen model on completed data; `cells_missing` is a share of all inputs of the development people."""

    model: str
    imputations: int
    people_with_gaps: int
    people: int
    cells_missing: float
    records: tuple[ImputedMetric, ...]


@dataclass(frozen=True)
class EvidenceRecord(Record, Estimated):
    """An association, or what else the analysis of magnesium estimated."""


@dataclass(frozen=True)
class OptionRecord(Estimated):
    """What an option would make of the risk of a typical person or of the population, which is called the person."""

    person: str
    description: str
    baseline: float
    n: int
    option: str
    estimate: float | None
    low: float | None
    high: float | None
    dose: float | None
    share: float | None
    advice: str
    model_response: float | None


@dataclass(frozen=True)
class StepRecord:
    """What a step wrote: sha256 by file, and which of the files MLflow gets."""

    outputs: dict[str, str]
    logged: tuple[str, ...] = ()


@dataclass(frozen=True)
class ManifestRecord:
    """What made a run: versions of the program and of libraries, and its steps."""

    data: str
    mgrisk: str
    pipeline: str
    title: str
    environment: dict[str, str]
    steps: dict[str, StepRecord]


@dataclass(frozen=True)
class Curves:
    """By set, model and kind: columns of a curve, or {problem}."""

    sets: dict[str, dict[str, dict[str, Any]]]


@dataclass(frozen=True)
class FittedFeatures:
    """The fitted models of features by name, as `features.compute.to_dict` wrote them."""

    models: dict[str, Any]

"""Typed records of files that the report shows; the fields are those of the JSON."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from mgrisk.evaluate.records import Estimated, Interval, Metric
from mgrisk.evidence.records import Record


@dataclass(frozen=True)
class TableRecord:
    """A source table: its rows (None if it is not a table of people), its size in bytes and its digest."""

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
    """Published performance of a score in a population, as printed; `cut` in the unit of the score."""

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
    """A published score in this run; `problem` is why it was not evaluated, `sets` is by set name."""

    name: str
    label: str
    kind: str
    high: float | None
    published: tuple[PublishedFigures, ...]
    evaluated: bool
    problem: str = ""
    sets: dict[str, Answered] | None = None


class Sized:
    """Base of importance records: weighted mean |SHAP value|, in log-odds, with its interval."""

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
        Rank correlation of value and SHAP value; None for a category.
    rank, rank_low, rank_high, among_first
        Rank of its importance, the range over resampled PSUs, and the share of resamples in which it is among the
        first three; unknown for a file of the user.
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
    """Importance of a group of features by grouped SHAP values, and the sum of their single values."""

    set: str
    group: str
    importance: float
    low: float | None
    high: float | None
    summed: float


@dataclass(frozen=True)
class SubgroupImportance(Sized):
    """Importance of a feature in a subgroup; None for too few people."""

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
    """Mean |interaction| of two features in a tree model; a record with a problem has nothing else."""

    learner: str
    first_label: str = ""
    second_label: str = ""
    importance: float | None = None
    low: float | None = None
    high: float | None = None
    problem: str


@dataclass(frozen=True)
class Agreement:
    """Agreement of another model with the chosen one on reasons: shares of people, and correlations."""

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
    """First reasons and ranks over all models, by feature."""

    models: int
    always_first: float
    ranks: dict[str, RankRange]


@dataclass(frozen=True)
class CandidateRecord:
    """An estimator passed to the run in Python, in addition to the models that a bundle can hold.

    Attributes
    ----------
    estimator, identity
        Its repr, and the sha256 of its settings and source.
    weighted
        Whether it was fitted with survey weights.
    log_loss, fold_log_loss
        Log loss of its calibrated out-of-fold risks, in nats, overall and by fold.
    intercept, slope
        Calibration intercept and slope.
    explained, background
        Number of held-out people explained, and of development people in the background sample.
    features
        Importance of each feature in the people explained.
    agreement
        Agreement with the chosen model on reasons.
    """

    name: str
    estimator: str
    identity: str
    weighted: bool
    log_loss: float
    fold_log_loss: tuple[float, ...]
    intercept: float
    slope: float
    explained: int
    background: int
    features: tuple[Importance, ...]
    agreement: Agreement


@dataclass(frozen=True)
class ExplanationSummary:
    """Summary of the SHAP values of all people; the error is in log-odds."""

    largest_additivity_error: float
    features: tuple[Importance, ...]
    groups: tuple[GroupImportance, ...]
    subgroups: tuple[SubgroupImportance, ...]
    agreement: tuple[Agreement, ...]
    across_learners: AcrossLearners | None
    interactions: tuple[PairImportance, ...]


@dataclass(frozen=True)
class Refits:
    """Refits by one method: shares of people whose reasons stay the same, and the range of ranks by feature."""

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
    """Refits of the chosen model, by method."""

    ways: tuple[Refits, ...]


@dataclass(frozen=True, kw_only=True)
class CycleMetric(Metric):
    """A metric in a development cycle, predicted by a model fitted on the other cycles."""

    cycle: str


@dataclass(frozen=True, kw_only=True)
class PatternMetric(Metric):
    """A metric in all development people with some inputs missing, each predicted by a model of the other cycles.

    `refitted_auroc` is that of a model fitted to the remaining inputs; None if the model is not additive.
    """

    pattern: str
    label: str
    kind: str
    absent: tuple[str, ...]
    refitted_auroc: float | None


@dataclass(frozen=True)
class Temporal:
    """The chosen model in left-out cycles; `reason` is why there are none."""

    model: str
    reason: str
    cycles: tuple[CycleMetric, ...]
    patterns: tuple[PatternMetric, ...]


@dataclass(frozen=True)
class ImputedMetric(Estimated):
    """A metric with missing values kept, the metric pooled over imputations, and their difference."""

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
    """The chosen model on imputed data; `cells_missing` is the share of missing input cells in development."""

    model: str
    imputations: int
    people_with_gaps: int
    people: int
    cells_missing: float
    records: tuple[ImputedMetric, ...]


@dataclass(frozen=True)
class EvidenceRecord(Record, Estimated):
    """An association, or another estimate of the magnesium analysis."""


@dataclass(frozen=True)
class OptionRecord(Estimated):
    """Risk of a typical person, or of the population, under an option."""

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
    """Output of a step: sha256 by file, and the files that are logged in MLflow."""

    outputs: dict[str, str]
    logged: tuple[str, ...] = ()


@dataclass(frozen=True)
class ManifestRecord:
    """The manifest of a run: versions of mgrisk and libraries, and the steps."""

    data: str
    mgrisk: str
    pipeline: str
    title: str
    environment: dict[str, str]
    steps: dict[str, StepRecord]


@dataclass(frozen=True)
class Curves:
    """Columns of a curve, or {problem}, by set, model and kind."""

    sets: dict[str, dict[str, dict[str, Any]]]


@dataclass(frozen=True)
class FittedFeatures:
    """Fitted feature models by name, as written by `features.compute.to_dict`."""

    models: dict[str, Any]

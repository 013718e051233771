"""Incremental value of magnesium: paired differences between models with and without it in the same people.

Four models with the same settings are compared: with all features, without magnesium, without diet (including
magnesium), and without diet but with magnesium. At published relative risks magnesium can add about 0.003 to the AUROC,
less with one day's recall; a gain above `SUSPICIOUS` suggests leakage. IDI and NRI are not computed, since they are not
proper scores and can improve by miscalibration.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from mgrisk.evaluate.intervals import MetricReplicates, replicate_metrics
from mgrisk.evaluate.thresholds import RISKS
from mgrisk.features.registry import Feature, with_ancestors
from mgrisk.survey.design import SurveyDesign
from mgrisk.types import Floats

FAMILY: Final = "magnesium"
DIET: Final = "diet"
SUSPICIOUS: Final = 0.01
"""Gain in AUROC above which magnesium adds more than is plausible, so that leakage must be excluded."""
METRICS: Final = ("auroc", "log_loss", "brier", *(f"net_benefit@{risk:g}" for risk in RISKS))
FULL: Final = "all features"
WITHOUT: Final = "without magnesium"
NO_DIET: Final = "without diet"
ALONE: Final = "without diet, with magnesium"
SHUFFLED: Final = "magnesium shuffled"


@dataclass(frozen=True)
class Comparison:
    """Two variants to compare.

    Attributes
    ----------
    question
        What the variants differ in.
    more, less
        The variants with and without it.
    """

    question: str
    more: str
    less: str


COMPARISONS: Final = (
    Comparison("magnesium, beside everything else", FULL, WITHOUT),
    Comparison("magnesium, where nothing else of diet is known", ALONE, NO_DIET),
    Comparison("all of diet, magnesium included", FULL, NO_DIET),
)


def is_magnesium(feature: Feature) -> bool:
    """Return whether a feature is of the magnesium family or derives from it, such as a diet score."""
    return any(each.group == FAMILY for each in with_ancestors((feature,)))


def variants(features: Sequence[Feature]) -> dict[str, tuple[Feature, ...]]:
    """Return the features of each variant.

    Parameters
    ----------
    features
        Features of the model.

    Returns
    -------
    dict
        Features by name of the variant; empty where no feature, or every feature, is of magnesium or diet.
    """
    magnesium = [feature for feature in features if is_magnesium(feature)]
    others = [feature for feature in features if not is_magnesium(feature)]
    base = [feature for feature in others if feature.group != DIET]
    if not magnesium or not base:
        return {}
    alone = [feature for feature in features if feature in base or feature in magnesium]
    return {FULL: tuple(features), WITHOUT: tuple(others), NO_DIET: tuple(base), ALONE: tuple(alone)}


def added_value(
    y: Floats, risks: Mapping[str, Floats], design: SurveyDesign, *, outcome: str, set_name: str
) -> list[dict[str, Any]]:
    """Compare the variants on the domain of a design.

    Parameters
    ----------
    y
        Outcome, shape (n,); any value outside the domain.
    risks
        Calibrated probabilities by variant, shape (n,) each.
    design
        The full design of the set, with the analysis as its domain.
    outcome, set_name
        Written into each record.

    Returns
    -------
    list of dict
        Records {question, model, reference, outcome, set, metric, estimate, low, high, se, n, events, problem,
        presentation}: the variant with the features in question minus the one without. Intervals are for the sampling
        of the people evaluated; both models are fixed.
    """
    found = replicate_metrics(y, risks, design, metrics=METRICS)
    context = {"outcome": outcome, "set": set_name}
    return [
        {"question": each.question, **context, **record}
        for each in COMPARISONS
        for record in found.differences(each.less)
        if record["model"] == each.more
    ]


def shuffled_value(
    y: Floats, risk: Floats, shuffled: Sequence[Floats], design: SurveyDesign, *, outcome: str, set_name: str
) -> list[dict[str, Any]]:
    """Return the permutation importance of magnesium in the fitted model, all features of the family together.

    Parameters
    ----------
    y, design, outcome, set_name
        As for `added_value`.
    risk
        Risks of the model, shape (n,).
    shuffled
        Its risks with the family's values permuted between people, one array for each permutation.

    Returns
    -------
    list of dict
        Records as those of `added_value`: the model minus the mean of the permutations. This differs from incremental
        value: without magnesium, a refitted model would use correlated features such as fibre or energy instead.
    """
    permuted = {f"permutation {place}": each for place, each in enumerate(shuffled)}
    found = replicate_metrics(y, {FULL: risk, **permuted}, design, metrics=METRICS)

    def column(models: Sequence[str], metric: str) -> Floats:
        parts = [np.append(found.full[model, metric], found.replicates[model, metric]) for model in models]
        return np.asarray(np.mean(parts, axis=0), dtype=np.float64)

    columns = {
        (name, metric): column(models, metric)
        for name, models in ((FULL, [FULL]), (SHUFFLED, list(permuted)))
        for metric in METRICS
    }
    context = {"question": "magnesium, by shuffling it in the fitted model", "outcome": outcome, "set": set_name}
    paired = MetricReplicates.of(y, columns, design, scale=found.scale)
    return [{**context, **record} for record in paired.differences(SHUFFLED)]

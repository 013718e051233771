"""What magnesium adds: the same model with and without it, on the same people, as paired differences.

Four models with the same settings: all features; all but those of magnesium; none of diet; and none of diet but
magnesium. At published relative risks magnesium can add about 0.003 to the AUROC, and less on one day's recall; more
than `SUSPICIOUS` is a reason to look for a leak and not to rejoice. IDI and NRI are not computed: they are no proper
scores, and reward a model for being miscalibrated.
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
"""Gain in AUROC from which on magnesium adds more than it can: what the leak audit must then explain."""
METRICS: Final = ("auroc", "log_loss", "brier", *(f"net_benefit@{risk:g}" for risk in RISKS))
FULL: Final = "all features"
WITHOUT: Final = "without magnesium"
NO_DIET: Final = "without diet"
ALONE: Final = "without diet, with magnesium"
SHUFFLED: Final = "magnesium shuffled"


@dataclass(frozen=True)
class Comparison:
    """Two variants whose difference answers one question.

    Attributes
    ----------
    question
        What is added to what.
    more, less
        The variant with it and the one without.
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
    """Tell whether a feature is of the magnesium family, or made from one that is, such as a diet score."""
    return any(each.group == FAMILY for each in with_ancestors((feature,)))


def variants(features: Sequence[Feature]) -> dict[str, tuple[Feature, ...]]:
    """Return the features of each variant.

    Parameters
    ----------
    features
        Those of the model.

    Returns
    -------
    dict
        By name of the variant; empty where no feature is of magnesium, or none of anything else.
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
        presentation}: the variant with what is asked about less the one without it. Intervals are of who was sampled
        to be evaluated; both models are taken as they are.
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
    """Say what the fitted model loses where people swap their magnesium, all features of the family together.

    Parameters
    ----------
    y, design, outcome, set_name
        As for `added_value`.
    risk
        Of the model, shape (n,).
    shuffled
        Its risks with the family's values dealt out anew, one array for each deal.

    Returns
    -------
    list of dict
        Records as those of `added_value`: the model less the mean of the deals. Not the same question: a model that
        leans on magnesium loses by the swap what another model would have learned from fibre or energy.
    """
    deals = {f"deal {place}": each for place, each in enumerate(shuffled)}
    found = replicate_metrics(y, {FULL: risk, **deals}, design, metrics=METRICS)

    def column(models: Sequence[str], metric: str) -> Floats:
        parts = [np.append(found.full[model, metric], found.replicates[model, metric]) for model in models]
        return np.asarray(np.mean(parts, axis=0), dtype=np.float64)

    columns = {
        (name, metric): column(models, metric)
        for name, models in ((FULL, [FULL]), (SHUFFLED, list(deals)))
        for metric in METRICS
    }
    context = {"question": "magnesium, by shuffling it in the fitted model", "outcome": outcome, "set": set_name}
    paired = MetricReplicates.of(y, columns, design, scale=found.scale)
    return [{**context, **record} for record in paired.differences(SHUFFLED)]

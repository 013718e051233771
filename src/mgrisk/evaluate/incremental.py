"""What magnesium adds to a prediction of each outcome: the same model with and without it, for the four outcomes.

The model is one spline logistic regression for all of them, on the run's features, folds and cycles, so that outcomes
are compared and not models. Labels, eligibility and weights are those of each outcome.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Final

import numpy as np
import pandas as pd

from mgrisk.cohort import select
from mgrisk.cohort.folds import assign_folds
from mgrisk.cohort.outcomes import OUTCOMES, Outcome
from mgrisk.cohort.select import DEVELOPMENT, HELD_OUT
from mgrisk.config import pipeline_file
from mgrisk.evaluate.added_value import is_magnesium
from mgrisk.evaluate.assess import CROSS_VALIDATED
from mgrisk.evaluate.intervals import replicate_metrics
from mgrisk.features.registry import Feature
from mgrisk.model.refit import refit
from mgrisk.model.training_data import TrainingData
from mgrisk.nhanes.codebook import KEY
from mgrisk.types import Floats

LABELS: Final = ("undiagnosed", "diabetes", "dysglycaemia", "insulin-resistance")
MODEL: Final = "spline_logistic"
"""The same model for all outcomes."""
WITH, WITHOUT = "with magnesium", "without magnesium"


def label_variables(chosen: Sequence[Feature], cohort: pipeline_file.Cohort) -> tuple[str, ...]:
    """Return the NHANES variables that selecting people for each outcome needs, each once."""
    sets = (cohort.development, cohort.held_out)
    return tuple(
        dict.fromkeys(name for label in LABELS for name in select.required_variables(OUTCOMES[label], chosen, sets))
    )


def incremental_values(
    raw: pd.DataFrame, frame: pd.DataFrame, chosen: Sequence[Feature], pipeline: pipeline_file.Pipeline
) -> Iterator[dict[str, Any]]:
    """Yield how much higher the AUROC is with magnesium than without, cross-validated and held-out, for each outcome.

    Parameters
    ----------
    raw
        Harmonised NHANES variables of everybody, with `label_variables`.
    frame
        Completed features, row for row the same people.
    chosen
        Features of the model; nothing is yielded where none, or each, is of magnesium.
    pipeline
        Cycles, folds and grids of the run.

    Yields
    ------
    dict
        Fields of an evidence record: outcome, contrast (``cross-validated`` or the held-out cycles), estimate, low,
        high, se, n, events, problem, weight_level, cycles. Intervals are of who was sampled to be evaluated.

    Raises
    ------
    MgRiskError
        As `select.select` and `train.train`.
    """
    without = [feature for feature in chosen if not is_magnesium(feature)]
    if 0 < len(without) < len(chosen):
        for label in LABELS:
            yield from _of(OUTCOMES[label], raw, frame, {WITH: chosen, WITHOUT: without}, pipeline)


def _of(
    outcome: Outcome,
    raw: pd.DataFrame,
    frame: pd.DataFrame,
    variants: dict[str, Sequence[Feature]],
    pipeline: pipeline_file.Pipeline,
) -> Iterator[dict[str, Any]]:
    settings = pipeline.cohort
    cohort = select.select(
        raw,
        outcome=outcome,
        chosen=variants[WITH],
        development=settings.development,
        held_out=settings.held_out,
        minimum_age=settings.minimum_age,
    )
    folds = assign_folds(cohort.frame, folds=settings.folds, seed=settings.seed)
    sets = {}
    for name in (DEVELOPMENT, HELD_OUT):
        rows, design = select.design(cohort.frame, level=cohort.level, set_name=name)
        y = rows["outcome"].where(rows["analysis"], 0.0).to_numpy(dtype=np.float64)
        sets[name] = (rows, design, y, frame[(cohort.frame["set"] == name).to_numpy()].reset_index(drop=True))
    rows, design, y, features = sets[DEVELOPMENT]
    fold = rows[[KEY]].merge(folds, on=KEY, how="left", validate="one_to_one")["fold"].to_numpy(dtype=np.int64)
    data = TrainingData(features, y, design, fold)
    _, later, _, held_out = sets[HELD_OUT]
    inside = np.flatnonzero(later.analysis_weight > 0)
    grids = pipeline.model.model_copy(
        update={MODEL: pipeline.model.spline_logistic or pipeline_file.Splines(), "sums": {}}
    )
    risks: dict[str, dict[str, Floats]] = {DEVELOPMENT: {}, HELD_OUT: {}}
    for name, of_variant in variants.items():
        encoder, model = refit(
            data, features=of_variant, settings=grids, model=MODEL, parts=[{"part": MODEL, "params": {}}],
            threads=pipeline.threads,
        )  # fmt: skip
        risks[DEVELOPMENT][name] = model.oof_risk
        risk = np.full(len(later), np.nan)
        risk[inside] = model.calibrator.risk(model.fitted.margin(encoder.matrix(held_out.iloc[inside])))
        risks[HELD_OUT][name] = risk
    cycles = {DEVELOPMENT: settings.development, HELD_OUT: settings.held_out}
    for name, (_, of_set, y, _) in sets.items():
        (found,) = replicate_metrics(y, risks[name], of_set, metrics=["auroc"]).differences(WITHOUT)
        yield {
            "outcome": outcome.name,
            "contrast": CROSS_VALIDATED if name == DEVELOPMENT else ", ".join(settings.held_out),
            **{key: found[key] for key in ("estimate", "low", "high", "se", "n", "events", "problem")},
            "weight_level": str(cohort.level),
            "cycles": ", ".join(cycles[name]),
        }

"""Incremental value of magnesium for each of the four outcomes: the same model with and without it.

The model is a spline logistic regression for all outcomes, on the features, folds and cycles of the run, so that
outcomes are compared, not models. Labels, eligibility and weights are those of each outcome.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

import numpy as np
import pandas as pd

from mgrisk.cohort import select
from mgrisk.cohort.folds import assign_folds
from mgrisk.cohort.outcomes import OUTCOMES, Outcome
from mgrisk.cohort.select import DEVELOPMENT, HELD_OUT
from mgrisk.config import pipeline_file
from mgrisk.errors import MgRiskError
from mgrisk.evaluate.added_value import is_magnesium
from mgrisk.evaluate.assess import CROSS_VALIDATED
from mgrisk.evaluate.intervals import replicate_metrics
from mgrisk.evidence.records import INCREMENTAL, Record
from mgrisk.evidence.regression import NONE
from mgrisk.features.registry import Feature
from mgrisk.model.refit import refit
from mgrisk.model.training_data import TrainingData
from mgrisk.nhanes.codebook import KEY
from mgrisk.nhanes.eras import equation_sources
from mgrisk.pipeline.workspace import SetOfPeople
from mgrisk.types import Floats

LABELS: Final = ("undiagnosed", "diabetes", "dysglycaemia", "insulin-resistance")
MODEL: Final = "spline_logistic"
"""The same model for all outcomes."""
WITH, WITHOUT = "with magnesium", "without magnesium"


def label_variables(chosen: Sequence[Feature], cohort: pipeline_file.Cohort) -> tuple[str, ...]:
    """Return the NHANES variables that the selection of people for each outcome needs, each once."""
    sets = (cohort.development, cohort.held_out)
    needed = (name for label in LABELS for name in select.required_variables(OUTCOMES[label], chosen, sets))
    return tuple(dict.fromkeys((*needed, *equation_sources(cohort.crosswalks))))


def incremental_values(
    raw: pd.DataFrame, frame: pd.DataFrame, chosen: Sequence[Feature], pipeline: pipeline_file.Pipeline
) -> Iterator[Record]:
    """Yield the difference in AUROC with and without magnesium, cross-validated and held-out, for each outcome.

    Parameters
    ----------
    raw
        Harmonised NHANES variables of all participants, with `label_variables`.
    frame
        Completed features, in the same rows.
    chosen
        Features of the model; nothing is yielded if none or all of them are of magnesium.
    pipeline
        Cycles, folds and grids of the run.

    Yields
    ------
    Record
        Contrast ``cross-validated`` or the held-out cycles; intervals cover the sampling of the evaluated people.

    Raises
    ------
    MgRiskError
        As `select.select`. A model that cannot be fitted yields a record with the code of the problem.
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
) -> Iterator[Record]:
    settings = pipeline.cohort
    cohort = select.select(
        raw,
        outcome=outcome,
        chosen=variants[WITH],
        development=settings.development,
        held_out=settings.held_out,
        minimum_age=settings.minimum_age,
    )
    sets = {}
    for name in (DEVELOPMENT, HELD_OUT):
        rows, design = select.design(cohort.frame, level=cohort.level, set_name=name)
        y = rows["outcome"].where(rows["analysis"], 0.0).to_numpy(dtype=np.float64)
        of_set = frame[(cohort.frame["set"] == name).to_numpy()].reset_index(drop=True)
        sets[name] = SetOfPeople(rows, design, y, of_set, np.flatnonzero(design.analysis_weight > 0))
    try:
        risks, problem = _risks(cohort.frame, sets, variants, pipeline), ""
    except MgRiskError as found:
        risks, problem = {}, found.code
    for name, each in sets.items():
        values: dict[str, Any] = dict.fromkeys(("estimate", "low", "high", "se"))
        values |= {"n": each.design.n, "events": int(each.y[each.inside].sum()), "problem": problem}
        if not problem:
            (found_one,) = replicate_metrics(each.y, risks[name], each.design, metrics=["auroc"]).differences(WITHOUT)
            values = {key: found_one[key] for key in values}
        later = ", ".join(settings.held_out)
        yield Record(
            analysis=INCREMENTAL,
            exposure="magnesium",
            outcome=outcome.name,
            model=MODEL,
            contrast=CROSS_VALIDATED if name == DEVELOPMENT else later,
            scale="difference in AUROC",
            **values,
            p=None,
            correction=NONE,
            weight_level=str(cohort.level),
            cycles=", ".join(settings.development) if name == DEVELOPMENT else later,
        )


def _risks(
    cohort: pd.DataFrame,
    sets: Mapping[str, SetOfPeople],
    variants: Mapping[str, Sequence[Feature]],
    pipeline: pipeline_file.Pipeline,
) -> dict[str, dict[str, Floats]]:
    """Return calibrated risks by set and variant: out of fold, and by the model of all development people."""
    development, held_out = sets[DEVELOPMENT], sets[HELD_OUT]
    folds = assign_folds(cohort, folds=pipeline.cohort.folds, seed=pipeline.cohort.seed)
    fold = development.rows[[KEY]].merge(folds, on=KEY, how="left", validate="one_to_one")["fold"]
    data = TrainingData(development.frame, development.y, development.design, fold.to_numpy(dtype=np.int64))
    grid = pipeline.model.spline_logistic or pipeline_file.Splines()
    settings = pipeline.model.model_copy(update={MODEL: grid, "sums": {}})
    found: dict[str, dict[str, Floats]] = {DEVELOPMENT: {}, HELD_OUT: {}}
    for name, features in variants.items():
        encoder, model = refit(
            data,
            features=features,
            settings=settings,
            model=MODEL,
            parts=[{"part": MODEL, "params": {}}],
            threads=pipeline.threads,
        )
        margin = model.fitted.margin(encoder.matrix(held_out.frame.iloc[held_out.inside]))
        found[DEVELOPMENT][name] = model.oof_risk
        found[HELD_OUT][name] = held_out.expanded(model.calibrator.risk(margin))
    return found

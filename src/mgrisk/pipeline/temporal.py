"""Step `temporal`: predict each development cycle from the others, with all inputs and with some missing.

The held-out cycle is not used: changes of discrimination and calibration between cycles, and without inputs, are
estimated in development people.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

import numpy as np
import pandas as pd
from scipy.special import expit

from mgrisk.cohort.select import DEVELOPMENT
from mgrisk.errors import MgRiskError
from mgrisk.evaluate.intervals import with_intervals
from mgrisk.evaluate.metrics import auroc
from mgrisk.evaluate.missing_inputs import NOTHING, Pattern, patterns
from mgrisk.model.calibration import fit_calibrator
from mgrisk.model.refit import LeftOut, left_out_log_odds
from mgrisk.pipeline.engine import MODEL, Step
from mgrisk.pipeline.trained import read_trained, refitter
from mgrisk.pipeline.workspace import SetOfPeople, Workspace
from mgrisk.run_folder import names
from mgrisk.survey.variance import t_quantile
from mgrisk.types import Booleans, Floats, JsonRecord

METRICS: Final = ("prevalence", "auroc", "calibration_slope", "observed_expected", "ici", "log_loss")
OF_PATTERNS: Final = ("auroc", "calibration_slope", "observed_expected", "log_loss")
# The jackknife of a slope needs a fit per replicate, too slow for dozens of single inputs and random sets.
WITHOUT_SLOPE: Final = ("auroc", "observed_expected", "log_loss")


def leave_cycles_out(workspace: Workspace) -> str:
    """Refit the chosen model without each development cycle; write temporal.json."""
    winner = workspace.run.winner
    bundle = read_trained(workspace, winner)
    people = workspace.people(DEVELOPMENT)
    about = {"model": winner, "outcome": workspace.outcome.name}
    cycle, years = pd.factorize(people.rows["cycle"], sort=True)
    if len(years) < 2:
        return _nothing(workspace, about, "the development people are of one cycle")
    chosen = patterns(bundle.features)
    try:
        found = left_out_log_odds(
            refitter(workspace, bundle, people),
            workspace.training_data(people),
            cycle,
            absent={each.name: each.absent for each in chosen},
        )
    except MgRiskError as problem:
        return _nothing(workspace, about, problem.what())
    names_of_features = [feature.name for feature in bundle.features]
    everything = found.predicted[NOTHING]
    cycles = [
        {"cycle": name, **record}
        for place, name in enumerate(years)
        for record in _metrics(people, everything, cycle == place, METRICS)
    ]
    of_patterns = [record for each in chosen for record in _of_pattern(people, found, each, names_of_features)]
    workspace.run.write_object(names.TEMPORAL, {**about, "reason": "", "cycles": cycles, "patterns": of_patterns})
    ratios = [record["estimate"] for record in cycles if record["metric"] == "observed_expected"]
    return f"observed/expected of {len(years)} cycles left out: {min(ratios):.2f} to {max(ratios):.2f}"


def _nothing(workspace: Workspace, about: JsonRecord, reason: str) -> str:
    """Write the reason why there is no result."""
    workspace.run.write_object(names.TEMPORAL, {**about, "reason": reason, "cycles": [], "patterns": []})
    return f"not applicable: {reason}"


def _of_pattern(people: SetOfPeople, found: LeftOut, pattern: Pattern, features: list[str]) -> Iterator[JsonRecord]:
    everybody = np.ones(len(people.design), dtype=np.bool_)
    refitted = found.refitted.get(pattern.name)
    about = {
        "pattern": pattern.name,
        "label": pattern.label,
        "kind": pattern.kind,
        "absent": [features[place] for place in pattern.absent],
        "refitted_auroc": None if refitted is None else _auroc(people, refitted),
    }
    log_odds = found.predicted[pattern.name]
    replicated = OF_PATTERNS if pattern.kind in ("all", "set") else WITHOUT_SLOPE
    for record in _metrics(people, log_odds, everybody, replicated):
        yield {**about, **record}
        if replicated is WITHOUT_SLOPE and record["metric"] == "auroc":
            yield {**about, **record, **_slope(people, log_odds)}


def _slope(people: SetOfPeople, log_odds: Floats) -> JsonRecord:
    """Return the calibration slope with its interval by linearisation, from one fit."""
    fit = fit_calibrator(np.nan_to_num(log_odds), people.y, people.design)
    se = float(np.sqrt(fit.covariance[1, 1]))
    reach = t_quantile(0.95, people.design.residual_df(2)) * se
    return {
        "metric": "calibration_slope",
        "estimate": fit.slope,
        "se": se,
        "low": fit.slope - reach,
        "high": fit.slope + reach,
    }


def _auroc(people: SetOfPeople, log_odds: Floats) -> float:
    inside = people.inside
    return auroc(people.y[inside], expit(log_odds[inside]), people.design.analysis_weight[inside])


def _metrics(people: SetOfPeople, log_odds: Floats, who: Booleans, metrics: tuple[str, ...]) -> list[JsonRecord]:
    records = with_intervals(people.y, {"model": expit(log_odds)}, people.design.where(who), metrics=metrics)
    return [{name: value for name, value in record.items() if name != "model"} for record in records]


STEP = Step(
    "temporal",
    "leave each cycle out and predict it",
    inputs=(*names.PEOPLE, names.TARGETS, names.FOLDS, names.TRAINED, names.TUNING),
    outputs=(names.TEMPORAL,),
    logged=(names.TEMPORAL,),
    settings=MODEL,
    action=leave_cycles_out,
)

"""Step `temporal`: each development cycle predicted from the others, with all inputs and with some taken away.

The held-out cycle has no part in it: what becomes of calibration from cycle to cycle, and without inputs, is told by
people whose outcome was open all along.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final

import numpy as np
import pandas as pd
from scipy.special import expit

from mgrisk.cohort.select import DEVELOPMENT
from mgrisk.errors import MgRiskError
from mgrisk.evaluate.intervals import with_intervals
from mgrisk.evaluate.missing_inputs import ALL_INPUTS, RECALIBRATED, REPORTED, Pattern, patterns
from mgrisk.model.calibration import cross_fitted_risk
from mgrisk.model.refit import left_out_log_odds
from mgrisk.nhanes.codebook import KEY
from mgrisk.pipeline.engine import MODEL, Step
from mgrisk.pipeline.trained import read_trained, refitter
from mgrisk.pipeline.workspace import SetOfPeople, Workspace
from mgrisk.run_folder import names
from mgrisk.types import Booleans, Floats, Integers, JsonRecord

METRICS: Final = ("prevalence", "auroc", "calibration_slope", "observed_expected", "ici", "log_loss")


def leave_cycles_out(workspace: Workspace) -> str:
    """Refit the chosen model without each development cycle; write temporal.json."""
    tuning = workspace.run.tuning
    winner = tuning.winner
    bundle = read_trained(workspace, winner)
    people = workspace.people(DEVELOPMENT)
    about = {"model": winner, "outcome": workspace.outcome.name}
    cycle, years = pd.factorize(people.rows["cycle"], sort=True)
    if len(years) < 2:
        return _nothing(workspace, about, "the development people are of one cycle")
    chosen = patterns(bundle.features)
    given = {ALL_INPUTS: people.frame} | {each.name: each.without(people.frame) for each in chosen}
    encoded = {name: people.encoded(bundle, frame) for name, frame in given.items()}
    try:
        log_odds = left_out_log_odds(
            refitter(workspace, bundle, people, tuning.parts),
            encoded[ALL_INPUTS],
            workspace.training_data(people),
            cycle,
            given=encoded,
        )
        missing = list(_without_inputs(people, log_odds, chosen, cycle))
    except MgRiskError as problem:
        return _nothing(workspace, about, problem.what())
    cycles = [
        {"cycle": name, **record}
        for place, name in enumerate(years)
        for record in _metrics(people, expit(log_odds[ALL_INPUTS]), cycle == place)
    ]
    workspace.run.write_object(names.TEMPORAL, {**about, "reason": "", "cycles": cycles, "missing_inputs": missing})
    workspace.run.write_frame(names.LEFT_OUT, people.rows[[KEY]].assign(**log_odds))
    ratios = [record["estimate"] for record in cycles if record["metric"] == "observed_expected"]
    return f"observed/expected of {len(years)} cycles left out: {min(ratios):.2f} to {max(ratios):.2f}"


def _nothing(workspace: Workspace, about: JsonRecord, reason: str) -> str:
    """Say why there is nothing to say."""
    workspace.run.write_object(names.TEMPORAL, {**about, "reason": reason, "cycles": [], "missing_inputs": []})
    nobody = workspace.people(DEVELOPMENT).rows[[KEY]]
    workspace.run.write_frame(names.LEFT_OUT, nobody)
    return f"not applicable: {reason}"


def _without_inputs(
    people: SetOfPeople, log_odds: Mapping[str, Floats], chosen: tuple[Pattern, ...], cycle: Integers
) -> Iterator[JsonRecord]:
    """Yield records of all cycles together, as the model says and with a calibration for those who lack the inputs."""
    everybody = np.ones(len(people.design), dtype=np.bool_)
    labels = {ALL_INPUTS: "Nothing"} | {each.name: each.label for each in chosen}
    for name, label in labels.items():
        said = {REPORTED: expit(log_odds[name])}
        if name != ALL_INPUTS:
            # The calibration of those who lack the inputs is fitted on the other cycles, too.
            said[RECALIBRATED] = cross_fitted_risk(np.nan_to_num(log_odds[name]), people.y, people.design, cycle)
        for calibration, risk in said.items():
            for record in _metrics(people, risk, everybody):
                yield {"missing": name, "label": label, "calibration": calibration, **record}


def _metrics(people: SetOfPeople, risk: Floats, who: Booleans) -> list[JsonRecord]:
    records = with_intervals(people.y, {"model": risk}, people.design.where(who), metrics=METRICS)
    return [{name: value for name, value in record.items() if name != "model"} for record in records]


STEP = Step(
    "temporal",
    inputs=(*names.PEOPLE, names.TARGETS, names.FOLDS, names.TRAINED, names.TUNING),
    outputs=names.OF_CYCLES,
    settings=MODEL,
    action=leave_cycles_out,
)

"""The temporal station: each development cycle predicted from the others, with all inputs and with some taken away.

The held-out cycle has no part in it: what becomes of calibration from cycle to cycle, and without inputs, is told by
people whose outcome was open all along.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any, Final

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.special import expit

from mgrisk.artifacts import atomic_folder, sha256, write_json
from mgrisk.cohort.select import DEVELOPMENT
from mgrisk.errors import MgRiskError
from mgrisk.evaluate.intervals import with_intervals
from mgrisk.evaluate.missing_inputs import ALL_INPUTS, RECALIBRATED, REPORTED, Pattern, patterns
from mgrisk.model.bundle import SUMS, Bundle, load_bundle
from mgrisk.model.calibrate import cross_fitted_risk
from mgrisk.model.left_out import left_out_log_odds
from mgrisk.model.recalibrate import recalibrate
from mgrisk.nhanes.codebook import KEY
from mgrisk.steps.workspace import SetOfPeople, Workspace

METRICS: Final = ("prevalence", "auroc", "calibration_slope", "observed_expected", "ici", "log_loss")
Floats = NDArray[np.float64]
Record = dict[str, Any]


def leave_cycles_out(workspace: Workspace) -> str:
    """Refit the chosen model without each development cycle; write temporal.json."""
    tuning = workspace.read_json("tuning.json")
    winner = tuning["winner"]
    bundle = load_bundle(workspace.path("trained") / winner, threads=workspace.pipeline.threads)
    people = workspace.people(DEVELOPMENT)
    about = {"data": workspace.data_label, "model": winner, "outcome": workspace.outcome.name}
    cycle, names = pd.factorize(people.rows["cycle"], sort=True)
    if len(names) < 2:
        return _nothing(workspace, about, "the development people are of one cycle")
    chosen = patterns(bundle.features)
    given = {ALL_INPUTS: people.frame} | {each.name: each.without(people.frame) for each in chosen}
    encoded = {name: people.encoded(bundle, frame) for name, frame in given.items()}
    try:
        log_odds = left_out_log_odds(
            workspace.refitter(bundle, people, tuning["models"][winner]["parts"]),
            encoded[ALL_INPUTS],
            people.y,
            people.design,
            workspace.fold(people),
            cycle,
            given=encoded,
        )
        missing = list(_without_inputs(people, log_odds, chosen, cycle))
    except MgRiskError as problem:
        return _nothing(workspace, about, problem.what())
    cycles = [
        {"cycle": name, **record}
        for place, name in enumerate(names)
        for record in _metrics(people, expit(log_odds[ALL_INPUTS]), cycle == place)
    ]
    write_json(workspace.path("temporal.json"), {**about, "reason": "", "cycles": cycles, "missing_inputs": missing})
    workspace.write_frame("temporal.parquet", people.rows[[KEY]].assign(**log_odds))
    ratios = [record["estimate"] for record in cycles if record["metric"] == "observed_expected"]
    return f"observed/expected of {len(names)} cycles left out: {min(ratios):.2f} to {max(ratios):.2f}"


def bundles_without(workspace: Workspace) -> str:
    """Write a bundle for people who lack some inputs, by pattern: calibrated on cycles that its model had not seen."""
    parent, folder = load_bundle(workspace.path("bundle")), workspace.path("without")
    people = workspace.people(DEVELOPMENT)
    log_odds = people.rows[[KEY]].merge(pd.read_parquet(workspace.path("temporal.parquet")), on=KEY, how="left")
    told = {"name": str(parent.about["name"]), "sha256": sha256(workspace.path("bundle") / SUMS)}
    with atomic_folder(folder) as made:
        made_of = []
        for pattern in patterns(parent.features):
            if pattern.name not in log_odds:
                continue
            # The margin that gives these log-odds by the parent's map: what is fitted is the map from it.
            margin = (log_odds[pattern.name].to_numpy() - parent.calibrator.intercept) / parent.calibrator.slope
            without = [feature.name for feature in pattern.features]
            about = {"parent": told, "holds_for": f"{parent.about['holds_for']}; people without {', '.join(without)}"}
            try:
                child = recalibrate(
                    parent, np.nan_to_num(margin), people.y, people.design, method="logistic", told=about
                )
            except MgRiskError:
                continue  # too few cases: the parent is the better guess
            name = f"{parent.about['name']}-without-{pattern.name.replace('_', '-')}"
            card = f"# {name}\n\n{_card(parent, pattern, child.about['recalibration'])}"
            parts = {**child.parts, "card.md": card.encode() + parent.parts.get("card.md", b"")}
            replace(child, about={**child.about, "name": name, "without": without}, parts=parts).write(
                made / pattern.name
            )
            made_of.append(pattern.name)
    return f"{len(made_of)} bundles in {folder}" if made_of else "none: too few cases, or one cycle"


def _card(parent: Bundle, pattern: Pattern, change: Record) -> str:
    missing = ", ".join(feature.label for feature in pattern.features)
    return (
        f"The model of {parent.about['name']} for people of whom these inputs are not known: {missing}. "
        f"Its log-odds are those of the parent without them, × {change['slope_of_parent']:.3f} "
        f"{change['intercept_of_parent']:+.3f}, fitted on {change['people']:,} people ({change['cases']:,} cases), "
        "each predicted by a model and a calibration of other cycles. For anybody who has one of these inputs the "
        "parent is to be taken.\n\nThe card of the parent, whose performance is not that of this bundle:\n\n"
    )


def _nothing(workspace: Workspace, about: Record, reason: str) -> str:
    """Say why there is nothing to say."""
    write_json(workspace.path("temporal.json"), {**about, "reason": reason, "cycles": [], "missing_inputs": []})
    nobody = workspace.people(DEVELOPMENT).rows[[KEY]]
    workspace.write_frame("temporal.parquet", nobody)
    return f"not applicable: {reason}"


def _without_inputs(
    people: SetOfPeople, log_odds: Mapping[str, Floats], chosen: tuple[Pattern, ...], cycle: NDArray[np.int64]
) -> Iterator[Record]:
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


def _metrics(people: SetOfPeople, risk: Floats, who: NDArray[np.bool_]) -> list[Record]:
    records = with_intervals(people.y, {"model": risk}, people.design.where(who), metrics=METRICS)
    return [{name: value for name, value in record.items() if name != "model"} for record in records]

"""Step `track`: log the run in MLflow, and check whether its bundle gets the alias in the registry.

The version that has the alias is scored on the same held-out people, so that both are compared with paired,
design-based intervals.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from mgrisk import track
from mgrisk.cohort.select import HELD_OUT
from mgrisk.config.pipeline_file import Gate
from mgrisk.errors import MgRiskError, usage
from mgrisk.evaluate.intervals import paired_differences
from mgrisk.model.bundle import Bundle, read_bundle
from mgrisk.model.released import is_reserved
from mgrisk.nhanes.codebook import SYNTHETIC
from mgrisk.pipeline.engine import DESCRIBED, Step
from mgrisk.pipeline.workspace import NHANES, SetOfPeople, Workspace
from mgrisk.run_folder import names
from mgrisk.track import Standing

NEW, OLD = "new", "champion"
COMPARED = ("auroc", "log_loss")


def refuse_misuse(workspace: Workspace) -> None:
    """Refuse a reserved name, and a store in which the run cannot be logged, before anything is computed.

    Raises
    ------
    MgRiskError
        `tracking.reserved_name` for the name of a released model, unless the run is of its own pipeline on NHANES;
        those of `track.refuse_store`.
    """
    pipeline = workspace.pipeline
    name = pipeline.tracking.register_as
    its_own = workspace.data_label == NHANES and pipeline.name == name.casefold().removeprefix("mgrisk-")
    if is_reserved(name) and not its_own:
        raise usage(
            "tracking.reserved_name",
            f"{name} is the name of a released model, and this run creates another one",
            where="tracking.register_as",
            hint="give another name: --set tracking.register_as=NAME",
        )
    track.refuse_store(pipeline.tracking, workspace.folder)


def judge(workspace: Workspace, champion: tuple[int, Bundle | MgRiskError] | None) -> Standing:
    """Decide whether the bundle of a run may replace the version that has the alias.

    Parameters
    ----------
    workspace
        An evaluated run with its bundle.
    champion
        Version that has the alias, and its bundle or the error of loading it; None if there is none.

    Returns
    -------
    Standing
        The decision, with all reasons of a refusal.
    """
    refusals = tuple(_own(workspace, workspace.pipeline.tracking.gate))
    if champion is None:
        return Standing(refusals)
    version, bundle = champion
    named = f"version {version}, which has the alias,"
    if isinstance(bundle, MgRiskError):
        return Standing((*refusals, f"{named} cannot be loaded to compare with: {bundle.what()}"), version)
    people = workspace.people(HELD_OUT)
    strange = _not_comparable(workspace, bundle, people)
    if strange:
        return Standing((*refusals, *(f"{named} {reason}" for reason in strange)), version)
    records = _compare(workspace, bundle, people)
    return Standing((*refusals, *_worse(records, named, workspace.pipeline.tracking.gate)), version, tuple(records))


def _own(workspace: Workspace, gate: Gate) -> Iterator[str]:
    """Yield reasons against the bundle from the metrics and checks of its run."""
    for check in workspace.run.checks:
        if check.severity == "error" and check.passed is False:
            yield f"check {check.id} failed: {check.title} ({check.finding})"
    bounds = {"observed_expected": gate.observed_expected, "calibration_slope": gate.calibration_slope}
    run = workspace.run
    for metric, (low, high) in bounds.items():
        record = run.evaluation.one(model=run.winner, set=workspace.held_out_name, metric=metric)
        if record.estimate is None or record.low is None:
            yield f"{metric} in held-out people is unknown: {record.problem}"
        elif not low <= record.estimate <= high and not record.holds(1.0):
            yield f"{metric} in held-out people is {_with_interval(vars(record))}, outside {low:g} to {high:g}"


def _not_comparable(workspace: Workspace, bundle: Bundle, people: SetOfPeople) -> list[str]:
    """Return why another bundle cannot be evaluated on the people of this run."""
    reasons = []
    if bundle.about["data"] != workspace.data_label:
        which = "made-up" if workspace.data_label == SYNTHETIC else "real"
        reasons.append(f"was developed on {bundle.about['data']} people; this run on {which} people cannot replace it")
    if bundle.about["outcome"]["name"] != workspace.outcome.name:
        reasons.append(f"predicts {bundle.about['outcome']['name']}, not {workspace.outcome.name}")
    seen = sorted(set(bundle.about["cycles"]) & set(workspace.pipeline.cohort.held_out))
    if seen:
        reasons.append(f"was developed on {', '.join(seen)}, the cycle held out here")
    lacking = [feature.name for feature in bundle.features if feature.name not in people.frame]
    if lacking:
        reasons.append(f"needs {', '.join(lacking)}, which this run does not have")
    return reasons


def _compare(workspace: Workspace, bundle: Bundle, people: SetOfPeople) -> list[dict[str, Any]]:
    new = read_bundle(workspace.run.path(names.BUNDLE), threads=workspace.pipeline.threads)
    risks = {NEW: people.risk(new), OLD: people.risk(bundle)}
    found = paired_differences(people.y, risks, people.design, reference=OLD, metrics=COMPARED)
    return [record for record in found if record["model"] == NEW]


def _worse(records: list[dict[str, Any]], named: str, gate: Gate) -> Iterator[str]:
    difference = {record["metric"]: record for record in records}
    auroc, log_loss = (difference[metric] for metric in COMPARED)
    # Written so that NaN does not pass.
    if not auroc["estimate"] >= -gate.auroc_loss:
        yield f"AUROC on the same people differs by {_with_interval(auroc)} from that of {named}"
    if not log_loss["low"] <= 0:
        yield f"log loss on the same people is higher by {_with_interval(log_loss)} than that of {named}"


def _with_interval(record: Mapping[str, Any]) -> str:
    if record["problem"]:
        return f"an unknown amount ({record['problem']})"
    return f"{record['estimate']:.3f} (95 % interval {record['low']:.3f} to {record['high']:.3f})"


def log(workspace: Workspace) -> str:
    """Log the run in MLflow; its bundle gets the alias if it passes the checks."""
    tracking = workspace.pipeline.tracking
    standing = judge(workspace, _champion(workspace))
    tracked = track.log_run(workspace.folder, tracking=tracking, standing=standing)
    workspace.run.write_object(names.TRACKING, tracked.to_dict())
    what = f"is {tracked.alias}" if tracked.alias else "has no alias"
    said = f"{tracked.model} version {tracked.version} {what}; {tracked.nested} nested runs"
    if tracked.alias == tracking.alias:
        return said
    return f"{said}; not {tracking.alias}: {'; '.join(tracked.standing.refusals)}"


def _champion(workspace: Workspace) -> tuple[int, Bundle | MgRiskError] | None:
    tracking = workspace.pipeline.tracking
    uri = track.tracking_uri(tracking, workspace.folder)
    version = track.find_version(tracking.register_as, tracking.alias, uri=uri)
    if version is None:
        return None
    try:
        folder = track.find_bundle(f"{tracking.register_as}@{version}", uri=uri)
        return version, read_bundle(folder, threads=workspace.pipeline.threads)
    except MgRiskError as problem:
        return version, problem


STEP = Step(
    "track",
    "log the run in MLflow",
    inputs=(
        *names.TOLD,
        *names.AUDITED,
        names.CHECKS,
        names.TRIPOD,
        names.PROBAST,
        names.REPORT,
        names.FIGURES,
        names.CARD,
        names.BUNDLE,
    ),
    optional=names.OPTIONAL,
    outputs=(names.TRACKING,),
    settings=DESCRIBED,
    action=log,
)

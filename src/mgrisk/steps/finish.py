"""The last stations: report, card, bundle, tracking."""

from __future__ import annotations

from dataclasses import replace

from mgrisk import track
from mgrisk.artifacts import write_json, write_text
from mgrisk.errors import MgRiskError
from mgrisk.model.bundle import Bundle, load_bundle
from mgrisk.report.content import report_content
from mgrisk.report.model_card import model_card
from mgrisk.report.render import write_report
from mgrisk.steps.promotion import judge
from mgrisk.steps.workspace import Workspace


def report(workspace: Workspace) -> str:
    """Write the report, its figures and the model card."""
    written = write_report(workspace.folder)
    write_text(workspace.path("card.md"), model_card(report_content(workspace.folder)))
    failed = f"; could not be made: {', '.join(written.failed_sections)}" if written.failed_sections else ""
    return f"{written.path} ({written.size / 2**20:.1f} MB){failed}"


def bundle(workspace: Workspace) -> str:
    """Write the winner's bundle with its card."""
    winner = workspace.read_json("tuning.json")["winner"]
    trained = load_bundle(workspace.path("trained") / winner)
    card = workspace.path("card.md").read_bytes()
    replace(trained, parts={**trained.parts, "card.md": card}).write(workspace.path("bundle"))
    return f"{winner} in {workspace.path('bundle')}"


def log(workspace: Workspace) -> str:
    """Track the run in MLflow; its bundle gets the alias where it passes the gate."""
    tracking = workspace.pipeline.tracking
    standing = judge(workspace, _champion(workspace))
    tracked = track.log_run(workspace.folder, tracking=tracking, standing=standing)
    write_json(workspace.path("tracking.json"), {"data": workspace.data_label, **tracked.to_dict()})
    said = f"{tracked.model} version {tracked.version} is {tracked.alias}; {tracked.candidates} nested runs"
    return f"{said}; not {tracking.alias}: {'; '.join(standing.refusals)}" if standing.refusals else said


def _champion(workspace: Workspace) -> tuple[int, Bundle | MgRiskError] | None:
    tracking = workspace.pipeline.tracking
    uri = track.tracking_uri(tracking, workspace.folder)
    version = track.find_version(tracking.register_as, tracking.alias, uri=uri)
    if version is None:
        return None
    try:
        folder = track.find_bundle(f"{tracking.register_as}@{version}", uri=uri)
        return version, load_bundle(folder, threads=workspace.pipeline.threads)
    except MgRiskError as problem:
        return version, problem

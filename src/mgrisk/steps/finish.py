"""The last stations: report, card, bundle, tracking."""

from __future__ import annotations

from dataclasses import replace

from mgrisk import track
from mgrisk.artifacts import write_json, write_text
from mgrisk.model.bundle import load_bundle
from mgrisk.report.content import report_content
from mgrisk.report.model_card import model_card
from mgrisk.report.render import write_report
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
    """Track the run in MLflow."""
    tracked = track.log_run(workspace.folder, tracking=workspace.pipeline.tracking)
    write_json(workspace.path("tracking.json"), tracked.to_dict())
    return f"{tracked.model} version {tracked.version} is {tracked.alias}; {tracked.candidates} nested runs"

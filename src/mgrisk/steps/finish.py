"""The last stations: checks, report, card, bundle, tracking."""

from __future__ import annotations

from dataclasses import replace

import pandas as pd

from mgrisk import track
from mgrisk.artifacts import write_json, write_text
from mgrisk.evaluate.checks import check_run, stop_at_errors
from mgrisk.model.bundle import load_bundle
from mgrisk.report.content import report_content
from mgrisk.report.model_card import model_card
from mgrisk.report.render import write_report
from mgrisk.steps.workspace import Workspace


def check(workspace: Workspace) -> str:
    """Run the coded checks; write all of them with their findings; stop where one of severity error did not pass."""
    findings = check_run(
        cohort=pd.read_parquet(workspace.path("cohort.parquet")),
        folds=pd.read_parquet(workspace.path("folds.parquet")),
        oof=pd.read_parquet(workspace.path("oof.parquet")),
        evaluation=workspace.read_json("evaluation.json"),
        winner=workspace.read_json("tuning.json")["winner"],
        leaks=workspace.read_json("leaks.json"),
        calibration=workspace.read_json("calibration.json"),
        additivity_error=workspace.read_json("explanation_summary.json")["largest_additivity_error"],
    )
    workspace.write_records("checks.json", [finding.to_dict() for finding in findings])
    stop_at_errors(findings)
    warnings = [finding.id for finding in findings if not finding.passed]
    return f"{len(findings)} checks, {len(warnings)} with findings{': ' + ', '.join(warnings) if warnings else ''}"


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

"""Step `checks`: the coded checks of a run."""

from __future__ import annotations

import pandas as pd

from mgrisk.evaluate.checks import RunEvidence, check_run, stop_at_errors
from mgrisk.model.learners import Encoder
from mgrisk.pipeline.engine import DESCRIBED, Step
from mgrisk.pipeline.workspace import Workspace
from mgrisk.run_folder.names import AUDITED, TOLD


def check(workspace: Workspace) -> str:
    """Run the coded checks; write all of them with their findings; stop where one of severity error did not pass."""
    findings = check_run(run_evidence(workspace))
    workspace.write_records("checks.json", [finding.to_dict() for finding in findings])
    stop_at_errors(findings)
    failed = [finding.id for finding in findings if finding.passed is False]
    return f"{len(findings)} checks, {len(failed)} with findings{': ' + ', '.join(failed) if failed else ''}"


def run_evidence(workspace: Workspace) -> RunEvidence:
    """Read what the checks and the items look at."""
    features = workspace.model_features
    return RunEvidence(
        cohort=pd.read_parquet(workspace.path("cohort.parquet")),
        folds=pd.read_parquet(workspace.path("folds.parquet")),
        oof=pd.read_parquet(workspace.path("oof.parquet")),
        evaluation=workspace.read_json("evaluation.json"),
        differences=workspace.read_json("differences.json"),
        table_one=workspace.read_json("table_one.json"),
        known_answers=workspace.read_json("known_answers.json"),
        about=workspace.read_json("cohort.json"),
        tuning=workspace.read_json("tuning.json"),
        leaks=workspace.read_json("leaks.json"),
        calibration=workspace.read_json("calibration.json"),
        added_value=workspace.read_json("added_value.json"),
        explanation=workspace.read_json("explanation_summary.json"),
        features=len(features),
        columns=len(Encoder(features).columns),
        minimum_age=workspace.pipeline.cohort.minimum_age,
    )


STEP = Step(
    "checks",
    inputs=(*TOLD, *AUDITED, "folds.parquet", "oof.parquet"),
    outputs=("checks.json",),
    settings=DESCRIBED,
    action=check,
)

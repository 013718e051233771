"""Step `checks`: the coded checks of a run."""

from __future__ import annotations

from mgrisk.evaluate.checks import RunEvidence, check_run, stop_at_errors
from mgrisk.evaluate.records import OPEN
from mgrisk.model.learners import Encoder
from mgrisk.pipeline.engine import DESCRIBED, Step
from mgrisk.pipeline.workspace import Workspace
from mgrisk.run_folder import names


def check(workspace: Workspace) -> str:
    """Run the coded checks, and write them with their findings; raise if one of severity error failed."""
    findings = check_run(run_evidence(workspace))
    workspace.run.write_records(names.CHECKS, [finding.to_dict() for finding in findings])
    stop_at_errors(findings)
    failed = [finding.id for finding in findings if finding.passed is False]
    untold = sum(finding.status == OPEN for finding in findings)
    named = f": {', '.join(failed)}" if failed else ""
    return f"{len(findings)} checks, {len(failed)} with findings{named}; {untold} cannot be decided"


def run_evidence(workspace: Workspace) -> RunEvidence:
    """Read the files that the checks and the items use."""
    run, features = workspace.run, workspace.model_features
    return RunEvidence(
        cohort=run.frame(names.COHORT_PEOPLE),
        folds=run.frame(names.FOLDS),
        oof=run.frame(names.OUT_OF_FOLD),
        evaluation=run.evaluation,
        differences=run.differences,
        table_one=run.table_one,
        known_answers=run.known_answers,
        about=run.cohort,
        tuning=run.tuning,
        leaks=run.leaks,
        calibrators=run.calibrators,
        added_value=run.added_value,
        additivity_error=run.explanation.largest_additivity_error,
        features=len(features),
        columns=len(Encoder(features).columns),
        minimum_age=workspace.pipeline.cohort.minimum_age,
    )


STEP = Step(
    "checks",
    "check the run",
    inputs=(*names.TOLD, *names.AUDITED, names.FOLDS, names.OUT_OF_FOLD),
    outputs=(names.CHECKS,),
    logged=(names.CHECKS,),
    settings=DESCRIBED,
    action=check,
)

"""Step `folds`: assign whole PSUs to cross-validation folds."""

from __future__ import annotations

from mgrisk.cohort.folds import assign_folds, check_folds
from mgrisk.pipeline.engine import Step
from mgrisk.pipeline.workspace import Workspace
from mgrisk.run_folder import names


def make_folds(workspace: Workspace) -> str:
    """Assign PSUs to folds."""
    cohort = workspace.run.frame(names.COHORT_PEOPLE)
    settings = workspace.pipeline.cohort
    folds = assign_folds(cohort, folds=settings.folds, seed=settings.seed)
    check_folds(folds, cohort)
    workspace.run.write_frame(names.FOLDS, folds)
    psus = len(folds[["stratum", "psu"]].drop_duplicates())
    return f"{psus} PSUs in {settings.folds} folds"


STEP = Step(
    "folds",
    "assign people to folds",
    inputs=names.PEOPLE,
    outputs=(names.FOLDS,),
    settings=("cohort",),
    action=make_folds,
)

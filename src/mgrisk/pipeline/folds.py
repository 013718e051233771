"""Step `folds`: assign whole PSUs to cross-validation folds."""

from __future__ import annotations

import pandas as pd

from mgrisk.cohort.folds import assign_folds, check_folds
from mgrisk.pipeline.engine import Step
from mgrisk.pipeline.workspace import Workspace
from mgrisk.run_folder.names import PEOPLE


def make_folds(workspace: Workspace) -> str:
    """Deal PSUs to folds."""
    cohort = pd.read_parquet(workspace.path("cohort.parquet"))
    settings = workspace.pipeline.cohort
    folds = assign_folds(cohort, folds=settings.folds, seed=settings.seed)
    check_folds(folds, cohort)
    workspace.write_frame("folds.parquet", folds)
    psus = len(folds[["stratum", "psu"]].drop_duplicates())
    return f"{psus} PSUs in {settings.folds} folds"


STEP = Step("folds", inputs=PEOPLE, outputs=("folds.parquet",), settings=("cohort",), action=make_folds)

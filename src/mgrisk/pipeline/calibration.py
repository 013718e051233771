"""Step `calibration`: compare the shipped calibrator with others, on out-of-fold predictions of the chosen model."""

from __future__ import annotations

from mgrisk.cohort.select import DEVELOPMENT
from mgrisk.evaluate.calibrators import better_calibrators, compare_calibrators
from mgrisk.nhanes.codebook import KEY
from mgrisk.pipeline.engine import MODEL, Step
from mgrisk.pipeline.workspace import Workspace
from mgrisk.run_folder import names


def calibrate(workspace: Workspace) -> str:
    """Compare calibrators on the development people; write calibration.json."""
    people = workspace.people(DEVELOPMENT)
    winner = workspace.run.winner
    oof = people.rows[[KEY]].merge(workspace.run.frame(names.OUT_OF_FOLD), on=KEY, how="left")
    # People outside the analysis have no linear predictor, no fold and no weight.
    margin, fold = oof[f"{winner}_margin"].fillna(0.0), oof["fold"].fillna(-1)
    found = compare_calibrators(margin.to_numpy(dtype="float64"), people.y, people.design, fold.to_numpy(dtype="int64"))
    workspace.run.write_object(
        names.CALIBRATION,
        {"learner": winner, "outcome": workspace.outcome.name, **found.to_dict()},
    )
    better = [record.model for record in better_calibrators(workspace.run.calibrators.differences)]
    losses = [record for record in found.records if record["metric"] == "log_loss"]
    compared = ", ".join(f"{record['model']} {record['estimate']:.4f}" for record in losses)
    return f"log loss {compared}; shown better than the logistic one: {', '.join(better) or 'none'}"


STEP = Step(
    "calibration",
    "compare calibration methods",
    inputs=(*names.PEOPLE, names.OUT_OF_FOLD, names.TUNING),
    outputs=(names.CALIBRATION,),
    logged=(names.CALIBRATION,),
    settings=MODEL,
    action=calibrate,
)

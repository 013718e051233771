"""Step `calibration`: the shipped calibrator beside others, on out-of-fold predictions of the chosen model."""

from __future__ import annotations

import pandas as pd

from mgrisk.cohort.select import DEVELOPMENT
from mgrisk.evaluate.calibrators import better_than_shipped, compare_calibrators
from mgrisk.nhanes.codebook import KEY
from mgrisk.pipeline.engine import MODEL, Step
from mgrisk.pipeline.workspace import Workspace
from mgrisk.run_folder.names import PEOPLE
from mgrisk.storage.files import write_json


def calibrate(workspace: Workspace) -> str:
    """Compare calibrators on the development people; write calibration.json."""
    people = workspace.people(DEVELOPMENT)
    winner = workspace.read_json("tuning.json")["winner"]
    oof = people.rows[[KEY]].merge(pd.read_parquet(workspace.path("oof.parquet")), on=KEY, how="left")
    # Outside the analysis there is no margin and no fold; nobody there has a weight.
    margin, fold = oof[f"{winner}_margin"].fillna(0.0), oof["fold"].fillna(-1)
    found = compare_calibrators(margin.to_numpy(dtype="float64"), people.y, people.design, fold.to_numpy(dtype="int64"))
    content = found.to_dict()
    write_json(
        workspace.path("calibration.json"),
        {"data": workspace.data_label, "learner": winner, "outcome": workspace.outcome.name, **content},
    )
    better = [str(record["model"]) for record in better_than_shipped(content)]
    losses = [record for record in found.records if record["metric"] == "log_loss"]
    told = ", ".join(f"{record['model']} {record['estimate']:.4f}" for record in losses)
    return f"log loss {told}; better than the shipped one: {', '.join(better) or 'none'}"


STEP = Step(
    "calibration",
    inputs=(*PEOPLE, "oof.parquet", "tuning.json"),
    outputs=("calibration.json",),
    settings=MODEL,
    action=calibrate,
)

"""What the figures of performance read: the evaluation of a run, or that of a file of people whose outcome is known."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any, Final, Protocol, Self

import numpy as np
import pandas as pd

from mgrisk.evaluate.assess import EXTERNAL, Assessment
from mgrisk.evaluate.predictions import Predictions
from mgrisk.evaluate.records import MetricRecord, Records, ThresholdRecord
from mgrisk.run_folder import names
from mgrisk.run_folder.records import Curves
from mgrisk.storage.files import to_json

OWN: Final = "own people"


class Evaluated(Protocol):
    """An evaluation as a run folder holds it: `run_folder.folder.RunFolder` is one, and so is `EvaluatedFile`."""

    @property
    def winner(self) -> str:
        """Name of the model that is shown."""
        ...

    @property
    def evaluation(self) -> Records[MetricRecord]:
        """Metrics with their intervals, by set and group."""
        ...

    @property
    def thresholds(self) -> Records[ThresholdRecord]:
        """Classification at risk thresholds."""
        ...

    @property
    def curves(self) -> Curves:
        """ROC, calibration and decision curves, by set and model."""
        ...

    @property
    def predictions(self) -> pd.DataFrame:
        """Set, outcome, weight and risk by each model, a row for each person."""
        ...


@dataclass(frozen=True, eq=False)
class EvaluatedFile:
    """The evaluation of one model on the people of a file, whose set is `EXTERNAL`; attributes as of `Evaluated`."""

    winner: str
    evaluation: Records[MetricRecord]
    thresholds: Records[ThresholdRecord]
    curves: Curves
    predictions: pd.DataFrame

    @classmethod
    def of(cls, found: Assessment, predictions: Predictions) -> Self:
        """Return the evaluation of the one model that the predictions hold."""
        ((winner, risk),) = predictions.risks.items()
        weight = predictions.design.analysis_weight
        inside = np.flatnonzero(weight > 0)
        people = {"set": EXTERNAL, "outcome": predictions.y, "weight": weight, winner: risk}
        # Through JSON, as the records of a run folder are: what is not defined is None.
        plain: dict[str, Any] = json.loads(
            to_json({"evaluation": found.records, "thresholds": found.thresholds, "curves": found.curves})
        )
        return cls(
            winner=winner,
            evaluation=Records(tuple(MetricRecord(**each, data=OWN) for each in plain["evaluation"]), names.EVALUATION),
            thresholds=Records(
                tuple(ThresholdRecord(**each, data=OWN) for each in plain["thresholds"]), names.THRESHOLDS
            ),
            curves=Curves({EXTERNAL: plain["curves"]}),
            predictions=pd.DataFrame(people).iloc[inside].reset_index(drop=True),
        )

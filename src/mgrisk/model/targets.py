"""What a learner learns from: the outcome itself, or a continuous measurement behind it.

A label says on which side of a threshold a person was; the measurement says how far. HbA1c was measured in all who
were examined, glucose in those who fasted, so that each target has its own people and its own survey weights.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

import numpy as np
from numpy.typing import NDArray

from mgrisk.survey.design import SurveyDesign

Kind = Literal["binary", "continuous"]
OUTCOME: Final = "outcome"


@dataclass(frozen=True, eq=False)
class Target:
    """One target of development people, row for row with the frame of features.

    Attributes
    ----------
    name
        ``outcome``, or the marker of a continuous target.
    kind
        ``binary`` for the outcome, 0 or 1; ``continuous`` for the natural logarithm of a marker, less a constant.
    value
        Shape (n,); any value outside the domain of the design.
    design
        Design of the subsample that the target was measured in, with whom it may be learned from as its domain.
    """

    name: str
    kind: Kind
    value: NDArray[np.float64]
    design: SurveyDesign

    @property
    def rows(self) -> NDArray[np.int64]:
        """Positions of the people that it may be learned from."""
        return np.flatnonzero(self.design.analysis_weight > 0)

    @property
    def measure(self) -> str:
        """Name of its proper score: ``log_loss`` or ``squared_error``."""
        return "log_loss" if self.kind == "binary" else "squared_error"

    def loss(self, margin: NDArray[np.float64], rows: NDArray[np.int64]) -> float:
        """Return the weighted proper score of margins over some of its rows.

        Parameters
        ----------
        margin
            Log-odds of an outcome (score in nats) or prediction of a continuous target, shape (n,).
        rows
            Positions to score.
        """
        y, predicted, weight = self.value[rows], margin[rows], self.design.analysis_weight[rows]
        if self.kind == "binary":
            return weighted_log_loss(y, predicted, weight)
        return float(np.average((y - predicted) ** 2, weights=weight))


def weighted_log_loss(y: NDArray[np.float64], margin: NDArray[np.float64], weight: NDArray[np.float64]) -> float:
    """Return the weighted mean of −log likelihood of a log-odds margin, in nats; exact for any margin."""
    loss = np.logaddexp(0.0, margin) - y * margin
    return float(np.average(loss, weights=weight))

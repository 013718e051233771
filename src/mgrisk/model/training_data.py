"""The people whom a model learns from: features, outcome, design, folds and targets as one object, checked once."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pandas as pd

from mgrisk.errors import bad_input
from mgrisk.model.learners import OUTCOME, Encoder, Target
from mgrisk.survey.design import SurveyDesign
from mgrisk.types import Floats, Integers, Singles

WHERE = "the development people"


@dataclass(frozen=True, eq=False)
class TrainingData:
    """The development set, row for row; the held-out people are no part of it.

    Attributes
    ----------
    frame
        Completed model features, n rows.
    y
        Outcome 0 or 1, shape (n,); any value outside the domain of the design.
    design
        Full design of the development set, with the analysis as its domain.
    fold
        Fold of each person, shape (n,).
    targets
        Continuous targets of the same people, which sums may learn from.

    Raises
    ------
    MgRiskError
        `train.other_people` where the parts are not of one length, `train.bad_outcome` where somebody of the analysis
        has an outcome that is neither 0 nor 1.

    Examples
    --------
    >>> from mgrisk.survey.design import WeightLevel
    >>> design = SurveyDesign(np.ones(4), np.zeros(4), np.arange(4), WeightLevel.EXAM)
    >>> frame = pd.DataFrame({"age_years": [30.0, 40.0, 50.0, 60.0]})
    >>> data = TrainingData(frame, np.array([0.0, 0.0, 1.0, np.nan]), design.where(np.arange(4) < 3), np.arange(4) % 2)
    >>> data.inside.tolist(), data.outcome.value.tolist()
    ([0, 1, 2], [0.0, 0.0, 1.0, 0.0])
    """

    frame: pd.DataFrame
    y: Floats
    design: SurveyDesign
    fold: Integers
    targets: tuple[Target, ...] = ()

    def __post_init__(self) -> None:
        lengths = {"features": len(self.frame), "outcome": len(self.y), "folds": len(self.fold)}
        lengths |= {target.name: len(target.value) for target in self.targets}
        others = [f"{name}: {n}" for name, n in lengths.items() if n != len(self.design)]
        if others:
            raise bad_input(
                "train.other_people",
                "features, outcome, folds, targets and design are not of the same people",
                where=WHERE,
                hint="give each a row for everybody in the design, those outside the analysis too",
                expected=f"{len(self.design)} rows",
                got=", ".join(others),
            )
        if not np.isin(self.y[self.inside], (0.0, 1.0)).all():
            raise bad_input(
                "train.bad_outcome",
                "somebody of the analysis has an outcome that is neither 0 nor 1",
                where=WHERE,
                hint="leave people without an outcome out of the analysis",
            )

    @cached_property
    def inside(self) -> Integers:
        """Positions of the people of the analysis."""
        return np.flatnonzero(self.design.analysis_weight > 0)

    @cached_property
    def outcome(self) -> Target:
        """The outcome as a target; outside the analysis, where it has no weight but must be a number, it is 0."""
        return Target(OUTCOME, "binary", np.where(self.design.analysis_weight > 0, self.y, 0.0), self.design)

    @property
    def all_targets(self) -> tuple[Target, ...]:
        """The outcome, then the continuous targets."""
        return (self.outcome, *self.targets)

    def matrix(self, encoder: Encoder) -> Singles:
        """Return the encoded matrix of everybody, shape (n, n_columns).

        Only those whom any target is learned from are encoded; all others are rows of NaN, which no fit can see.
        """
        rows = np.unique(np.concatenate([target.rows for target in self.all_targets]))
        X = np.full((len(self.frame), len(encoder.columns)), np.nan, dtype=np.float32)
        X[rows] = encoder.matrix(self.frame.iloc[rows])
        return X

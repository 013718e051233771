"""Training data: features, outcome, design, folds and targets of the same people, checked together."""

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
    """The development set, without held-out people.

    Attributes
    ----------
    frame
        Completed model features, n rows.
    y
        Outcome 0 or 1, shape (n,); any value outside the domain of the design.
    design
        Full design of the development set, with the analysis population as its domain.
    fold
        Fold of each person, shape (n,).
    targets
        Continuous targets of the same people, for parts of stacked ensembles.

    Raises
    ------
    MgRiskError
        `train.other_people` where lengths differ, `train.bad_outcome` where an outcome in the analysis is neither 0 nor
        1.

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
                "features, outcome, folds, targets and design have different numbers of rows",
                where=WHERE,
                hint="give each a row for every person of the design, including those outside the analysis",
                expected=f"{len(self.design)} rows",
                got=", ".join(others),
            )
        if not np.isin(self.y[self.inside], (0.0, 1.0)).all():
            raise bad_input(
                "train.bad_outcome",
                "an outcome in the analysis is neither 0 nor 1",
                where=WHERE,
                hint="leave people without an outcome out of the analysis",
            )

    @cached_property
    def inside(self) -> Integers:
        """Positions of the analysis population."""
        return np.flatnonzero(self.design.analysis_weight > 0)

    @cached_property
    def outcome(self) -> Target:
        """The outcome as a target; 0 outside the analysis, where its weight is 0."""
        return Target(OUTCOME, "binary", np.where(self.design.analysis_weight > 0, self.y, 0.0), self.design)

    @property
    def all_targets(self) -> tuple[Target, ...]:
        """The outcome, then the continuous targets."""
        return (self.outcome, *self.targets)

    def matrix(self, encoder: Encoder) -> Singles:
        """Return the encoded matrix of all people, shape (n, n_columns).

        Rows of people without weight for any target are NaN; no fit uses them.
        """
        rows = np.unique(np.concatenate([target.rows for target in self.all_targets]))
        X = np.full((len(self.frame), len(encoder.columns)), np.nan, dtype=np.float32)
        X[rows] = encoder.matrix(self.frame.iloc[rows])
        return X

"""An explainable boosting machine of the library interpret, without its early stopping on a random part of the rows.

Neighbours of one PSU must not tell when to stop: the number of rounds is a setting, tried on the design-based folds
like any other, and all rows are boosted. Source: Lou 2013, Accurate intelligible models with pairwise interactions.
"""

from __future__ import annotations

import itertools
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mgrisk.errors import MgRiskError
from mgrisk.model.encode import Column
from mgrisk.model.learners import Params, Pick, mean_one
from mgrisk.model.shapes import FittedShapes, Shape
from mgrisk.model.targets import Kind


@dataclass(frozen=True)
class ExplainableBoostingLearner:
    """An explainable boosting machine over a grid of rounds and interactions.

    Parameters
    ----------
    columns
        The encoded columns.
    rounds, interactions
        The grid: rounds of boosting over all columns, and pairs of columns with a table of their own.
    learning_rate, bins
        Step of a round; most bins of a column.
    seed
        Of the library.
    kind
        What it learns.
    """

    columns: tuple[Column, ...]
    rounds: Sequence[int]
    interactions: Sequence[int]
    learning_rate: float
    bins: int
    seed: int
    kind: Kind = "binary"
    name: str = field(default="explainable_boosting", init=False)

    def at(self, pick: Pick) -> ExplainableBoostingLearner:
        """Return the learner with one value of each row of the grid."""
        return replace(
            self,
            rounds=(int(pick("rounds", self.rounds)),),
            interactions=(int(pick("interactions", self.interactions)),),
        )

    def candidates(self) -> Sequence[Params]:
        """Return every combination of the grid."""
        grid = itertools.product(self.rounds, self.interactions)
        return [{"rounds": rounds, "interactions": interactions} for rounds, interactions in grid]

    def fit(
        self, X: NDArray[np.float32], y: NDArray[np.float64], weight: NDArray[np.float64], params: Params
    ) -> FittedShapes:
        """Fit one candidate.

        Raises
        ------
        MgRiskError
            `train.no_interpret` where the library is not installed.
        """
        machine = _machine(self.kind)(
            feature_names=[column.name for column in self.columns],
            feature_types=["continuous"] * len(self.columns),
            interactions=int(params["interactions"]),
            max_rounds=int(params["rounds"]),
            learning_rate=self.learning_rate,
            max_bins=self.bins,
            validation_size=0,
            outer_bags=1,
            early_stopping_rounds=0,
            n_jobs=1,
            random_state=self.seed,
        )
        with warnings.catch_warnings():
            # It says that its own pictures leave out what is missing; none of them is drawn.
            warnings.filterwarnings("ignore", message="Missing values detected", category=UserWarning)
            machine.fit(X.astype(np.float64), y, sample_weight=mean_one(weight))
        return FittedShapes(float(np.ravel(machine.intercept_)[0]), tuple(_shapes(machine)))

    def fit_path(
        self, X: NDArray[np.float32], y: NDArray[np.float64], weight: NDArray[np.float64]
    ) -> Iterator[tuple[Params, FittedShapes]]:
        """Fit every candidate."""
        for params in self.candidates():
            yield params, self.fit(X, y, weight, params)


def _machine(kind: Kind) -> Any:
    try:
        from interpret.glassbox import ExplainableBoostingClassifier, ExplainableBoostingRegressor
    except ImportError:
        raise MgRiskError(
            "train.no_interpret",
            "the explainable boosting machine needs the library interpret",
            where="model.explainable_boosting",
            hint="pip install 'mgrisk[ebm]', or leave the section out",
        ) from None
    return ExplainableBoostingClassifier if kind == "binary" else ExplainableBoostingRegressor


def _shapes(machine: Any) -> Iterator[Shape]:
    for columns, scores in zip(machine.term_features_, machine.term_scores_, strict=True):
        # The library bins a column more coarsely for a pair than alone, where it has both binnings.
        cuts = [machine.bins_[column][min(len(columns), len(machine.bins_[column])) - 1] for column in columns]
        # Its last bin along each axis is for values of unknown categories, which numbers do not have.
        known = np.array(scores[tuple(slice(0, -1) for _ in columns)], dtype=np.float64)
        yield Shape(tuple(columns), tuple(np.array(each, dtype=np.float64) for each in cuts), known)

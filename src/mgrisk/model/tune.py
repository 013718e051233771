"""Tuning: every candidate of a learner on the same design-based folds, scored by a weighted proper score."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mgrisk.model.learners import Fitted, Learner, Params
from mgrisk.model.targets import OUTCOME, Target


@dataclass(frozen=True, eq=False)
class Part:
    """A learner on a target: what a model is made of."""

    learner: Learner
    target: Target

    @property
    def name(self) -> str:
        """Name of the learner, with the target where that is not the outcome."""
        return self.learner.name if self.target.name == OUTCOME else f"{self.learner.name}:{self.target.name}"

    def fit(self, X: NDArray[np.float32], params: Params, *, factor: NDArray[np.float64] | None = None) -> Fitted:
        """Fit one candidate on everybody whom the target was measured in.

        Parameters
        ----------
        X
            Encoded matrix of all development people, shape (n, n_columns).
        params
            The candidate.
        factor
            What each person's weight is multiplied by, shape (n,): a replicate of the survey. 1 where left out.
        """
        weight = self.target.design.analysis_weight * (1.0 if factor is None else factor)
        rows = np.flatnonzero(weight > 0)
        return self.learner.fit(X[rows], self.target.value[rows], weight[rows], params)


@dataclass(frozen=True)
class Candidate:
    """One setting of one part and how it did on people it had not seen.

    Attributes
    ----------
    part, params
        What was tried.
    measure
        The proper score: ``log_loss``, in nats, or ``squared_error``.
    loss
        Weighted mean of it over all out-of-fold people whom the target was measured in.
    fold_loss
        The same within each fold.
    """

    part: str
    params: Params
    measure: str
    loss: float
    fold_loss: tuple[float, ...]

    def to_dict(self) -> dict[str, Any]:
        """Return the record as written to tuning.json."""
        return {
            "part": self.part,
            "params": dict(self.params),
            "measure": self.measure,
            "loss": self.loss,
            "fold_loss": list(self.fold_loss),
        }


@dataclass(frozen=True, eq=False)
class TunedPart:
    """All candidates of a part, the best, and that one's out-of-fold margins.

    Attributes
    ----------
    part, candidates
        In the order tried.
    best
        The candidate with the lowest loss.
    margin
        Out-of-fold margin of each development person, shape (n,); NaN for whom none was needed.
    """

    part: Part
    candidates: tuple[Candidate, ...]
    best: Candidate
    margin: NDArray[np.float64]


def tune(part: Part, X: NDArray[np.float32], fold: NDArray[np.int64], *, needed: NDArray[np.int64]) -> TunedPart:
    """Try every candidate of a part on every fold.

    Parameters
    ----------
    part
        A learner with its grid, and what it learns from.
    X, fold
        Encoded matrix (n, n_columns) and fold number (n,) of the development people; no one else.
    needed
        Positions of people whose out-of-fold margin is wanted beside those whom the target was measured in.
    """
    target, learner = part.target, part.learner
    rows = target.rows
    wanted = np.union1d(rows, needed)
    candidates = learner.candidates()
    margins = np.full((len(candidates), len(X)), np.nan)
    for k in np.unique(fold[wanted]):
        seen, unseen = rows[fold[rows] != k], wanted[fold[wanted] == k]
        path = learner.fit_path(X[seen], target.value[seen], target.design.analysis_weight[seen])
        for place, (_, fitted) in enumerate(path):
            margins[place, unseen] = fitted.margin(X[unseen])
    of_fold = [rows[fold[rows] == k] for k in np.unique(fold[rows])]
    tried = tuple(
        Candidate(
            part.name,
            params,
            target.measure,
            target.loss(margin, rows),
            tuple(target.loss(margin, members) for members in of_fold),
        )
        for params, margin in zip(candidates, margins, strict=True)
    )
    place = min(range(len(tried)), key=lambda number: tried[number].loss)
    return TunedPart(part, tried, tried[place], margins[place])

"""Tuning: every candidate of every learner on the same design-based folds, scored by weighted log loss."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mgrisk.model.learners import Learner, Params


@dataclass(frozen=True)
class Candidate:
    """One setting of one learner and how it did on people it had not seen.

    Attributes
    ----------
    learner, params
        What was tried.
    log_loss
        Weighted mean log loss over all out-of-fold people, in nats.
    fold_log_loss
        The same within each fold.
    """

    learner: str
    params: Params
    log_loss: float
    fold_log_loss: tuple[float, ...]

    def to_dict(self) -> dict[str, Any]:
        """Return the record as written to tuning.json."""
        return {
            "learner": self.learner,
            "params": dict(self.params),
            "log_loss": self.log_loss,
            "fold_log_loss": list(self.fold_log_loss),
        }


@dataclass(frozen=True)
class Tuned:
    """All candidates, the best of each learner, and that one's out-of-fold margins.

    Attributes
    ----------
    candidates
        In the order tried.
    best
        Best candidate by learner.
    margins
        Out-of-fold margin of each development person, shape (n,), by learner.
    """

    candidates: tuple[Candidate, ...]
    best: Mapping[str, Candidate]
    margins: Mapping[str, NDArray[np.float64]]

    @property
    def winner(self) -> Candidate:
        """The candidate with the lowest log loss of all."""
        return min(self.best.values(), key=lambda candidate: candidate.log_loss)


def tune(
    learners: Sequence[Learner],
    X: NDArray[np.float32],
    y: NDArray[np.float64],
    weight: NDArray[np.float64],
    fold: NDArray[np.int64],
) -> Tuned:
    """Try every candidate on every fold.

    Parameters
    ----------
    learners
        Families with their grids.
    X, y, weight, fold
        Encoded matrix (n, n_columns), outcome, positive survey weights and fold number (n,) of the people of the
        development analysis; no one else.
    """
    candidates: list[Candidate] = []
    best: dict[str, Candidate] = {}
    margins: dict[str, NDArray[np.float64]] = {}
    for learner in learners:
        path = _out_of_fold(learner, X, y, weight, fold)
        for params, margin in zip(learner.candidates(), path, strict=True):
            loss = weighted_log_loss(y, margin, weight)
            by_fold = tuple(
                weighted_log_loss(y[fold == k], margin[fold == k], weight[fold == k]) for k in np.unique(fold)
            )
            candidate = Candidate(learner.name, params, loss, by_fold)
            candidates.append(candidate)
            if learner.name not in best or loss < best[learner.name].log_loss:
                best[learner.name], margins[learner.name] = candidate, margin
    return Tuned(tuple(candidates), MappingProxyType(best), MappingProxyType(margins))


def _out_of_fold(
    learner: Learner,
    X: NDArray[np.float32],
    y: NDArray[np.float64],
    weight: NDArray[np.float64],
    fold: NDArray[np.int64],
) -> NDArray[np.float64]:
    margins = np.full((len(learner.candidates()), len(y)), np.nan)
    for k in np.unique(fold):
        unseen = fold == k
        path = learner.fit_path(X[~unseen], y[~unseen], weight[~unseen])
        for row, (_, fitted) in enumerate(path):
            margins[row, unseen] = fitted.margin(X[unseen])
    return margins


def weighted_log_loss(y: NDArray[np.float64], margin: NDArray[np.float64], weight: NDArray[np.float64]) -> float:
    """Return the weighted mean of −log likelihood of a log-odds margin, in nats; exact for any margin."""
    loss = np.logaddexp(0.0, margin) - y * margin
    return float(np.average(loss, weights=weight))

"""Search: the settings of a learner with a large grid, by Optuna on the same design-based folds.

Each trial is a setting between the smallest and the largest value of each row of the grid, scored as a whole path:
sizes of an ensemble are read off one fit for each fold, and the size with the lowest loss over all folds counts. That
is what stopping early looks for, without each fold stopping elsewhere and without a part of the people set aside.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Protocol, Self, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from mgrisk.model.learners import Learner, Pick
from mgrisk.model.tune import Part, TunedPart, tune

if TYPE_CHECKING:
    from optuna.trial import Trial


@runtime_checkable
class Searchable(Learner, Protocol):
    """A learner whose grid may be searched rather than tried whole."""

    def at(self, pick: Pick) -> Self:
        """Return the learner with one value in place of each row of its grid but the sizes read off one fit.

        Parameters
        ----------
        pick
            From the name of a row and its values to the value chosen; whole numbers where all values are.
        """


def search(
    part: Part, X: NDArray[np.float32], fold: NDArray[np.int64], *, needed: NDArray[np.int64], trials: int, seed: int
) -> TunedPart:
    """Search the settings of a part; a learner that cannot be searched has its grid tried whole.

    Parameters
    ----------
    part, X, fold, needed
        As for `tune.tune`.
    trials
        Settings tried.
    seed
        Of the sampler (tree-structured Parzen estimator; Bergstra 2011, Algorithms for hyper-parameter optimization).

    Returns
    -------
    TunedPart
        One candidate for each trial: its best size.
    """
    if not isinstance(part.learner, Searchable):
        return tune(part, X, fold, needed=needed)
    import optuna

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    study = optuna.create_study(sampler=optuna.samplers.TPESampler(seed=seed))
    found: list[TunedPart] = []
    for _ in range(trials):
        trial = study.ask()
        learner = part.learner.at(partial(_suggest, trial))
        found.append(tune(replace(part, learner=learner), X, fold, needed=needed))
        study.tell(trial, found[-1].best.loss)
    best = min(found, key=lambda each: each.best.loss)
    return TunedPart(best.part, tuple(each.best for each in found), best.best, best.margin)


def _suggest(trial: Trial, name: str, values: Sequence[float]) -> float:
    low, high = min(values), max(values)
    if all(isinstance(value, int) for value in values):
        return trial.suggest_int(name, int(low), int(high))
    # Rates and penalties work by their ratio; a row that begins at zero has none.
    return trial.suggest_float(name, low, high, log=low > 0)

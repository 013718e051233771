"""Candidate models: the algorithms that a pipeline file asks for, alone and stacked, and the tuning of their settings.

A part is an algorithm trained on a target; a model is one part or a stacked ensemble of several. `tune` tries every
setting of a part's grid on the same design-based folds and scores it by a weighted proper score. `search` searches a
large grid with Optuna: each trial draws a setting between the smallest and the largest value of each row of the grid.
Each fold needs one fit for all sizes of an ensemble, and the size with the lowest loss over all folds is chosen. This
replaces early stopping, which would stop each fold at another size or need a validation set.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from types import MappingProxyType
from typing import TYPE_CHECKING, Protocol, Self, runtime_checkable

import numpy as np

from mgrisk.config import pipeline_file
from mgrisk.errors import usage
from mgrisk.model.explainable_boosting import ExplainableBoostingLearner
from mgrisk.model.learners import OUTCOME, Candidate, Encoder, Kind, Learner, Params, Pick, Predictor, Target
from mgrisk.model.splines import SplineLearner, SplineSpace
from mgrisk.model.trees.learners import BoostedTreesLearner, RandomForestLearner
from mgrisk.types import Booleans, Floats, Integers, Singles

if TYPE_CHECKING:
    from optuna.trial import Trial


@dataclass(frozen=True, eq=False)
class Part:
    """An algorithm on a target: one component of a model."""

    learner: Learner
    target: Target

    @property
    def name(self) -> str:
        """Name of the algorithm, with the target where that is not the outcome."""
        return self.learner.name if self.target.name == OUTCOME else f"{self.learner.name}:{self.target.name}"

    def fit(self, X: Singles, params: Params, *, factor: Floats | None = None) -> Predictor:
        """Fit one candidate to all people in whom the target was measured.

        Parameters
        ----------
        X
            Encoded matrix of all development people, shape (n, n_columns).
        params
            The candidate.
        factor
            Factor of each person's weight, shape (n,): a bootstrap replicate of the survey. 1 where left out.
        """
        weight = self.target.design.analysis_weight * (1.0 if factor is None else factor)
        rows = np.flatnonzero(weight > 0)
        return self.learner.fit(self.learner.design(X)[rows], self.target.value[rows], weight[rows], params)

    def margin(self, fitted: Predictor, X: Singles, rows: Integers | Booleans) -> Floats:
        """Return the linear predictor (margin) of a fit for some rows of an encoded matrix."""
        return fitted.margin(self.learner.design(X)[rows])


@dataclass(frozen=True, eq=False)
class TunedPart:
    """All candidates of a part, the best of them, and its out-of-fold margins.

    Attributes
    ----------
    part, candidates
        The part, and its candidates in the order tried.
    best
        The candidate with the lowest loss.
    margin
        Out-of-fold margin of each development person, shape (n,); NaN where none was needed.
    """

    part: Part
    candidates: tuple[Candidate, ...]
    best: Candidate
    margin: Floats


def tune(part: Part, X: Singles, fold: Integers, *, needed: Integers) -> TunedPart:
    """Try every candidate of a part on every fold.

    Parameters
    ----------
    part
        An algorithm with its grid, and its target.
    X, fold
        Encoded matrix (n, n_columns) and fold number (n,) of the development people alone.
    needed
        Positions of further people, without a measured target, whose out-of-fold margin is wanted.
    """
    target, learner = part.target, part.learner
    rows = target.rows
    wanted = np.union1d(rows, needed)
    candidates = learner.candidates()
    design = learner.design(X)
    margins = np.full((len(candidates), len(X)), np.nan)
    for k in np.unique(fold[wanted]):
        seen, unseen = rows[fold[rows] != k], wanted[fold[wanted] == k]
        path = learner.fit_path(design[seen], target.value[seen], target.design.analysis_weight[seen])
        for place, (_, fitted) in enumerate(path):
            margins[place, unseen] = fitted.margin(design[unseen])
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


@runtime_checkable
class Searchable(Learner, Protocol):
    """An algorithm whose grid can be searched."""

    def at(self, pick: Pick) -> Self:
        """Return the algorithm with one value for each row of its grid, apart from the sizes that one fit covers.

        Parameters
        ----------
        pick
            Chooses a value, given the name of a row and its values; an integer where all values are integers.
        """


def search(part: Part, X: Singles, fold: Integers, *, needed: Integers, trials: int, seed: int) -> TunedPart:
    """Search the settings of a part; the whole grid of an algorithm that cannot be searched is tried.

    Parameters
    ----------
    part, X, fold, needed
        As for `tune`.
    trials
        Number of settings tried.
    seed
        Seed of the sampler (tree-structured Parzen estimator; Bergstra 2011, Algorithms for hyper-parameter
        optimization).

    Returns
    -------
    TunedPart
        One candidate for each trial, with its best size.
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
    # Rates and penalties are searched on the log scale, unless a row begins at zero.
    return trial.suggest_float(name, low, high, log=low > 0)


def make_learners(
    settings: pipeline_file.Model, encoder: Encoder, space: SplineSpace | None, *, threads: int, kind: Kind = "binary"
) -> tuple[Learner, ...]:
    """Return the algorithms that a pipeline file asks for and that fit a kind of target, in a fixed order."""
    columns, learners = encoder.columns, list[Learner]()
    spline = settings.spline_logistic if kind == "binary" else settings.spline_linear
    if spline is not None and space is not None:
        learners.append(SplineLearner(space=space, c=spline.c, kind=kind))
    if settings.xgboost is not None:
        learners.append(_boosted(settings.xgboost, encoder, seed=settings.seed, threads=threads, kind=kind))
    if settings.xgboost_monotone is not None:
        grid = settings.xgboost_monotone
        trees = _boosted(grid, encoder, seed=settings.seed, threads=threads, kind=kind, monotone=grid.monotone)
        learners.append(trees)
    if settings.random_forest is not None:
        forest = settings.random_forest
        learners.append(
            RandomForestLearner(
                columns=columns,
                depth=forest.depth,
                min_child_weight=forest.min_child_weight,
                trees=forest.trees,
                subsample=forest.subsample,
                columns_per_split=forest.columns,
                seed=settings.seed,
                threads=threads,
                kind=kind,
            )
        )
    if settings.explainable_boosting is not None:
        machine = settings.explainable_boosting
        learners.append(
            ExplainableBoostingLearner(
                columns=columns,
                rounds=machine.rounds,
                interactions=machine.interactions,
                learning_rate=machine.learning_rate,
                bins=machine.bins,
                seed=settings.seed,
                kind=kind,
            )
        )
    return tuple(learners)


def _boosted(
    grid: pipeline_file.XGBoost,
    encoder: Encoder,
    *,
    seed: int,
    threads: int,
    kind: Kind,
    monotone: Mapping[str, int] = MappingProxyType({}),
) -> BoostedTreesLearner:
    return BoostedTreesLearner(
        columns=encoder.columns,
        depth=grid.depth,
        learning_rate=grid.learning_rate,
        min_child_weight=grid.min_child_weight,
        l2=grid.l2,
        trees=grid.trees,
        subsample=grid.subsample,
        columns_per_tree=grid.columns,
        seed=seed,
        threads=threads,
        kind=kind,
        monotone=monotone,
    )


def make_models(
    settings: pipeline_file.Model,
    encoder: Encoder,
    space: SplineSpace | None,
    targets: Sequence[Target],
    *,
    threads: int,
) -> dict[str, tuple[Part, ...]]:
    """Return the parts of each model: every algorithm alone on the outcome, then the stacked ensembles asked for.

    Parameters
    ----------
    settings, encoder, space
        The `[model]` section, the encoder, and the design columns of spline models, None without these.
    targets
        The outcome first, then the continuous targets.
    threads
        Threads for tree ensembles.

    Raises
    ------
    MgRiskError
        `line_up.unknown_part` where an ensemble names an unknown algorithm or target.
    """
    known = {
        part.name: part
        for target in targets
        for learner in make_learners(settings, encoder, space, threads=threads, kind=target.kind)
        for part in [Part(learner, target)]
    }
    models: dict[str, tuple[Part, ...]] = {name: (part,) for name, part in known.items() if part.target.name == OUTCOME}
    for name, names in settings.sums.items():
        missing = [each for each in names if each not in known]
        if missing:
            raise usage(
                "line_up.unknown_part",
                f"the model {name} has an unknown part: {missing[0]}",
                where=f"model.sums.{name}",
                expected=", ".join(known),
                hint="name an algorithm of [model], with a colon and the target where it is fitted to a continuous one",
            )
        models[name] = tuple(known[each] for each in names)
    return models

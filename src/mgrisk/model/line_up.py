"""Who competes: the learners that a pipeline file asks for, and the models that they make alone and in sums."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType

from mgrisk import config_model
from mgrisk.errors import usage
from mgrisk.model.boosted_trees import BoostedTreesLearner
from mgrisk.model.encode import Encoder
from mgrisk.model.explainable_boosting import ExplainableBoostingLearner
from mgrisk.model.learners import Learner
from mgrisk.model.random_forest import RandomForestLearner
from mgrisk.model.spline_regression import SplineLearner
from mgrisk.model.targets import OUTCOME, Kind, Target
from mgrisk.model.tune import Part


def make_learners(
    settings: config_model.Model, encoder: Encoder, *, threads: int, kind: Kind = "binary"
) -> tuple[Learner, ...]:
    """Return the learners that a pipeline file asks for and that can learn a kind of target, in a fixed order."""
    columns, learners = encoder.columns, list[Learner]()
    spline = settings.spline_logistic if kind == "binary" else settings.spline_linear
    if spline is not None:
        learners.append(SplineLearner(columns=columns, knots=spline.knots, c=spline.c, kind=kind))
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
    grid: config_model.XGBoost,
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
    settings: config_model.Model, encoder: Encoder, targets: Sequence[Target], *, threads: int
) -> dict[str, tuple[Part, ...]]:
    """Return the parts of each model: every learner alone on the outcome, then the sums that were asked for.

    Parameters
    ----------
    settings, encoder
        The `[model]` section, and the columns.
    targets
        The outcome first, then the continuous targets.
    threads
        Threads for tree ensembles.

    Raises
    ------
    MgRiskError
        `line_up.unknown_part` where a sum names a learner or a target that is not there.
    """
    known = {
        part.name: part
        for target in targets
        for learner in make_learners(settings, encoder, threads=threads, kind=target.kind)
        for part in [Part(learner, target)]
    }
    models: dict[str, tuple[Part, ...]] = {name: (part,) for name, part in known.items() if part.target.name == OUTCOME}
    for name, names in settings.sums.items():
        missing = [each for each in names if each not in known]
        if missing:
            raise usage(
                "line_up.unknown_part",
                f"the model {name} asks for the part {missing[0]}",
                where=f"model.sums.{name}",
                expected=", ".join(known),
                hint="name a learner of [model], with a colon and a target of the outcome where it learns a marker",
            )
        models[name] = tuple(known[each] for each in names)
    return models

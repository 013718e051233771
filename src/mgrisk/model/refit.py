"""A chosen model again, with its best settings and fewer features: same folds, same people, nothing tuned anew."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from mgrisk import config_model
from mgrisk.features.registry import Feature
from mgrisk.model.encode import Encoder
from mgrisk.model.learners import Fitted
from mgrisk.model.line_up import make_models
from mgrisk.model.summed import FittedSum
from mgrisk.model.targets import OUTCOME, Target
from mgrisk.model.train import TrainedModel, matrix, train
from mgrisk.model.tune import Part
from mgrisk.survey.design import SurveyDesign

LEARNERS: Final = (
    config_model.Splines,
    config_model.XGBoost,
    config_model.RandomForest,
    config_model.ExplainableBoosting,
)


def narrowed(
    settings: config_model.Model, model: str, parts: Sequence[Mapping[str, Any]], features: Sequence[str]
) -> config_model.Model:
    """Return settings that leave one model to train, on some features, and of each grid what was chosen.

    Parameters
    ----------
    settings
        The `[model]` section of a pipeline file.
    model
        Name of the model: a learner's section, or a sum.
    parts
        Its parts as in tuning.json: {part, params}. Where a learner serves several targets with different settings,
        the grid keeps all of them.
    features
        Names of the features, some of those of the section.
    """
    kept: dict[str, dict[str, set[float]]] = {}
    for part in parts:
        learner = kept.setdefault(str(part["part"]).partition(":")[0], {})
        for name, value in part["params"].items():
            learner.setdefault(name, set()).add(value)
    changes: dict[str, Any] = {"features": tuple(features)}
    for name in type(settings).model_fields:
        section = getattr(settings, name)
        if isinstance(section, LEARNERS):
            changes[name] = _section(section, kept[name], features) if name in kept else None
    changes["tuning"] = config_model.Tuning()
    # The interval of a person is the business of the model that is shipped: dozens of refits for each subset otherwise.
    changes["uncertainty"] = None
    changes["sums"] = {model: settings.sums[model]} if model in settings.sums else {}
    return settings.model_copy(update=changes)


def refit(
    frame: pd.DataFrame,
    y: NDArray[np.float64],
    design: SurveyDesign,
    fold: NDArray[np.int64],
    *,
    features: Sequence[Feature],
    settings: config_model.Model,
    model: str,
    parts: Sequence[Mapping[str, Any]],
    threads: int,
    targets: Sequence[Target] = (),
) -> tuple[Encoder, TrainedModel]:
    """Train one model on some of its features.

    Parameters
    ----------
    frame, y, design, fold, threads, targets
        As for `train.train`.
    features
        What is left to it.
    settings, model, parts
        As for `narrowed`.

    Returns
    -------
    tuple of Encoder and TrainedModel
        What turns features into its columns, and the model with out-of-fold risks and its fit to everybody.

    Raises
    ------
    MgRiskError
        As `train.train`.
    """
    only = narrowed(settings, model, parts, [each.name for each in features])
    trained = train(frame, y, design, fold, features=features, settings=only, threads=threads, targets=targets)
    return trained.encoder, trained.models[model]


@dataclass(frozen=True, eq=False)
class Again:
    """A model's parts with their settings, to be fitted again.

    Attributes
    ----------
    fitted
        The model; the scales of a sum are held.
    parts, params
        What is fitted, and its settings.
    X
        Encoded matrix of the development people whom any part learns from, others NaN, shape (n, n_columns).
    """

    fitted: Fitted
    parts: tuple[Part, ...]
    params: tuple[dict[str, Any], ...]
    X: NDArray[np.float32]

    def __call__(self, factor: NDArray[np.float64] | None, X: NDArray[np.float32] | None = None) -> Fitted:
        """Fit with everybody's weight multiplied by a factor, shape (n,), None for 1; on another matrix if given."""
        X = self.X if X is None else X
        fits = tuple(part.fit(X, each, factor=factor) for part, each in zip(self.parts, self.params, strict=True))
        return FittedSum(self.fitted.scales, fits) if isinstance(self.fitted, FittedSum) else fits[0]


def again(
    frame: pd.DataFrame,
    y: NDArray[np.float64],
    design: SurveyDesign,
    *,
    fitted: Fitted,
    features: Sequence[Feature],
    settings: config_model.Model,
    model: str,
    parts: Sequence[Mapping[str, Any]],
    threads: int,
    targets: Sequence[Target] = (),
) -> Again:
    """Return what fits a model again as it was trained, on other weights.

    Parameters
    ----------
    frame, y, design, features, threads, targets
        As for `train.train`.
    fitted
        The model; the scales of a sum are held.
    settings, model, parts
        As for `narrowed`; another seed of the settings is another draw of learners that draw.
    """
    only = narrowed(settings, model, parts, [each.name for each in features])
    encoder = Encoder(tuple(features))
    outcome = Target(OUTCOME, "binary", np.where(design.analysis_weight > 0, y, 0.0), design)
    every = (outcome, *targets)
    known = {part.name: part for made in make_models(only, encoder, every, threads=threads).values() for part in made}
    # A part of a sum that counts nothing was not fitted.
    counted = [part for part in parts if part["scale"] > 0] or list(parts[:1])
    chosen = [known[str(part["part"])] for part in counted]
    params = [dict(part["params"]) for part in counted]
    return Again(fitted, tuple(chosen), tuple(params), matrix(encoder, frame, every))


def _section(section: Any, chosen: Mapping[str, set[float]], features: Sequence[str]) -> Any:
    grid: dict[str, Any] = {
        name: tuple(sorted(values)) for name, values in chosen.items() if isinstance(getattr(section, name), tuple)
    }
    if isinstance(section, config_model.MonotoneXGBoost):
        grid["monotone"] = {name: sign for name, sign in section.monotone.items() if name in features}
    return section.model_copy(update=grid)

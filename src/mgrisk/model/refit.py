"""Fitting a chosen model again, with nothing tuned anew: fewer features, other weights, or one cycle left out.

`refit` trains it on some of its features, with the same folds and people and the settings that were chosen
(`narrowed`). `again` gives what fits it to other weights, such as those of a bootstrap of PSUs, or to another matrix,
the scales of a sum held. `left_out_log_odds` predicts each cycle by a model that never saw it, with everything that was
measured and with inputs taken away.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from mgrisk.config import pipeline_file
from mgrisk.features.registry import Feature
from mgrisk.model.calibration import fit_logistic_map
from mgrisk.model.candidates import Part, make_models
from mgrisk.model.learners import Encoder, Fitted
from mgrisk.model.stacking import FittedSum
from mgrisk.model.train import TrainedModel, train
from mgrisk.model.training_data import TrainingData
from mgrisk.model.uncertainty import Refit
from mgrisk.types import Floats, Integers, Singles

LEARNERS: Final = (
    pipeline_file.Splines,
    pipeline_file.XGBoost,
    pipeline_file.RandomForest,
    pipeline_file.ExplainableBoosting,
)


def narrowed(
    settings: pipeline_file.Model, model: str, parts: Sequence[Mapping[str, Any]], features: Sequence[str]
) -> pipeline_file.Model:
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
    changes["tuning"] = pipeline_file.Tuning()
    # The interval of a person is the business of the model that is shipped: dozens of refits for each subset otherwise.
    changes["uncertainty"] = None
    changes["sums"] = {model: settings.sums[model]} if model in settings.sums else {}
    return settings.model_copy(update=changes)


def refit(
    data: TrainingData,
    *,
    features: Sequence[Feature],
    settings: pipeline_file.Model,
    model: str,
    parts: Sequence[Mapping[str, Any]],
    threads: int,
) -> tuple[Encoder, TrainedModel]:
    """Train one model on some of its features.

    Parameters
    ----------
    data, threads
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
    trained = train(data, features=features, settings=only, threads=threads)
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
    X: Singles

    def __call__(self, factor: Floats | None, X: Singles | None = None) -> Fitted:
        """Fit with everybody's weight multiplied by a factor, shape (n,), None for 1; on another matrix if given."""
        X = self.X if X is None else X
        fits = tuple(part.fit(X, each, factor=factor) for part, each in zip(self.parts, self.params, strict=True))
        return FittedSum(self.fitted.scales, fits) if isinstance(self.fitted, FittedSum) else fits[0]


def again(
    data: TrainingData,
    *,
    fitted: Fitted,
    features: Sequence[Feature],
    settings: pipeline_file.Model,
    model: str,
    parts: Sequence[Mapping[str, Any]],
    threads: int,
) -> Again:
    """Return what fits a model again as it was trained, on other weights.

    Parameters
    ----------
    data, features, threads
        As for `train.train`.
    fitted
        The model; the scales of a sum are held.
    settings, model, parts
        As for `narrowed`; another seed of the settings is another draw of learners that draw.
    """
    only = narrowed(settings, model, parts, [each.name for each in features])
    encoder = Encoder(tuple(features))
    made = make_models(only, encoder, data.all_targets, threads=threads)
    known = {part.name: part for of_model in made.values() for part in of_model}
    # A part of a sum that counts nothing was not fitted.
    counted = [part for part in parts if part["scale"] > 0] or list(parts[:1])
    chosen = [known[str(part["part"])] for part in counted]
    params = [dict(part["params"]) for part in counted]
    return Again(fitted, tuple(chosen), tuple(params), data.matrix(encoder))


def _section(section: Any, chosen: Mapping[str, set[float]], features: Sequence[str]) -> Any:
    grid: dict[str, Any] = {
        name: tuple(sorted(values)) for name, values in chosen.items() if isinstance(getattr(section, name), tuple)
    }
    if isinstance(section, pipeline_file.MonotoneXGBoost):
        grid["monotone"] = {name: sign for name, sign in section.monotone.items() if name in features}
    return section.model_copy(update=grid)


def left_out_log_odds(
    refit: Refit, X: Singles, data: TrainingData, cycle: Integers, *, given: Mapping[str, Singles]
) -> dict[str, Floats]:
    """Predict each cycle from the others, with the settings as they are.

    Model and calibration are both of the other cycles: the calibration is fitted on margins out of their folds.

    Parameters
    ----------
    refit
        Fits the model again, everybody's weight multiplied by a factor.
    X, data, cycle
        Encoded matrix (n, n_columns), the development people and the cycle of each, shape (n,).
    given
        By name, what the model is given of each person when it predicts, shape (n, n_columns).

    Returns
    -------
    dict
        Calibrated log-odds by name, shape (n,); NaN outside the analysis.

    Raises
    ------
    MgRiskError
        ``logistic.not_converged`` where the other cycles cannot be calibrated.
    """
    design, fold = data.design, data.fold
    inside = design.analysis_weight > 0
    found = {name: np.full(len(X), np.nan) for name in given}
    for left_out in np.unique(cycle[inside]):
        others = cycle != left_out
        margin = np.zeros(len(X))
        for k in np.unique(fold[inside & others]):
            unseen = inside & others & (fold == k)
            margin[unseen] = refit(np.where(others & (fold != k), 1.0, 0.0)).margin(X[unseen])
        calibrated = fit_logistic_map(margin, data.y, np.where(others, design.analysis_weight, 0.0))
        model = refit(np.where(others, 1.0, 0.0))
        rows = inside & ~others
        for name, encoded in given.items():
            found[name][rows] = calibrated.intercept + calibrated.slope * model.margin(encoded[rows])
    return found

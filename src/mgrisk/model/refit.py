"""Refitting a chosen model with its settings fixed: with fewer features, other weights, or without one cycle.

`refit` trains it on some of its features, with the same folds, people and chosen settings (`narrowed`). A `Refitter`
fits it to other weights, such as those of a bootstrap of PSUs, or to another matrix, with fixed scales.
`left_out_log_odds` predicts each cycle by a model fitted to the others, with all inputs and with some removed.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

import numpy as np

from mgrisk.config import pipeline_file
from mgrisk.features.registry import Feature
from mgrisk.model.additive import Additive
from mgrisk.model.calibration import Calibrator, fit_logistic_map
from mgrisk.model.candidates import Part, make_models
from mgrisk.model.fewer_inputs import FewerInputs
from mgrisk.model.fits import Fits
from mgrisk.model.learners import Chosen, Encoder, Fitted
from mgrisk.model.splines import SplineLearner, SplineSpace, design_columns
from mgrisk.model.stacking import FittedSum, Scales
from mgrisk.model.train import TrainedModel, train
from mgrisk.model.training_data import TrainingData
from mgrisk.model.uncertainty import out_of_fold
from mgrisk.types import Booleans, Floats, Integers, Singles

LEARNERS: Final = (
    pipeline_file.Splines,
    pipeline_file.XGBoost,
    pipeline_file.RandomForest,
    pipeline_file.ExplainableBoosting,
)


def narrowed(
    settings: pipeline_file.Model, model: str, parts: Sequence[Mapping[str, Any]], features: Sequence[str]
) -> pipeline_file.Model:
    """Return settings that train one model alone, on some features, with its chosen settings as grids.

    Parameters
    ----------
    settings
        The `[model]` section of a pipeline file.
    model
        Name of the model: that of an algorithm's section or of a stacked ensemble.
    parts
        Its parts as in tuning.json: {part, params}. Where an algorithm is fitted to several targets with different
        settings, the grid keeps all of them.
    features
        Names of the features, a subset of those of the section.
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
    # Intervals are for the bundled model alone: they would take dozens of refits for each subset.
    changes["uncertainty"] = None
    changes["choose"] = None
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
        The features to keep.
    settings, model, parts
        As for `narrowed`.

    Returns
    -------
    tuple of Encoder and TrainedModel
        The encoder of its features, and the model with its out-of-fold risks and its fit to all people.

    Raises
    ------
    MgRiskError
        As `train.train`.
    """
    only = narrowed(settings, model, parts, [each.name for each in features])
    trained = train(data, features=features, settings=only, threads=threads)
    return trained.encoder, trained.models[model]


@dataclass(frozen=True, eq=False)
class Refitter:
    """A model's parts with their settings, to be refitted.

    Attributes
    ----------
    parts, params, scales
        The parts, their settings, and their fixed weights in the ensemble.
    owners
        Feature of each encoded column.
    calibration
        The map from margins to log-odds, which `model` keeps.
    X, weight
        Encoded matrix of the development people, NaN for those to whom no part is fitted, shape (n, n_columns), and
        their analysis weight, shape (n,).
    """

    parts: tuple[Part, ...]
    params: tuple[dict[str, Any], ...]
    scales: Scales | None
    owners: Integers
    calibration: Calibrator
    X: Singles
    weight: Floats

    def __call__(self, factor: Floats | None, X: Singles | None = None) -> Fits:
        """Fit with each person's weight multiplied by a factor, shape (n,), None for 1; on another matrix if given."""
        X = self.X if X is None else X
        fits = tuple(part.fit(X, each, factor=factor) for part, each in zip(self.parts, self.params, strict=True))
        return Fits(self.parts, fits, self.scales)

    def model(self, fits: Fits) -> tuple[Fitted, Calibrator]:
        """Return the model and calibrator of fits, as a bundle holds them."""
        return fits.model(self.owners, self.calibration, self.X, self.weight)

    def among(self, who: Booleans) -> Refitter:
        """Return the same for some of the people, with mean and covariance of design columns among them alone."""
        rows = np.flatnonzero(who & (self.weight > 0))
        space: SplineSpace | None = None
        parts = []
        for part in self.parts:
            learner = part.learner
            if isinstance(learner, SplineLearner):
                # All spline parts share one space.
                space = space or learner.space.among(self.X[rows], self.weight[rows])
                learner = replace(learner, space=space)
            parts.append(replace(part, learner=learner))
        return replace(self, parts=tuple(parts), weight=np.where(who, self.weight, 0.0))


def make_refitter(
    data: TrainingData,
    *,
    chosen: Chosen,
    space: SplineSpace | None,
    features: Sequence[Feature],
    settings: pipeline_file.Model,
    threads: int,
) -> Refitter:
    """Return the function that refits a trained model to other weights.

    Parameters
    ----------
    data, features, threads
        As for `train.train`.
    chosen
        The model. The scales of its parts, and its calibration, are fixed.
    space
        The design columns of its spline parts, if any.
    settings
        As for `narrowed`; their seed is that of randomised algorithms.
    """
    only = narrowed(settings, chosen.model, chosen.parts, [each.name for each in features])
    encoder = Encoder(tuple(features))
    made = make_models(only, encoder, space, data.all_targets, threads=threads)
    known = {part.name: part for of_model in made.values() for part in of_model}
    # Parts with scale 0 were not fitted.
    counted = [part for part in chosen.parts if part["scale"] > 0] or list(chosen.parts[:1])
    scales = tuple(float(part["scale"]) for part in counted)
    return Refitter(
        parts=tuple(known[str(part["part"])] for part in counted),
        params=tuple(dict(part["params"]) for part in counted),
        scales=None if chosen.intercept is None else Scales(chosen.intercept, scales),
        owners=encoder.owners,
        calibration=chosen.calibration,
        X=data.matrix(encoder),
        weight=data.design.analysis_weight,
    )


def _section(section: Any, chosen: Mapping[str, set[float]], features: Sequence[str]) -> Any:
    grid: dict[str, Any] = {
        name: tuple(sorted(values)) for name, values in chosen.items() if isinstance(getattr(section, name), tuple)
    }
    if isinstance(section, pipeline_file.MonotoneXGBoost):
        grid["monotone"] = {name: sign for name, sign in section.monotone.items() if name in features}
    return section.model_copy(update=grid)


def space_of(fitted: Fitted) -> SplineSpace | None:
    """Return the design columns of a model's spline parts; None where it has none."""
    parts = fitted.parts if isinstance(fitted, FittedSum) else (fitted,)
    return next((SplineSpace(part.terms, part.moments) for part in parts if isinstance(part, Additive)), None)


@dataclass(frozen=True, eq=False)
class LeftOut:
    """Calibrated log-odds of each cycle from models of the other cycles, by pattern, shape (n,); NaN outside.

    Attributes
    ----------
    predicted
        Log-odds from the model, by name of the pattern.
    refitted
        Log-odds from a model refitted to the remaining inputs with the same penalties and scales; for additive models
        alone.
    """

    predicted: dict[str, Floats]
    refitted: dict[str, Floats]


def left_out_log_odds(
    refit: Refitter, data: TrainingData, cycle: Integers, *, absent: Mapping[str, Integers]
) -> LeftOut:
    """Predict each cycle from the others, with fixed settings.

    The model, the calibration and the distribution of absent inputs are estimated in the other cycles; the calibration
    is fitted to out-of-fold margins.

    Parameters
    ----------
    refit
        Refits the model with weights multiplied by a factor.
    data, cycle
        The development people and the cycle of each, shape (n,).
    absent
        Features that are removed, by name of the pattern.

    Raises
    ------
    MgRiskError
        ``logistic.not_converged`` where the other cycles cannot be calibrated.
    """
    design, X = data.design, refit.X
    inside = design.analysis_weight > 0
    found = LeftOut({name: np.full(len(X), np.nan) for name in absent}, {})
    for left_out in np.unique(cycle[inside]):
        others, rows = cycle != left_out, inside & (cycle == left_out)
        seen, factor = inside & others, np.where(others, 1.0, 0.0)
        local = refit.among(others)
        to_risk = fit_logistic_map(out_of_fold(local, X, data, factor), data.y, local.weight)
        calibration = Calibrator(to_risk.intercept, to_risk.slope, np.zeros((2, 2)), design.df)
        local = replace(local, calibration=calibration)
        fits = local(factor)
        fitted, calibrator = local.model(fits)
        if not isinstance(fitted, Additive):
            for name, features in absent.items():
                encoded = X[rows].copy()
                encoded[:, np.isin(refit.owners, features)] = np.nan
                found.predicted[name][rows] = calibrator.log_odds(fitted.margin(encoded))
            continue
        fewer = FewerInputs(fits, local.params, X, others)
        columns, there = fits.space.expected(X)[seen], design_columns(fitted.terms, X[rows])
        for name, features in absent.items():
            gone = np.isin(fitted.of_input, features)
            intercept, coefficients = fewer.fit(~gone)
            again = fit_logistic_map(intercept + columns @ coefficients, data.y[seen], local.weight[seen])
            weights = np.column_stack([fitted.coefficients, again.slope * coefficients / fitted.moments.scale])
            expected, unknown = fitted.moments.expected_forms(there, gone, weights)
            slope, constant = fitted.lines.at(np.sqrt(unknown))
            found.predicted[name][rows] = slope * (fitted.intercept + expected[:, 0]) + constant
            of_refit = found.refitted.setdefault(name, np.full(len(X), np.nan))
            of_refit[rows] = again.intercept + again.slope * intercept + expected[:, 1]
    return found

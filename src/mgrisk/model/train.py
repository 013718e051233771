"""Training: tune each part on folds, stack parts, calibrate on out-of-fold margins, and refit to all people.

A part is an algorithm on a target; a model is one part or a stacked ensemble of several. Only the development set is
used; nothing here takes the held-out cycle.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Any

import numpy as np
from scipy.special import expit, logit

from mgrisk.config import pipeline_file
from mgrisk.errors import MgRiskError
from mgrisk.features.registry import Feature
from mgrisk.model.additive import Additive, Sampling
from mgrisk.model.calibration import Calibrator, cross_fitted_risk, fit_calibrator
from mgrisk.model.candidates import Part, TunedPart, make_models, search, tune
from mgrisk.model.coverage import LEVEL, Widening, draw_known, from_cases
from mgrisk.model.fits import Fits
from mgrisk.model.learners import OUTCOME, Encoder, Fitted, Params, Target, log_loss
from mgrisk.model.splines import SplineSpace
from mgrisk.model.stacking import Scales, fit_scales
from mgrisk.model.training_data import TrainingData
from mgrisk.model.uncertainty import (
    Uncertainty,
    bootstrap_refits,
    fit_sampling,
    fit_uncertainty,
    standard_error,
    with_stretch,
)
from mgrisk.survey.estimates import mean
from mgrisk.survey.variance import t_quantile
from mgrisk.types import Floats, Integers, Singles


@dataclass(frozen=True, eq=False)
class TrainedModel:
    """A model with its best settings, ready to be bundled.

    Attributes
    ----------
    parts, params
        The parts, and the chosen candidate of each.
    scales
        Weights of the parts in the ensemble; None where the model is one part on the outcome.
    fitted, calibrator
        The model fitted to all development people, as a bundle holds it, and the map from its margin to log-odds.
    calibration
        The map from margins to log-odds, fitted to out-of-fold margins; an additive `fitted` includes it.
    oof_margin, oof_risk
        Out-of-fold margin, and risk from parts, scales and calibrator fitted without the person's fold, shape of the
        design; NaN outside the analysis.
    log_loss, fold_log_loss
        Weighted mean log loss of `oof_risk` over the analysis and within each fold, in nats.
    uncertainty
        Sampling error of a person's log-odds, from refits; for the chosen model alone, where the pipeline file asks for
        it. In an additive model it is part of `fitted`.
    widening
        Widening of the interval to nominal coverage of known risks; None where no outcomes were drawn.
    """

    parts: tuple[Part, ...]
    params: tuple[Params, ...]
    scales: Scales | None
    fitted: Fitted
    calibrator: Calibrator
    calibration: Calibrator
    oof_margin: Floats
    oof_risk: Floats
    log_loss: float
    fold_log_loss: tuple[float, ...]
    uncertainty: Uncertainty | None = None
    widening: Widening | None = None

    @property
    def refitted(self) -> bool:
        """Whether the sampling error of a person's log-odds was estimated by refits."""
        sampling = self.fitted.sampling if isinstance(self.fitted, Additive) else self.uncertainty
        return sampling is not None

    def refit(self, X: Singles, *, factor: Floats | None = None) -> Fits:
        """Refit the parts with the same settings and scales, for example to a bootstrap replicate.

        Parameters
        ----------
        X
            Encoded matrix of all development people, shape (n, n_columns).
        factor
            Factor of each person's weight, shape (n,); 1 where left out.
        """
        return _fit(self.parts, self.params, self.scales, X, factor=factor)

    def to_dict(self) -> dict[str, Any]:
        """Return the record as written to tuning.json."""
        scales = (1.0,) if self.scales is None else self.scales.scales
        return {
            "log_loss": self.log_loss,
            "fold_log_loss": list(self.fold_log_loss),
            "intercept": None if self.scales is None else self.scales.intercept,
            "calibration": self.calibration.to_dict(),
            "widening": None if self.widening is None else self.widening.to_dict(),
            "parts": [
                {"part": part.name, "scale": scale, "params": dict(params)}
                for part, params, scale in zip(self.parts, self.params, scales, strict=True)
            ],
        }


@dataclass(frozen=True, eq=False)
class Trained:
    """The results of training.

    Attributes
    ----------
    encoder
        Encoder of the features.
    tuned
        Each part with all its candidates.
    models
        The models by name.
    winner
        Name of the chosen model: by the pipeline file, or else by `choose`.
    """

    encoder: Encoder
    tuned: tuple[TunedPart, ...]
    models: Mapping[str, TrainedModel]
    winner: str


def train(data: TrainingData, *, features: Sequence[Feature], settings: pipeline_file.Model, threads: int) -> Trained:
    """Tune, stack, calibrate and refit; then refit the chosen model under bootstrap weights for its sampling error.

    Parameters
    ----------
    data
        The development people.
    features, settings, threads
        Model features, the `[model]` section of the pipeline file, threads for tree ensembles.

    Raises
    ------
    MgRiskError
        `train.too_few_events` where a fold has fewer than five cases; `line_up.unknown_part`.
    """
    encoder = Encoder(tuple(features))
    inside, fold = data.inside, data.fold
    _refuse_thin_folds(data.y[inside], fold[inside])
    X = data.matrix(encoder)
    space = fit_space(settings, encoder, X, data)
    models = make_models(settings, encoder, space, data.all_targets, threads=threads)
    wanted = {part.name: part for parts in models.values() for part in parts}
    tuned = {name: _tune(part, X, fold, needed=inside, tuning=settings.tuning) for name, part in wanted.items()}
    trained = {
        name: _train_model([tuned[part.name] for part in parts], X, data.outcome, fold, encoder.owners)
        for name, parts in models.items()
    }
    winner = settings.choose or choose(trained, data.outcome)
    if settings.uncertainty is not None:
        trained[winner] = _with_uncertainty(trained[winner], X, data, encoder, settings.uncertainty)
    return Trained(encoder, tuple(tuned.values()), MappingProxyType(trained), winner)


def choose(models: Mapping[str, TrainedModel], outcome: Target) -> str:
    """Return the name of the model with the lowest log loss of calibrated out-of-fold risks.

    An additive model predicts from any subset of its inputs. The best additive model is chosen unless the lowest log
    loss is significantly lower: the 95 % interval of the mean difference in the same people excludes 0.
    """

    def best(names: Iterable[str]) -> str:
        return min(names, key=lambda name: models[name].log_loss)

    lowest = best(models)
    additive = [name for name, model in models.items() if isinstance(model.fitted, Additive)]
    if not additive:
        return lowest
    known = best(additive)
    rows, gain = outcome.rows, np.zeros(len(outcome.value))
    of_known, of_lowest = (
        log_loss(outcome.value[rows], log_odds_of(models[name].oof_risk[rows])) for name in (known, lowest)
    )
    gain[rows] = of_known - of_lowest
    return lowest if mean(gain, outcome.design).low > 0 else known


def log_odds_of(risk: Floats) -> Floats:
    """Return the log-odds of risks, which are clipped to machine precision from 0 and 1."""
    # A risk that is rounded to 0 or 1 has no log-odds; the metrics clip at the same bounds.
    found: Floats = logit(np.clip(risk, np.finfo(np.float64).eps, 1.0 - np.finfo(np.float64).eps))
    return found


def fit_space(settings: pipeline_file.Model, encoder: Encoder, X: Singles, data: TrainingData) -> SplineSpace | None:
    """Return the design columns of spline models, fitted to the analysis population; None without spline models."""
    if not settings.splines:
        return None
    inside = data.inside
    weight = data.design.analysis_weight[inside]
    return SplineSpace.fit(encoder.columns, X[inside], weight, knots=settings.splines[0].knots)


def _with_uncertainty(
    model: TrainedModel, X: Singles, data: TrainingData, encoder: Encoder, settings: pipeline_file.Uncertainty
) -> TrainedModel:
    inside = data.inside
    weight = data.design.analysis_weight[inside]
    fits = model.refit(X)
    log_odds = model.calibration.log_odds(fits.margin(X, inside))
    moved = bootstrap_refits(
        lambda factor: model.refit(X, factor=factor),
        X,
        data,
        log_odds,
        replicates=settings.replicates,
        seed=settings.seed,
    )
    fitted, widening = model.fitted, None
    design = fits.space.expected(X)[inside] * fits.space.moments.scale if isinstance(fitted, Additive) else None

    def form(deviations: Floats) -> tuple[Sampling | Uncertainty, Floats]:
        """Return the form fitted to deviations, and each person's standard error."""
        if design is not None:
            sampling = fit_sampling(deviations, design, weight)
            return sampling, standard_error(sampling, design)
        found = fit_uncertainty(deviations, X[inside], weight, encoder.columns)
        return found, found.se(X[inside])

    found, se = form(moved)
    if settings.draws:
        known = draw_known(model, X, data, draws=settings.draws, seed=settings.seed)
        before = se
        found, se = form(with_stretch(moved, from_cases(log_odds, weight), known.stretch))
        widening = known.widening(se, t_quantile(LEVEL, data.design.df), before=before)
        by = widening.factor**2
        found = replace(found, base=by * found.base, factor=by * found.factor, replicates=settings.replicates)
    if isinstance(found, Sampling) and isinstance(fitted, Additive):
        return replace(model, fitted=replace(fitted, sampling=found), widening=widening)
    assert isinstance(found, Uncertainty)
    return replace(model, uncertainty=found, widening=widening)


def _tune(
    part: Part,
    X: Singles,
    fold: Integers,
    *,
    needed: Integers,
    tuning: pipeline_file.Tuning,
) -> TunedPart:
    if not tuning.trials:
        return tune(part, X, fold, needed=needed)
    return search(part, X, fold, needed=needed, trials=tuning.trials, seed=tuning.seed)


def _train_model(
    tuned: Sequence[TunedPart], X: Singles, outcome: Target, fold: Integers, owners: Integers
) -> TrainedModel:
    design, rows = outcome.design, outcome.rows
    alone = len(tuned) == 1 and tuned[0].part.target.name == OUTCOME
    scales = None if alone else fit_scales([part.margin for part in tuned], outcome.value, design)
    margin = tuned[0].margin if alone else _cross_fitted_sum(tuned, outcome, fold)
    oof_margin = np.full(len(X), np.nan)
    oof_margin[rows] = margin[rows]
    filled = np.nan_to_num(oof_margin)
    oof_risk = np.full(len(X), np.nan)
    oof_risk[rows] = cross_fitted_risk(filled, outcome.value, design, fold)[rows]
    log_odds = log_odds_of(oof_risk)
    parts, params = tuple(part.part for part in tuned), tuple(part.best.params for part in tuned)
    calibration = fit_calibrator(filled, outcome.value, design)
    fits = _fit(parts, params, scales, X)
    fitted, calibrator = fits.model(owners, calibration, X, design.analysis_weight)
    if isinstance(fitted, Additive):
        # As in the bundle: from expected log-odds to the expected risk.
        log_odds[rows] = fitted.of_expected_risk(log_odds[rows], X[rows])
        oof_risk[rows] = expit(log_odds[rows])
    return TrainedModel(
        parts=parts,
        params=params,
        scales=scales,
        fitted=fitted,
        calibrator=calibrator,
        calibration=calibration,
        oof_margin=oof_margin,
        oof_risk=oof_risk,
        log_loss=outcome.loss(log_odds, rows),
        fold_log_loss=tuple(outcome.loss(log_odds, rows[fold[rows] == k]) for k in np.unique(fold[rows])),
    )


def _fit(
    parts: Sequence[Part],
    params: Sequence[Params],
    scales: Scales | None,
    X: Singles,
    *,
    factor: Floats | None = None,
) -> Fits:
    if scales is None:
        return Fits(tuple(parts), (parts[0].fit(X, params[0], factor=factor),), None)
    # A part with scale 0 is left out of the model.
    counted = [place for place, scale in enumerate(scales.scales) if scale > 0] or [0]
    return Fits(
        tuple(parts[place] for place in counted),
        tuple(parts[place].fit(X, params[place], factor=factor) for place in counted),
        Scales(scales.intercept, tuple(scales.scales[place] for place in counted)),
    )


def _cross_fitted_sum(tuned: Sequence[TunedPart], outcome: Target, fold: Integers) -> Floats:
    """Return the margin of an ensemble whose scales were fitted to the other folds, shape (n,).

    The calibrator is fitted to it, and so also corrects the optimism of the scales.
    """
    margins = [part.margin for part in tuned]
    total = np.full(len(fold), np.nan)
    for k in np.unique(fold):
        unseen = fold == k
        scales = fit_scales(margins, outcome.value, outcome.design.where(~unseen))
        total[unseen] = scales.total(np.column_stack([margin[unseen] for margin in margins]))
    return total


def _refuse_thin_folds(case: Floats, fold: Integers) -> None:
    for k in np.unique(fold):
        events = int(case[fold == k].sum())
        if events < 5:
            raise MgRiskError(
                "train.too_few_events",
                f"fold {k} has {events} cases",
                expected="at least 5 in each fold",
                where="cohort.folds",
                hint="use fewer folds, more cycles or a more frequent outcome",
            )

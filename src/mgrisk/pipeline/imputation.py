"""Step `imputation`, a sensitivity analysis: the chosen model with imputed instead of missing values.

Both variants are refitted in the same way, fold by fold, and predict the same people.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import numpy as np
from scipy.special import expit, logit

from mgrisk.cohort.select import DEVELOPMENT, HELD_OUT
from mgrisk.evaluate.intervals import paired_differences, with_intervals
from mgrisk.model.additive import Additive
from mgrisk.model.bundle import Bundle
from mgrisk.model.calibration import cross_fitted_risk, fit_calibrator
from mgrisk.model.imputation import Imputer, interval, pool
from mgrisk.model.refit import Refitter
from mgrisk.pipeline.engine import Step
from mgrisk.pipeline.trained import read_trained, refitter
from mgrisk.pipeline.workspace import SetOfPeople, Workspace
from mgrisk.run_folder import names
from mgrisk.types import Booleans, Floats, Integers, JsonRecord, Singles

METRICS: Final = ("auroc", "log_loss", "brier", "calibration_slope", "observed_expected")
NATIVE, IMPUTED = "native", "imputed"


def impute(workspace: Workspace) -> str:
    """Refit the chosen model on several imputed data sets; write imputation.json."""
    settings = workspace.pipeline.sensitivity
    assert settings is not None
    tuning = workspace.run.tuning
    winner = tuning.winner
    bundle = read_trained(workspace, winner)
    development, held_out = workspace.people(DEVELOPMENT), workspace.people(HELD_OUT)
    refit = refitter(workspace, bundle, development)
    given = {DEVELOPMENT: refit.X, HELD_OUT: held_out.encoded(bundle)}
    fold = workspace.fold(development)
    risks = {NATIVE: [_risks(bundle, refit, given, development, held_out, fold, lambda X, *_: X)]}
    risks[IMPUTED] = [
        _risks(bundle, refit, given, development, held_out, fold, _drawn(bundle, given, development, held_out, seed))
        for seed in range(settings.seed, settings.seed + settings.imputations)
    ]
    records = [
        {"set": shown, **record}
        for shown, people, name in (
            ("cross-validated", development, DEVELOPMENT),
            (workspace.held_out_name, held_out, HELD_OUT),
        )
        for record in _records(people, risks[NATIVE][0][name], [each[name] for each in risks[IMPUTED]])
    ]
    gaps = np.isnan(given[DEVELOPMENT][development.inside])
    workspace.run.write_object(
        names.IMPUTATION,
        {
            "model": winner,
            "outcome": workspace.outcome.name,
            "imputations": settings.imputations,
            "people_with_gaps": int(gaps.any(axis=1).sum()),
            "people": len(gaps),
            "cells_missing": float(gaps.mean()),
            "records": records,
        },
    )
    (auroc,) = (each for each in records if each["set"] == "cross-validated" and each["metric"] == "auroc")
    return f"AUROC with {settings.imputations} imputations minus AUROC with missing values: {auroc['difference']:+.4f}"


def _drawn(
    bundle: Bundle, given: dict[str, Singles], development: SetOfPeople, held_out: SetOfPeople, seed: int
) -> Callable[[Singles, Booleans, str], Singles]:
    weights = {DEVELOPMENT: development.design.weight, HELD_OUT: held_out.design.weight}

    def draw(X: Singles, training: Booleans, name: str) -> Singles:
        learned = training & np.isfinite(given[DEVELOPMENT]).any(axis=1) & (weights[DEVELOPMENT] > 0)
        imputer = Imputer(
            bundle.encoder.columns,
            given[DEVELOPMENT][learned],
            weights[DEVELOPMENT][learned],
            development.design.cluster[learned],
            seed=seed,
        )
        completed = X.copy()
        there = np.isfinite(X).any(axis=1) & (weights[name] > 0)
        completed[there] = imputer.draw(X[there], weights[name][there])
        return completed

    return draw


def _risks(
    bundle: Bundle,
    refit: Refitter,
    given: dict[str, Singles],
    development: SetOfPeople,
    held_out: SetOfPeople,
    fold: Integers,
    complete: Callable[[Singles, Booleans, str], Singles],
) -> dict[str, Floats]:
    """Return the risks of both sets: out of fold with cross-fitted calibration, and by the model of all folds."""
    X, y, inside = given[DEVELOPMENT], development.y, development.design.analysis_weight > 0
    margin = np.zeros(len(X))
    for k in np.unique(fold[inside]):
        training, unseen = fold != k, inside & (fold == k)
        completed = complete(X, training, DEVELOPMENT)
        margin[unseen] = refit(np.where(training, 1.0, 0.0), completed).margin(completed, unseen)
    everybody = np.ones(len(X), dtype=np.bool_)
    completed = complete(X, everybody, DEVELOPMENT)
    model = refit(None, completed)
    people = complete(given[HELD_OUT], everybody, HELD_OUT)
    later = fit_calibrator(margin, y, development.design).risk(model.margin(people, held_out.inside))
    own = cross_fitted_risk(margin, y, development.design, fold)[inside]
    return {
        DEVELOPMENT: development.expanded(_expected_risk(bundle, own, completed[inside])),
        HELD_OUT: held_out.expanded(_expected_risk(bundle, later, people[held_out.inside])),
    }


def _expected_risk(bundle: Bundle, risk: Floats, X: Singles) -> Floats:
    """Return the risk that the bundle reports for people with this risk at their expected log-odds, shape (n,)."""
    if not isinstance(bundle.fitted, Additive):
        return risk
    found: Floats = expit(bundle.fitted.of_expected_risk(logit(risk), X))
    return found


def _records(people: SetOfPeople, native: Floats, imputed: list[Floats]) -> list[JsonRecord]:
    """Return, by metric, the value with missing inputs, the pooled one, and the pooled difference with its interval."""
    models = {NATIVE: native, **{str(number): risk for number, risk in enumerate(imputed)}}
    alone = with_intervals(people.y, models, people.design, metrics=METRICS)
    less = paired_differences(people.y, models, people.design, reference=NATIVE, metrics=METRICS)
    records = []
    for metric in METRICS:
        of_native, *of_imputed = (each for each in alone if each["metric"] == metric)
        pooled = pool([each["estimate"] for each in of_imputed], [each["se"] for each in of_imputed])
        differences = [each for each in less if each["metric"] == metric]
        difference = pool([each["estimate"] for each in differences], [each["se"] for each in differences])
        low, high = interval(difference, imputations=len(imputed), df=people.design.df)
        records.append(
            {
                "metric": metric,
                **{name: of_native[name] for name in ("estimate", "low", "high", "n", "events")},
                "pooled": pooled.estimate,
                "pooled_se": pooled.se,
                "between": pooled.between,
                "difference": difference.estimate,
                "difference_low": low,
                "difference_high": high,
            }
        )
    return records


STEP = Step(
    "imputation",
    "compare with multiple imputation",
    inputs=(*names.PEOPLE, names.TARGETS, names.FOLDS, names.TRAINED, names.TUNING),
    outputs=(names.IMPUTATION,),
    logged=(names.IMPUTATION,),
    settings=("cohort", "model", "sensitivity"),
    wanted=lambda workspace: workspace.pipeline.sensitivity is not None,
    action=impute,
)

"""A bundle for another population: the same linear predictor, another calibrator, and the record of its parent."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from typing import Any, Final, Literal

import numpy as np

from mgrisk.errors import bad_input
from mgrisk.model.additive import Additive
from mgrisk.model.bundle import Bundle
from mgrisk.model.calibration import Calibrator, fit_calibrator
from mgrisk.storage.files import to_json
from mgrisk.survey.design import SurveyDesign
from mgrisk.survey.linear_models import fit_logistic
from mgrisk.types import Floats

Method = Literal["intercept", "logistic"]
LEAST: Final[dict[str, int]] = {"intercept": 20, "logistic": 50}
"""Fewest cases, and fewest others, that a method takes: 1 / sqrt(20) is a standard error of the level of 0.22 log-odds,
1 / sqrt(50) one of the slope of 0.14 where log-odds spread by 1. With fewer the parent is the better guess."""


def recalibrate(
    bundle: Bundle, margin: Floats, y: Floats, design: SurveyDesign, *, method: Method, told: dict[str, Any]
) -> Bundle:
    """Fit the map anew and return the bundle that has it.

    Parameters
    ----------
    bundle
        The parent.
    margin, y
        The parent's margins and the outcome of new people, shape (n,); any number outside the domain.
    design
        Design of the new people.
    method
        ``intercept`` moves the level alone, ``logistic`` level and slope.
    told
        What bundle.json says of it: at least ``parent`` and ``holds_for``. Without a ``name``, it is that of the parent
        with a digest of the new map and of all this, so that no two different recalibrations have one name.

    Raises
    ------
    MgRiskError
        ``recalibrate.too_few_events``; ``recalibrate.reversed`` where cases have no higher risk; those of
        `survey.linear_models.fit_logistic`.

    Notes
    -----
    Steyerberg (2019), Clinical Prediction Models, chapter 20. Weights count as everywhere. The variance of a person's
    log-odds is that of the parent, times the squared change of slope, and the mean variance of the new map in addition.
    The error of the parent's level is counted although the new people give the level: that errs on the wide side.
    """
    inside = design.analysis_weight > 0
    cases = int(y[inside].sum())
    fewer = min(cases, int(inside.sum()) - cases)
    if fewer < LEAST[method]:
        raise bad_input(
            "recalibrate.too_few_events",
            f"{cases} cases among {int(inside.sum())} people are too few for --method {method}",
            where="recalibration",
            expected=f"at least {LEAST[method]} cases and as many others",
            got=str(fewer),
            hint="use --method intercept"
            if LEAST["intercept"] <= fewer
            else "use the bundle as it is, or collect more",
        )
    old = bundle.calibrator
    weight = design.analysis_weight[inside]
    of_cases, of_others = (
        float(np.average(old.log_odds(margin[inside]), weights=weight * each)) for each in (y[inside], 1.0 - y[inside])
    )
    # The slope of a logistic regression has the sign of this difference.
    if of_cases <= of_others:
        raise bad_input(
            "recalibrate.reversed",
            "among these people the risk of the parent is no higher in cases than in others",
            where="recalibration",
            got=f"mean log-odds of {of_cases:.3f} in cases and {of_others:.3f} in others",
            hint="check the coding of the outcome; a model that ranks people wrongly cannot be recalibrated",
        )
    if method == "intercept":
        fit = fit_logistic(np.ones((len(y), 1)), y, design, offset=old.log_odds(margin))
        variance = np.array([[float(fit.covariance[0, 0]), 0.0], [0.0, 0.0]])
        new = Calibrator(old.intercept + float(fit.coefficients[0]), old.slope, variance, design.df)
    else:
        new = fit_calibrator(margin, y, design)
    stretch = new.slope / old.slope
    added = float(np.average(new.se(margin[inside]) ** 2, weights=weight))
    uncertainty, fitted = bundle.uncertainty, bundle.fitted
    if uncertainty is not None:
        uncertainty = uncertainty.after(stretch=stretch, added=added)
    if isinstance(fitted, Additive):
        fitted = fitted.after(stretch=new.slope, added=added)
    digest = hashlib.sha256(to_json([new.to_dict(), told]).encode()).hexdigest()
    # How well the parent did elsewhere says nothing of these people.
    about = {
        **{key: value for key, value in bundle.about.items() if key != "performance"},
        "name": f"{bundle.about['name']}-recalibrated-{digest[:8]}",
        **told,
        "interval": f"{bundle.about['interval']}; with the error of the recalibration added",
        "recalibration": {
            "method": method,
            "people": int(inside.sum()),
            "cases": cases,
            "prevalence": float(np.average(y[inside], weights=weight)),
            "slope_of_parent": stretch,
            "intercept_of_parent": new.intercept - stretch * old.intercept,
            "df": new.df,
        },
    }
    return replace(bundle, about=about, fitted=fitted, calibrator=new, uncertainty=uncertainty)

"""A bundle for another population: the same margin, another map from it to the risk, and the parent's name in it."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Final, Literal

import numpy as np
from numpy.typing import NDArray

from mgrisk.errors import bad_input
from mgrisk.model.bundle import Bundle
from mgrisk.model.calibrate import Calibrator, fit_calibrator
from mgrisk.survey.design import SurveyDesign
from mgrisk.survey.logistic import fit_logistic

Floats = NDArray[np.float64]
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
        What bundle.json says of it: at least ``parent`` and ``holds_for``.

    Raises
    ------
    MgRiskError
        ``recalibrate.too_few_events``; ``recalibrate.reversed`` where risks fall as the margin rises; those of
        `survey.logistic.fit_logistic`.

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
    if method == "intercept":
        fit = fit_logistic(np.ones((len(y), 1)), y, design, offset=old.log_odds(margin))
        variance = np.array([[float(fit.covariance[0, 0]), 0.0], [0.0, 0.0]])
        new = Calibrator(old.intercept + float(fit.coefficients[0]), old.slope, variance, fit.df)
    else:
        new = fit_calibrator(margin, y, design)
    stretch = new.slope / old.slope
    if stretch <= 0:
        raise bad_input(
            "recalibrate.reversed",
            "among these people the risk falls as the margin rises",
            where="recalibration",
            got=f"slope {stretch:.2f} times that of the parent",
            hint="check the coding of the outcome; a model that ranks people wrongly cannot be recalibrated",
        )
    added = float(np.average(new.se(margin[inside]) ** 2, weights=design.analysis_weight[inside]))
    uncertainty = None if bundle.uncertainty is None else bundle.uncertainty.after(stretch=stretch, added=added)
    about = {
        **bundle.about,
        **told,
        "name": f"{bundle.about['name']}-recalibrated",
        "interval": f"{bundle.about['interval']}; with the error of the recalibration added",
        "recalibration": {
            "method": method,
            "people": int(inside.sum()),
            "cases": cases,
            "prevalence": float(np.average(y[inside], weights=design.analysis_weight[inside])),
            "slope_of_parent": stretch,
            "intercept_of_parent": new.intercept - stretch * old.intercept,
            "df": new.df,
        },
    }
    return replace(bundle, about=about, calibrator=new, uncertainty=uncertainty)

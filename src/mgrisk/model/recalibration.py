"""Recalibration of a bundle for another population: the same linear predictor with a new calibrator."""

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
"""Fewest cases, and fewest non-cases, for each method. The standard error of the intercept is then at most about
1 / sqrt(20) = 0.22 log-odds, and that of the slope 1 / sqrt(50) = 0.14 where log-odds have a standard deviation of 1.
With fewer, the parent's calibration is the better estimate."""


def recalibrate(
    bundle: Bundle, margin: Floats, y: Floats, design: SurveyDesign, *, method: Method, changes: dict[str, Any]
) -> Bundle:
    """Fit a new calibrator and return the bundle that has it.

    Parameters
    ----------
    bundle
        The parent.
    margin, y
        The parent's margins and the outcome of new people, shape (n,); any number outside the domain.
    design
        Design of the new people.
    method
        ``intercept`` refits the intercept alone, ``logistic`` intercept and slope.
    changes
        Entries for bundle.json: at least ``parent`` and ``holds_for``. The default ``name`` is that of the parent with
        a digest of the new calibrator and of these entries, so that different recalibrations have different names.

    Raises
    ------
    MgRiskError
        ``recalibrate.too_few_events``; ``recalibrate.reversed`` where the parent's risk is not higher in cases; those
        of `survey.linear_models.fit_logistic`.

    Notes
    -----
    Steyerberg (2019), Clinical Prediction Models, chapter 20. Survey weights are used. The variance of a person's
    log-odds is that of the parent times the squared change of slope, plus the mean variance of the new calibrator. It
    still contains the error of the parent's intercept, which the new data replace: the interval is somewhat too wide.
    """
    inside = design.analysis_weight > 0
    cases = int(y[inside].sum())
    fewer = min(cases, int(inside.sum()) - cases)
    if fewer < LEAST[method]:
        raise bad_input(
            "recalibrate.too_few_events",
            f"{cases} cases among {int(inside.sum())} people are too few for --method {method}",
            where="recalibration",
            expected=f"at least {LEAST[method]} cases and as many non-cases",
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
            "among these people the parent's risk is no higher in cases than in non-cases",
            where="recalibration",
            got=f"mean log-odds of {of_cases:.3f} in cases and {of_others:.3f} in non-cases",
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
    digest = hashlib.sha256(to_json([new.to_dict(), changes]).encode()).hexdigest()
    # The parent's performance in other people does not apply to these.
    about = {
        **{key: value for key, value in bundle.about.items() if key != "performance"},
        "name": f"{bundle.about['name']}-recalibrated-{digest[:8]}",
        **changes,
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

"""The model as numbers in the page: an input is changed there, and risk, interval and contributions computed anew.

An additive model is a few thousand numbers. `templates/probe.js` does with them what `model.additive` does: expected
values of absent inputs, the line to the reported risk, the calibrator, the sampling error. Nothing in them is of a
person: knots, coefficients, mean and covariance of the design columns, and quantiles of the development population.
"""

from __future__ import annotations

import math
from statistics import NormalDist
from typing import Any, Final

import numpy as np

from mgrisk.features.registry import Feature
from mgrisk.model.additive import Additive
from mgrisk.model.bundle import Bundle
from mgrisk.model.missing_inputs import RIDGE
from mgrisk.model.reference import PROBABILITIES
from mgrisk.survey.variance import t_quantile
from mgrisk.types import JsonRecord

LEVEL: Final = 0.90
"""Of both intervals, as in a scored file."""
STEPS: Final = 50
"""A slider has at least so many."""
NOT_ADDITIVE: Final = "The inputs cannot be changed on this page, since the model is not additive."


def page_model(bundle: Bundle) -> JsonRecord:
    """Return what the page needs to answer as the bundle does.

    Parameters
    ----------
    bundle
        Any bundle.

    Returns
    -------
    dict
        {columns, intercept, coefficients, mean, scale, precision, ridge, lines, sampling, calibrator, reach,
        reachInputs, inputs}; where the model is not additive {absent} alone, the sentence that says so. `precision` is
        the lower triangle, row by row, of the inverse of the ridged correlation of the design columns. `inputs` has of
        each feature what its control needs, and what is in the training distribution.

    Examples
    --------
    >>> from mgrisk.model.bundle import read_bundle, released
    >>> model = page_model(read_bundle(released("undiagnosed")))
    >>> len(model["inputs"]), model["inputs"][0]["usual"], len(model["coefficients"])
    (32, 45.0, 84)
    """
    fitted = bundle.fitted
    if not isinstance(fitted, Additive):
        return {"absent": NOT_ADDITIVE}
    moments, calibrator = fitted.moments, bundle.calibrator
    p = len(fitted.coefficients)
    return {
        "columns": [
            {
                "owner": column.owner,
                "level": None if column.level is None else bundle.features[column.owner].levels.index(column.level),
                # With fewer the curve is a straight line.
                "knots": list(term.knots) if len(term.knots) >= 3 else [],
            }
            for column, term in zip(bundle.encoder.columns, fitted.terms, strict=True)
        ],
        "intercept": fitted.intercept,
        "coefficients": fitted.coefficients.tolist(),
        "mean": moments.mean.tolist(),
        "scale": moments.scale.tolist(),
        "precision": moments.precision[np.tril_indices(p)].tolist(),
        "ridge": RIDGE,
        "lines": {name: getattr(fitted.lines, name).tolist() for name in ("s", "slope", "intercept")},
        "sampling": None if fitted.sampling is None else fitted.sampling.to_dict(),
        "calibrator": calibrator.to_dict(),
        "reach": t_quantile(LEVEL, calibrator.df),
        "reachInputs": NormalDist().inv_cdf((1.0 + LEVEL) / 2.0),
        "inputs": [_input(bundle, feature) for feature in bundle.features],
    }


def _input(bundle: Bundle, feature: Feature) -> dict[str, Any]:
    """Return what a feature's control starts from and may be set to, and what the development people had of it."""
    known = bundle.reference[feature.name]
    of_both: dict[str, Any] = {"required": feature.required, "settled": _settled(bundle, feature)}
    if feature.kind == "category":
        shares = [known["shares"][level] for level in feature.levels]
        unseen = [place for place, share in enumerate(shares) if share == 0]
        return {**of_both, "usual": int(np.argmax(shares)), "unseen": unseen, "note": ""}
    quantiles = known["quantiles"]
    low, usual, high = (quantiles.get(str(p)) for p in (PROBABILITIES[0], 0.5, PROBABILITIES[-1]))
    beside = known.get("beside")
    places = [each.name for each in bundle.features]
    return {
        **of_both,
        # A control shows no more digits than a value has.
        "usual": None if usual is None else float(f"{usual:.4g}"),
        "low": low,
        "high": high,
        "minimum": feature.minimum,
        "maximum": feature.maximum,
        "cap": feature.cap,
        "step": _step(1.0 if low is None else high - low),
        "beside": None if beside is None else {**beside, "of": places.index(beside["name"])},
        "note": _note(bundle, feature),
    }


def _settled(bundle: Bundle, feature: Feature) -> dict[str, Any] | None:
    """Return which level of another feature settles this one, and to what; None where that does not happen."""
    parents = [each for each in bundle.features if each.name in feature.derived_from and each.kind == "category"]
    if len(feature.derived_from) != 1 or not parents:
        return None
    levels = len(parents[0].levels)
    found = bundle.complete({parents[0].name: np.arange(levels, dtype=np.float64)}, n=levels)[feature.name]
    return {
        "by": bundle.features.index(parents[0]),
        "to": [None if math.isnan(value) else int(value) for value in found],
    }


def _note(bundle: Bundle, feature: Feature) -> str:
    labels = [each.label for each in bundle.family if each.name in feature.derived_from]
    if not labels:
        return ""
    joined = ", ".join(labels[:-1]) + " and " * (len(labels) > 1) + labels[-1]
    return (
        f"Scoring derives it from {joined} where it is not given. Here it is set by itself and does not move with them."
    )


def _step(width: float) -> float:
    """Return the largest of 1, 2 and 5 times a power of ten that divides a width into `STEPS` or more.

    Examples
    --------
    >>> _step(60.0), _step(44.0), _step(1200.0)
    (1.0, 0.5, 20.0)
    """
    size = max(width, 1e-6) / STEPS
    power = 10.0 ** math.floor(math.log10(size))
    return max(float(f"{digit * power:.6g}") for digit in (1, 2, 5) if digit * power <= size * (1 + 1e-9))

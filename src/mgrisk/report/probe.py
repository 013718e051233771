"""The model as numbers in the page: an input is changed there, and risk, interval and contributions computed anew.

An additive model is a few thousand numbers. `templates/probe.js` does with them what `model.additive` does: expected
values of absent inputs, the line to the reported risk, the calibrator, the sampling error. Trees and shape functions
are the tables that their contributions are read off: base value and contributions add up to the log-odds. Nothing in
either is of a person: knots, coefficients, cut points, mean and covariance of the design columns, and quantiles of the
development population.
"""

from __future__ import annotations

import math
from statistics import NormalDist
from typing import Any, Final

import numpy as np

from mgrisk.explain.attributions import Explainer
from mgrisk.features.registry import Feature
from mgrisk.model.additive import Additive
from mgrisk.model.bundle import Bundle
from mgrisk.model.missing_inputs import RIDGE
from mgrisk.model.reference import PROBABILITIES
from mgrisk.model.splines import Term
from mgrisk.survey.variance import t_quantile
from mgrisk.types import JsonRecord

LEVEL: Final = 0.90
"""Of both intervals, as in a scored file."""
TRIED: Final = 40
"""Values at which a derived feature is asked how it moves."""
STEPS: Final = 50
"""A slider has at least so many."""
MOST_ENTRIES: Final = 20_000
"""Entries of look-up tables that a page carries, some 300 kB."""
DIGITS: Final = 13
"""Of an entry, after the point: sums of a thousand of them are still those of the bundle."""
CANNOT: Final = "The inputs cannot be changed on this page, because the model"


def page_model(bundle: Bundle) -> JsonRecord:
    """Return what the page needs to answer as the bundle does.

    Parameters
    ----------
    bundle
        Any bundle.

    Returns
    -------
    dict
        Of an additive model {columns, intercept, coefficients, mean, scale, precision, ridge, lines, sampling,
        calibrator, reach, reachInputs, inputs}; `precision` is the lower triangle, row by row, of the inverse of the
        ridged correlation of the design columns. Of a model with trees or shape functions {columns, base, tables,
        uncertainty, calibrator, reach, inputs}. `inputs` has of each feature what its control needs, and what is in the
        training distribution. Where the model is too large, or has other parts, {absent} alone: a sentence on why.

    Examples
    --------
    >>> from mgrisk.model.bundle import read_bundle
    >>> from mgrisk.model.released import released
    >>> model = page_model(read_bundle(released("undiagnosed")))
    >>> len(model["inputs"]), model["inputs"][0]["usual"], len(model["coefficients"])
    (32, 45.0, 84)
    """
    fitted = bundle.fitted
    if not isinstance(fitted, Additive):
        return _tabulated(bundle)
    moments, calibrator = fitted.moments, bundle.calibrator
    p = len(fitted.coefficients)
    return {
        "columns": [
            {**column, "knots": _knots(term)} for column, term in zip(_columns(bundle), fitted.terms, strict=True)
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


def _columns(bundle: Bundle) -> list[dict[str, Any]]:
    """Return the feature of each encoded column, and the place of the level that it is 1 for; None for a number."""
    return [
        {
            "owner": column.owner,
            "level": None if column.level is None else bundle.features[column.owner].levels.index(column.level),
        }
        for column in bundle.encoder.columns
    ]


def _knots(term: Term) -> list[float]:
    """Return the knots of a curve; with fewer than three it is a straight line, which has none."""
    return list(term.knots) if len(term.knots) >= 3 else []


def _tabulated(bundle: Bundle) -> JsonRecord:
    """Return a model of trees or shape functions as the tables that its contributions are read off."""
    explainer = Explainer(bundle)
    tables = explainer.tables()
    if tables is None:
        return {"absent": f"{CANNOT} has curves beside trees."}
    size = sum(each.entries.size for each in tables)
    if size > MOST_ENTRIES:
        return {
            "absent": f"{CANNOT} is too large for it: {size:,} table entries, where a page carries {MOST_ENTRIES:,}."
        }
    calibrator, uncertainty = bundle.calibrator, bundle.uncertainty
    return {
        "columns": _columns(bundle),
        "base": explainer.base_value,
        "tables": [
            {
                "columns": each.columns,
                "cuts": [cuts.tolist() for cuts in each.cuts],
                "missing": each.missing,
                "bins": each.entries.shape[1:],
                "players": each.players,
                "entries": each.entries.reshape(len(each.players), -1).round(DIGITS).tolist(),
            }
            for each in tables
        ],
        "uncertainty": None
        if uncertainty is None
        else {
            "terms": [{"fill": term.fill, "knots": _knots(term)} for term in uncertainty.terms],
            "loadings": uncertainty.loadings.tolist(),
            "centre": uncertainty.centre.tolist(),
            "base": uncertainty.base,
            "factor": uncertainty.factor,
        },
        "calibrator": calibrator.to_dict(),
        "reach": t_quantile(LEVEL, calibrator.df),
        "inputs": [_input(bundle, feature) for feature in bundle.features],
    }


def _input(bundle: Bundle, feature: Feature) -> dict[str, Any]:
    """Return what a feature's control starts from and may be set to, and what the development people had of it."""
    known = bundle.reference[feature.name]
    of_both: dict[str, Any] = {"required": feature.required, "settled": _settled(bundle, feature)}
    if feature.kind == "category":
        shares = [known["shares"][level] for level in feature.levels]
        unseen = [place for place, share in enumerate(shares) if share == 0]
        note = "" if of_both["settled"] else _note(bundle, feature, None)
        return {**of_both, "usual": int(np.argmax(shares)), "unseen": unseen, "note": note}
    moves = _moves(bundle, feature)
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
        "moves": moves,
        "note": _note(bundle, feature, moves),
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


def _moves(bundle: Bundle, feature: Feature) -> dict[str, Any] | None:
    """Return how a derived number moves with its parents in the model while the others stay; None where that is open.

    A sum of its parents, c + Σ a x, moves by a times the difference; a product of powers of them, c Π x^a, by the a-th
    power of the ratio. Which of the two it is, if any, is found from what the feature's own function returns.
    """
    parents = [each for each in bundle.family if each.name in feature.derived_from]
    if feature.fitted or not parents or any(each.minimum is None or each.maximum is None for each in parents):
        return None
    random = np.random.default_rng(0)
    given = {}
    for each in parents:
        most = float(min(each.maximum or 0.0, math.inf if each.cap is None else each.cap))
        given[each.name] = random.uniform(max(each.minimum or 0.0, most / 1000), most, TRIED)
    found = bundle.complete(given, n=TRIED)[feature.name]
    for by, scale in (("difference", np.asarray), ("ratio", np.log)):
        columns = np.column_stack([*(scale(given[each.name]) for each in parents), np.ones(TRIED)])
        if not np.isfinite(found).all() or (by == "ratio" and not (found > 0).all()):
            return None
        weights = np.linalg.lstsq(columns, scale(found), rcond=None)[0]
        if np.allclose(columns @ weights, scale(found), rtol=1e-9, atol=1e-9):
            of = dict(zip([each.name for each in parents], weights[:-1].round(9).tolist(), strict=True))
            return {
                "by": by,
                "of": {str(k): of[each.name] for k, each in enumerate(bundle.features) if each.name in of},
            }
    return None


def _note(bundle: Bundle, feature: Feature, moves: JsonRecord | None) -> str:
    """Say what becomes of a derived number when an input is changed that it is derived from."""
    read = {each.name for each in bundle.features}
    parents = [each for each in bundle.family if each.name in feature.derived_from]
    known = " and ".join(each.label for each in parents if each.name in read)
    rest = " and ".join(each.label for each in parents if each.name not in read)
    if not known:
        return ""
    if moves is None:
        return f"Scoring derives it from {known} where it is not given. Here it is set by itself."
    return f"Moves with {known}{f', at the same {rest}' if rest else ''}."


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

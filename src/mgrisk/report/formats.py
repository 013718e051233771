"""Numbers as a reader sees them: fixed digits, a true minus sign, intervals always with the estimate."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise
from typing import Final

from mgrisk.errors import MgRiskError
from mgrisk.evaluate.records import Estimated
from mgrisk.features.registry import FEATURES
from mgrisk.riskscores.scores import load_score

MINUS: Final = "\u2212"
NBSP: Final = "\u00a0"
UNDEFINED: Final = "not estimable"
NAMES: Final = {"mexican", "american", "hispanic", "white", "black", "asian"}
MODELS: Final = {
    "spline_logistic": "Spline logistic",
    "spline_linear": "Spline linear",
    "spline_margin": "Spline stack",  # the ensemble of the released pipelines
    "xgboost": "XGBoost",
    "xgboost_monotone": "XGBoost, monotone",
    "random_forest": "Random forest",
    "explainable_boosting": "Explainable boosting machine",
}
VARIANTS: Final = {
    "": "",
    "published": ", published risk",
    "intercept": ", intercept recalibrated",
    "logistic": ", recalibrated",
}


def number(value: float | None, *, digits: int = 3, signed: bool = False) -> str:
    """Return a number with fixed digits.

    Parameters
    ----------
    value
        None and NaN, for which JSON has no word, read as not estimable.
    digits
        After the point.
    signed
        Whether a positive number gets its plus.

    Examples
    --------
    >>> number(-0.0304, digits=2), number(1234.5, digits=0), number(None), number(0.5, digits=1, signed=True)
    ('−0.03', '1,234', 'not estimable', '+0.5')
    """
    if value is None or not math.isfinite(value):
        return UNDEFINED
    text = f"{abs(value):,.{digits}f}"
    if not any(digit in "123456789" for digit in text):
        return text  # no minus before a zero
    if value < 0:
        return MINUS + text
    return f"+{text}" if signed else text


def p_value(value: float | None, *, named: bool = False) -> str:
    """Return a p value to three decimals, and nothing below 0.001; `named` puts ``p =`` or ``p`` before it.

    Examples
    --------
    >>> p_value(0.0321), p_value(2e-9), p_value(0.5, named=True), p_value(0.0, named=True)
    ('0.032', '< 0.001', 'p = 0.500', 'p < 0.001')
    """
    small = value is not None and value < 0.001
    shown = "< 0.001" if small else number(value, digits=3)
    return f"p {'' if small else '= '}{shown}" if named else shown


def percent(value: float | None, *, digits: int = 1, signed: bool = False) -> str:
    r"""Return a share as a percentage.

    Examples
    --------
    >>> percent(0.041)
    '4.1\xa0%'
    """
    if value is None or not math.isfinite(value):
        return UNDEFINED
    return number(100.0 * value, digits=digits, signed=signed) + NBSP + "%"


def count(value: float | None) -> str:
    """Return a count with thousands separated.

    Examples
    --------
    >>> count(10001)
    '10,001'
    """
    return number(value, digits=0)


def percent_digits(smallest: float) -> int:
    """Return how many digits a percentage needs for a change of a risk to be seen.

    Examples
    --------
    >>> percent_digits(0.2), percent_digits(0.004)
    (1, 2)
    """
    return 1 if smallest >= 0.02 else 2


def interval(record: Estimated, *, digits: int = 3, share: bool = False, signed: bool = False) -> str:
    """Return an estimate with its interval; a record says by its `problem` why it has none.

    Parameters
    ----------
    record
        Any record of an estimate.
    digits, signed
        As for `number`.
    share
        Whether to show percentages.

    Examples
    --------
    >>> from mgrisk.evaluate.records import Interval
    >>> interval(Interval(0.7916, 0.7014, 0.8599))
    '0.792 (0.701 to 0.860)'
    >>> interval(Interval(0.5, None, None, "interval.undefined"))
    '0.500 (interval not estimable)'
    """
    scale = 100.0 if share else 1.0

    def shown(value: float | None, *, sign: bool) -> str:
        return number(None if value is None else scale * value, digits=digits, signed=sign)

    if record.estimate is None:
        return UNDEFINED
    unit = NBSP + "%" if share else ""
    centre = shown(record.estimate, sign=signed)
    if record.low is None or record.high is None:
        return f"{centre}{unit} (interval {UNDEFINED})"
    return f"{centre}{unit} ({shown(record.low, sign=False)} to {shown(record.high, sign=False)})"


def model_label(name: str) -> str:
    """Return the name of a model, a part of one or a published score as a reader knows it; a bundle's as it stands.

    Examples
    --------
    >>> model_label("ada:logistic"), model_label("xgboost:glucose_mg_dl"), model_label("my_model")
    ('ADA risk test, recalibrated', 'XGBoost (log Fasting plasma glucose)', 'My model')
    >>> model_label("mgrisk-undiagnosed")
    'mgrisk-undiagnosed'
    """
    score, _, variant = name.partition(":")
    if score in MODELS:
        return f"{MODELS[score]} (log {FEATURES[variant].label})" if variant in FEATURES else MODELS[score]
    try:
        return load_score(score).label + VARIANTS[variant]
    except MgRiskError:
        words = name.replace("_", " ")
        return name if "-" in name else words[:1].upper() + words[1:]


def level_label(level: str) -> str:
    """Return a category's level as words.

    Examples
    --------
    >>> level_label("mexican_american")
    'Mexican American'
    """
    words = level.replace("_", " ").split(" ")
    return " ".join(word.capitalize() if word in NAMES else word for word in words)


def span(cycles: Sequence[str]) -> str:
    """Return cycles as one span of years where they follow one another, else as a list.

    Examples
    --------
    >>> span(["2007-2008", "2009-2010"]), span(["2007-2008", "2015-2016"])
    ('2007–2010', '2007–2008, 2015–2016')
    """
    shown = ", ".join(cycle.replace("-", "–") for cycle in cycles)
    years = [cycle.split("-") for cycle in cycles]
    if not years or not all(len(pair) == 2 and all(year.isdecimal() for year in pair) for pair in years):
        return shown
    follow = all(int(later[0]) == int(earlier[1]) + 1 for earlier, later in pairwise(years))
    return f"{years[0][0]}–{years[-1][1]}" if follow else shown


def unit_label(unit: str) -> str:
    """Return a unit as printed: kg/m², and nothing for a plain ratio.

    Examples
    --------
    >>> unit_label("kg/m2"), unit_label("1")
    ('kg/m²', '')
    """
    return "" if unit == "1" else unit.replace("m2", "m²")


def labelled(label: str, unit: str) -> str:
    """Return a label with its unit, for an axis or the first column of a table.

    Examples
    --------
    >>> labelled("Waist", "cm")
    'Waist, cm'
    """
    shown = unit_label(unit)
    return f"{label}, {shown}" if shown else label

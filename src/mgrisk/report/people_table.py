"""The table of people: columns that a page can carry, and values as a reader understands them.

The page holds numbers, not markup: one column for each thing, values as short numbers, contributions in ten-thousandths
of a log-odds unit. `templates/people.js` sorts, filters, compares and finds people, and draws rows and waterfall plots
when they are looked at, so that ten thousand people cost no more to open than ten. A person's value is rounded by its
unit and stands beside that of the population.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import pandas as pd

from mgrisk.features.registry import Feature
from mgrisk.report.blocks import Block
from mgrisk.report.formats import level_label, number, percent, unit_label
from mgrisk.types import Booleans, Floats, Integers, JsonRecord

# Shown coarser than measured: nobody needs a stranger's waist to the millimetre to follow the arithmetic.
STEP_BY_UNIT: Final = {
    "years": 5.0,
    "cm": 1.0,
    "kg": 1.0,
    "kg/m2": 1.0,
    "MET-min/week": 100.0,
    "min/d": 10.0,
    "mg/d": 10.0,
    "kcal/d": 50.0,
    "hours": 0.5,
    "1": 0.1,
}


def step_of(unit: str) -> float:
    """Return what a value in this unit is rounded to."""
    return STEP_BY_UNIT.get(unit, 0.1)


def round_value(value: float, unit: str) -> str:
    """Return a person's number, rounded by its unit so that it is understood and not recognised.

    Examples
    --------
    >>> round_value(43.0, "years"), round_value(2.954, "1"), round_value(1841.0, "kcal/d")
    ('45', '3.0', '1,850')
    """
    step = step_of(unit)
    return number(round(value / step) * step, digits=_digits(unit))


def shown_value(value: Any, feature: Feature) -> str:
    """Return a person's value of a feature as words, without its unit."""
    if feature.kind == "number":
        return "missing" if math.isnan(float(value)) else round_value(float(value), feature.unit)
    return level_label(str(value)) if value in feature.levels else "missing"


def reference_value(feature: Feature, known: Mapping[str, Any]) -> tuple[str, dict[str, Any]]:
    """Return the development population's median, or most frequent category with its share, and the numbers behind.

    Parameters
    ----------
    feature
        The feature.
    known
        Its row of the bundle's reference.json.
    """
    if feature.kind == "number":
        median = known["quantiles"].get("0.5") if known["quantiles"] else None
        if median is None:
            return "not known", {"median": None}
        return f"median {number(float(median), digits=_digits(feature.unit))}", {"median": float(median)}
    shares = {str(level): float(share) for level, share in known["shares"].items()}
    most = max(shares, key=lambda level: shares[level])
    return f"{level_label(most)} {percent(shares[most], digits=0)}", {"shares": shares}


def compact_values(values: pd.Series, feature: Feature, *, coarse: bool) -> list[float | int | None]:
    """Return a column as short numbers: a category as the place of its level, missing as None.

    Parameters
    ----------
    values
        Completed values.
    feature
        The feature.
    coarse
        Whether to round by unit, as strangers are shown; else to four significant digits.
    """
    if feature.kind == "category":
        place = {level: number_ for number_, level in enumerate(feature.levels)}
        return [place.get(value) for value in values.astype(object)]
    numbers = values.to_numpy(dtype=np.float64)
    step = step_of(feature.unit)
    rounded = np.round(np.round(numbers / step) * step, 1) if coarse else numbers
    return [None if math.isnan(value) else _short(value) for value in rounded]


def _short(value: float) -> float | int:
    short = float(f"{value:.4g}") if abs(value) < 1000 else round(value)
    return int(short) if short == int(short) else short


def _digits(unit: str) -> int:
    return 1 if step_of(unit) < 1 else 0


SCALE: Final = 10_000  # contributions are stored as whole numbers of 1 / SCALE
MOST_PEOPLE: Final = 20_000
# NCHS, Data Presentation Standards for Proportions (2017): no estimate from fewer than 30 people.
SMALLEST_GROUP: Final = 30
DOMAIN, OUTCOME, FIRMNESS = "Training distribution", "Outcome", "Largest contribution over refits"
# Shares of the refits in which a person's largest contribution is that of the same feature.
FIRM: Final = (
    (0.9, "same feature in 90 % of refits or more"),
    (0.5, "same feature in more than half"),
    (0.0, "same feature in half or fewer"),
)
RECALL: Final = "Recall error of magnesium, share of the variance of an interval with it"
# Shares of recall error in the variance of an interval that includes it.
OF_RECALL: Final = (
    (0.25, "25 % or more"),
    (0.05, "5 % to 25 %"),
    (0.0, "less than 5 %"),
)
AGE: Final = "age_years"
AGE_BAND: Final = "Age group, years"
AGE_BANDS: Final = ((0, "Below 20"), (20, "20 to 39"), (40, "40 to 59"), (60, "60 and older"))


@dataclass(frozen=True, eq=False)
class PeopleShown:
    """People with their risks and reasons, row for row.

    Attributes
    ----------
    id_label, ids
        What people are found by: the name of it, and one text for each person.
    features, data, contributions
        Features of the model, their completed values, and contributions in calibrated log-odds, (n, n_features).
    base_values
        Base value of each person, in calibrated log-odds, shape (n,).
    risk, low, high
        Reported risk and its interval, shape (n,).
    low_inputs, high_inputs
        Bounds of the risk if the missing inputs were known, shape (n,) each; NaN where they cannot be computed.
    in_domain
        Whether in the model's training distribution, shape (n,).
    reference
        Content of the bundle's reference.json.
    weight
        Survey weight, shape (n,); None where people stand for themselves.
    case
        Whether the person has the outcome, shape (n,); None where it is not known.
    firmness
        Share of the refits in which the person's largest contribution is that of the same feature, shape (n,); None
        where there were none.
    recall_share
        Share of recall error of magnesium in the variance of an interval that includes it, shape (n,); NaN where it is
        not known.
    coarse
        Whether values are rounded by unit.
    model
        From `probe.page_model`: the model in the page, or why inputs cannot be changed there.
    """

    id_label: str
    ids: Sequence[str]
    features: tuple[Feature, ...]
    data: pd.DataFrame
    contributions: Floats
    base_values: Floats
    risk: Floats
    low: Floats
    high: Floats
    low_inputs: Floats
    high_inputs: Floats
    in_domain: Booleans
    reference: JsonRecord
    weight: Floats | None = None
    case: Booleans | None = None
    firmness: Floats | None = None
    recall_share: Floats | None = None
    coarse: bool = True
    model: JsonRecord | None = None

    def highest(self, most: int) -> Integers:
        """Return the places of the people of highest risk, in the order given, at most `most`."""
        chosen: Integers = np.sort(np.argsort(-self.risk, kind="stable")[:most])
        return chosen


def explorer(people: PeopleShown, caption: str) -> Block:
    """Return the block that the page turns into a table of people.

    Parameters
    ----------
    people
        Whom to show; of more than `MOST_PEOPLE` those of highest risk.
    caption
        Who they are.
    """
    kept = people.highest(MOST_PEOPLE)
    if len(kept) < len(people.risk):
        caption = f"{caption} Shown are the {len(kept):,} of highest risk of {len(people.risk):,}."
    data = people.data.iloc[kept]
    return {
        "kind": "explorer",
        "id": "explorer",
        "caption": caption,
        "data": {
            "id": people.id_label,
            "mark": "",  # SYNTHETIC, where `content.mark_synthetic` says so
            "base": [float(f"{people.base_values[place]:.6g}") for place in kept],
            "scale": SCALE,
            "smallest": SMALLEST_GROUP,
            "features": [_described(feature, people.reference[feature.name]) for feature in people.features],
            "told": _told(people, data, kept),
            "coarse": people.coarse,
            "model": people.model,
            "ids": [people.ids[place] for place in kept],
            "risk": _short_risks(people.risk[kept]),
            "low": _short_risks(people.low[kept]),
            "high": _short_risks(people.high[kept]),
            "lowInputs": _short_risks(people.low_inputs[kept]),
            "highInputs": _short_risks(people.high_inputs[kept]),
            "weight": None if people.weight is None else np.round(people.weight[kept]).astype(int).tolist(),
            "values": [
                compact_values(data[feature.name], feature, coarse=people.coarse) for feature in people.features
            ],
            "contributions": np.round(people.contributions[kept].T * SCALE).astype(int).tolist(),
        },
    }


def _described(feature: Feature, known: JsonRecord) -> dict[str, Any]:
    return {
        "label": feature.label,
        "group": feature.group,
        "unit": unit_label(feature.unit),
        "levels": [level_label(level) for level in feature.levels],
        "reference": reference_value(feature, known)[0],
    }


def _told(people: PeopleShown, data: pd.DataFrame, kept: Integers) -> list[dict[str, Any]]:
    """Return what is known of each person beside the inputs, as the place of a level; None where it is not known.

    People are chosen by it, it can be shown as a column, and an opened person says what is `said`.
    """
    told: list[dict[str, Any]] = []
    if people.case is not None:
        outcome = people.case[kept].astype(int).tolist()
        told.append({"label": OUTCOME, "levels": ["absent", "present"], "of": outcome, "said": True})
    if AGE in data:
        age = data[AGE].to_numpy(dtype=np.float64)
        band = np.searchsorted([start for start, _ in AGE_BANDS], age, side="right") - 1
        of = [None if np.isnan(years) else int(place) for years, place in zip(age, band, strict=True)]
        told.append({"label": AGE_BAND, "levels": [label for _, label in AGE_BANDS], "of": of, "said": False})
    like = np.where(people.in_domain[kept], 0, 1).tolist()
    told.append({"label": DOMAIN, "levels": ["in distribution", "out of distribution"], "of": like, "said": True})
    if people.firmness is not None:
        share = people.firmness[kept]
        firm = np.select([share >= FIRM[0][0], share > FIRM[1][0]], [0, 1], default=2).tolist()
        told.append({"label": FIRMNESS, "levels": [words for _, words in FIRM], "of": firm, "said": True})
    if people.recall_share is not None and not np.isnan(people.recall_share).all():
        share = people.recall_share[kept]
        much = np.select([share >= OF_RECALL[0][0], share >= OF_RECALL[1][0]], [0, 1], default=2)
        of = [None if np.isnan(each) else int(place) for each, place in zip(share, much, strict=True)]
        told.append({"label": RECALL, "levels": [words for _, words in OF_RECALL], "of": of, "said": True})
    return told


def _short_risks(risk: Floats) -> list[float | None]:
    return [None if np.isnan(value) else float(f"{value:.4g}") for value in risk]

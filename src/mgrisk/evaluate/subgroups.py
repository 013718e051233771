"""The same models in each group of people: discrimination, calibration and who is flagged, as domains of one design.

A model that is right on the whole may be wrong about women, the poor or one ethnic group. Small groups give numbers
too, with a code that says whether NCHS would print them.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any, Final

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from mgrisk.evaluate.intervals import replicate_metrics
from mgrisk.facts import rows
from mgrisk.survey.design import SurveyDesign

Floats = NDArray[np.float64]
METRICS: Final = (
    "prevalence",
    "auroc",
    "observed_expected",
    "calibration_intercept",
    "calibration_slope",
    "sensitivity@0.05",
    "flagged@0.05",
)
MISSING: Final = "missing"
NAN: Final = float("nan")


@dataclass(frozen=True)
class Grouping:
    """A row of subgroups.toml: how people are put into groups.

    Attributes
    ----------
    name, feature, source
        Name in records; the feature that decides; why these groups.
    bounds
        Lower bounds of all groups but the first, for a number.
    levels
        Names of the groups, in order; those of the category where left out.
    """

    name: str
    feature: str
    source: str
    bounds: tuple[float, ...] = ()
    levels: tuple[str, ...] = ()

    def members(self, values: pd.Series) -> Iterator[tuple[str, NDArray[np.bool_]]]:
        """Yield the name of each group and who is in it, shape (n,); last those without a value, where there are any.

        Examples
        --------
        >>> bmi = Grouping("bmi", "bmi_kg_m2", "WHO", bounds=(25.0,), levels=("below 25", "25 and more"))
        >>> [(name, who.tolist()) for name, who in bmi.members(pd.Series([24.9, 25.0]))]
        [('below 25', [True, False]), ('25 and more', [False, True])]
        """
        known = values.notna().to_numpy(dtype=np.bool_)
        if self.bounds:
            place = np.searchsorted(self.bounds, values.to_numpy(dtype=np.float64), side="right")
            for number, name in enumerate(self.levels):
                yield name, known & (place == number)
        else:
            for name in values.astype("category").cat.categories:
                yield str(name), (values == name).fillna(False).to_numpy(dtype=np.bool_)
        if not known.all():
            yield MISSING, ~known


@cache
def groupings() -> tuple[Grouping, ...]:
    """Return the rows of subgroups.toml."""
    return tuple(
        Grouping(row["name"], row["feature"], row["source"], tuple(row.get("from", ())), tuple(row.get("levels", ())))
        for row in rows("mgrisk.evaluate", "subgroups.toml", "group")
    )


def subgroups(
    y: Floats,
    risks: Mapping[str, Floats],
    points: Mapping[str, Floats],
    design: SurveyDesign,
    frame: pd.DataFrame,
    *,
    outcome: str,
    set_name: str,
) -> list[dict[str, Any]]:
    """Evaluate models and published scores in each group.

    Parameters
    ----------
    y, risks, points, design, outcome, set_name
        As for `assess.assess`.
    frame
        Features of everybody in the set, row for row with the design.

    Returns
    -------
    list of dict
        Records of `METRICS` as those of `assess.assess`, with the grouping as `group` and the name of the group as
        `level`. A grouping whose feature the run does not have, and a group of nobody, are there with their problem:
        ``subgroup.absent`` and ``metric.empty``.
    """
    records: list[dict[str, Any]] = []
    models = {**risks, **points}
    for grouping in groupings():
        context = {"outcome": outcome, "set": set_name, "group": grouping.name}
        if grouping.feature not in frame:
            records += [_nobody(model, "subgroup.absent") | context | {"level": "all"} for model in models]
            continue
        for level, who in grouping.members(frame[grouping.feature]):
            domain = design.where(who)
            if domain.n == 0:
                found = [_nobody(model, "metric.empty") for model in models]
            else:
                found = replicate_metrics(y, models, domain, metrics=METRICS, ranking_only=frozenset(points)).records()
            records += [record | context | {"level": level} for record in found]
    return records


def _nobody(model: str, problem: str) -> dict[str, Any]:
    numbers = dict.fromkeys(("estimate", "low", "high", "se"), NAN)
    about = {"n": 0, "events": 0, "problem": problem, "presentation": "suppress:effective_size"}
    return {"model": model, "metric": "auroc", **numbers, **about}

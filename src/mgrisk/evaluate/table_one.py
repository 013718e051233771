"""Table 1: weighted characteristics of all people, of cases and of non-cases."""

from __future__ import annotations

from collections.abc import Sequence
from math import nan
from typing import Any, Final

import numpy as np
import pandas as pd

from mgrisk.features.registry import Feature
from mgrisk.survey import estimates
from mgrisk.survey.design import SurveyDesign
from mgrisk.types import Floats

# The estimate in a group without people, which has a row, too.
NOBODY: Final = estimates.Estimate(estimate=nan, se=nan, low=nan, high=nan, n=0, df=0)


def table_one(
    frame: pd.DataFrame,
    y: Floats,
    design: SurveyDesign,
    *,
    chosen: Sequence[Feature],
    set_name: str,
) -> list[dict[str, Any]]:
    """Describe features with design-based estimates.

    Parameters
    ----------
    frame
        Typed features of all people in the set, in the rows of the design.
    y
        Outcome, shape (n,); any value outside the domain.
    design
        Full design, with the analysis population as its domain.

    Returns
    -------
    list of dict
        Records {set, group, variable, label, unit, level, statistic, estimate, se, low, high, n, missing}: the mean of
        a number, or the share of each level of a category, among people with a known value; `missing` is the weighted
        share of the group without one.
    """
    groups = {"all": design, "case": design.where(y == 1), "other": design.where(y == 0)}
    records = []
    for group, domain in groups.items():
        for feature in chosen:
            values = frame[feature.name]
            known = values.notna().to_numpy()
            missing = estimates.proportion(~known, domain).estimate if domain.n else nan
            inside = domain.where(known)
            for level, indicator in _columns(feature, values):
                statistic = estimates.mean if level is None else estimates.proportion
                found = statistic(indicator, inside) if inside.n else NOBODY
                records.append(
                    {
                        "set": set_name,
                        "group": group,
                        "variable": feature.name,
                        "label": feature.label,
                        "unit": feature.unit,
                        "level": level,
                        "statistic": "mean" if level is None else "proportion",
                        **found.to_dict(),
                        "missing": missing,
                    }
                )
    return records


def _columns(feature: Feature, values: pd.Series) -> list[tuple[str | None, Floats]]:
    if feature.kind == "number":
        return [(None, values.to_numpy(dtype=np.float64))]
    return [(level, (values == level).to_numpy().astype(np.float64)) for level in feature.levels]

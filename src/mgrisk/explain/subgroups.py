"""Does a feature matter alike to everybody? Importance by sex, age and race/ethnicity, each with its interval."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from mgrisk.explain.attributions import Explanation
from mgrisk.survey import estimates
from mgrisk.survey.design import SurveyDesign

# NCHS, Data Presentation Standards for Proportions (2017): no estimate from fewer than 30 people.
SMALLEST: Final = 30
AGE: Final = "age_years"
BY: Final = ("sex", "race_ethnicity")
BANDS: Final = ((20.0, 40.0, "20 to 39"), (40.0, 60.0, "40 to 59"), (60.0, np.inf, "60 and older"))


def by_subgroup(explanation: Explanation, people: pd.DataFrame, design: SurveyDesign) -> list[dict[str, Any]]:
    """Return the importance of each feature within each subgroup.

    Parameters
    ----------
    explanation
        Attributions of everybody in the domain of the design, in order.
    people
        Completed features of the same people, also those that the model does not use.
    design
        Full design; a subgroup is a smaller domain of it.

    Returns
    -------
    list of dict
        {by, level, feature, n, importance, se, low, high, problem}: of a subgroup with fewer than 30 people the
        numbers are None and the problem is ``too_few``.
    """
    inside = np.flatnonzero(design.analysis_weight > 0)
    size = np.zeros((len(design), len(explanation.features)))
    size[inside] = np.abs(explanation.values)
    records = []
    for by, level, here in _subgroups(people):
        mask = np.zeros(len(design), dtype=np.bool_)
        mask[inside] = here
        domain = design.where(mask)
        for place, feature in enumerate(explanation.features):
            record = {"by": by, "level": level, "feature": feature.name, "n": domain.n}
            records.append(record | _importance(size[:, place], domain))
    return records


def _subgroups(people: pd.DataFrame) -> Sequence[tuple[str, str, NDArray[np.bool_]]]:
    found = [
        (name, str(level), (people[name] == level).to_numpy())
        for name in BY
        if name in people
        for level in people[name].cat.categories
    ]
    if AGE in people:
        age = people[AGE].to_numpy(dtype=np.float64)
        found += [(AGE, label, (age >= low) & (age < high)) for low, high, label in BANDS]
    return found


def _importance(size: NDArray[np.float64], domain: SurveyDesign) -> dict[str, Any]:
    if domain.n < SMALLEST:
        return {"importance": None, "se": None, "low": None, "high": None, "problem": "too_few"}
    found = estimates.mean(size, domain)
    return {"importance": found.estimate, "se": found.se, "low": found.low, "high": found.high, "problem": ""}

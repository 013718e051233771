"""The magnesium depletion score: points of each part, and none where a part is missing."""

from __future__ import annotations

import pandas as pd
import pytest

from mgrisk.features.compute import complete
from mgrisk.features.depletion import derive_magnesium_depletion_score
from mgrisk.features.registry import features, with_ancestors

LOWEST: dict[str, object] = {"diuretic_use": "no", "ppi_use": "no", "heavy_drinking": "no", "egfr": 90.0}


def score(**changed: object) -> float:
    return float(derive_magnesium_depletion_score(pd.DataFrame([LOWEST | changed])).iloc[0])


@pytest.mark.parametrize(
    ("changed", "points"),
    [
        ({}, 0),
        ({"diuretic_use": "yes"}, 1),
        ({"ppi_use": "yes"}, 1),
        ({"heavy_drinking": "yes"}, 1),
        ({"egfr": 89.99}, 1),
        ({"egfr": 60.0}, 1),
        ({"egfr": 59.99}, 2),
        ({"diuretic_use": "yes", "ppi_use": "yes", "heavy_drinking": "yes", "egfr": 20.0}, 5),
    ],
)
def test_points_are_those_of_fan_2021(changed: dict[str, object], points: int) -> None:
    assert score(**changed) == points


@pytest.mark.parametrize("name", LOWEST)
def test_a_missing_part_makes_the_score_missing(name: str) -> None:
    assert pd.isna(score(**{name: None if name != "egfr" else float("nan")}))


def test_scoring_derives_it_from_what_is_given() -> None:
    given = pd.DataFrame(
        {
            "age_years": [60.0], "sex": ["female"], "creatinine_mg_dl": [1.4], "drinks_per_day": [1.5],
            "diuretic_use": ["yes"], "ppi_use": ["no"],
        }
    )  # fmt: skip
    found = complete(given, with_ancestors(features(["magnesium_depletion_score"])))
    assert found[["egfr", "heavy_drinking", "magnesium_depletion_score"]].astype(str).iloc[0, 1] == "yes"
    assert found["magnesium_depletion_score"].tolist() == [4.0]

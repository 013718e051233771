"""Where a feature comes from, in words: traced to NHANES variables, with range, sample, cycles and breaks."""

from __future__ import annotations

import pytest

from mgrisk.features.lineage import SAMPLES, lineage
from mgrisk.features.registry import FEATURES, Feature
from mgrisk.nhanes.codebook import VARIABLES
from mgrisk.survey.design import WeightLevel


@pytest.mark.parametrize("feature", FEATURES.values(), ids=lambda feature: feature.name)
def test_every_feature_is_traced_to_variables_and_leaves_no_field_empty(feature: Feature) -> None:
    found = lineage(feature)
    assert set(found.sources) >= set(feature.sources)
    assert found.sources
    assert set(found.sources) <= VARIABLES.keys()
    for name, told in found.to_dict().items():
        assert told or name in {"unit", "made_of", "breaks"}, name


def test_a_score_shows_its_parts_and_the_variables_behind_them() -> None:
    found = lineage(FEATURES["magnesium_depletion_score"])
    assert found.made_of == ("diuretic_use", "ppi_use", "egfr", "heavy_drinking")
    assert {"RXDDRGID", "LBXSCR", "ALQ130_FROM_2005", "RIDAGEYR", "RIAGENDR"} <= set(found.sources)
    assert len(set(found.sources)) == len(found.sources)
    assert found.sample == "blood sample"
    assert found.breaks == ("2017-2018",)


def test_a_cycle_between_the_first_and_the_last_that_lacks_a_feature_is_named() -> None:
    assert lineage(FEATURES["tyg"]).cycles == "1999-2000 to 2017-2020, not 2003-2004"
    assert lineage(FEATURES["magnesium_from_nuts_mg"]).cycles == "2007-2008 to 2021-2023, not 2017-2020"
    assert lineage(FEATURES["waist_cm"]).cycles == "1999-2000 to 2021-2023"


def test_values_are_a_range_with_its_unit_and_top_code_or_the_levels() -> None:
    assert lineage(FEATURES["age_years"]).allowed == "20 to 120 years, 80 and more as 80"
    assert lineage(FEATURES["waist_to_height"]).allowed == "0.2 to 2"
    assert lineage(FEATURES["smoking"]).allowed == "never, former, current"


def test_every_subsample_has_a_name() -> None:
    assert set(SAMPLES) == set(WeightLevel)

from __future__ import annotations

import pytest
from pydantic import ValidationError

from mgrisk.evidence.literature import STUDIES, Study


def test_the_cohorts_of_the_forest_are_the_published_ones() -> None:
    per_100 = {name: (s.estimate, s.low, s.high) for name, s in STUDIES.items() if s.per_100}
    assert per_100 == {
        "larsson-2007": (0.85, 0.79, 0.92),
        "dong-2011": (0.86, 0.82, 0.89),
        "fang-2016": (0.81, 0.77, 0.86),
    }


def test_no_trial_counted_diabetes_on_magnesium() -> None:
    trials = [s for s in STUDIES.values() if s.kind == "trials" and s.exposure == "magnesium supplements"]
    assert trials
    assert not any(study.ratio for study in trials)


def test_an_estimate_outside_its_interval_is_refused() -> None:
    with pytest.raises(ValidationError, match="within its interval"):
        Study.model_validate({**STUDIES["dong-2011"].model_dump(), "low": 0.9})


def test_every_study_says_who_was_studied_how_it_differs_and_where_it_stands() -> None:
    for study in STUDIES.values():
        assert study.population
        assert study.differs
        assert any(character.isdigit() for character in study.citation)

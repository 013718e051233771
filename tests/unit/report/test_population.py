"""A report describes its population: NHANES and user data are never confused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from mgrisk.report.population import Population, population
from mgrisk.run_folder.folder import RunFolder

OWN: dict[str, Any] = {
    "data": "Elsewhere 2015-2017",
    "file": "cohort.csv",
    "sampling": "no weights; simple random sampling",
    "outcome_column": "dm",
    "other_periods": 1200,
    "problems": {"out_of_range:age_years": 3},
    "mapping": {
        "file": "m.toml",
        "left_as_they_are": {"smoking": 7},
        "not_carried": ["NOTE"],
        "excluded": {"STATUS": 31},
        "rows": 4567,
    },
}


@pytest.fixture
def people_of_a_file(run_folder: Path, edit: Any) -> Population:
    edit("cohort.json", lambda content: content.update(own=OWN, data=OWN["data"]))
    return population(RunFolder(run_folder))


def said(people: Population) -> str:
    sentences = [
        people.predicted, people.horizon, people.who, people.made_on, people.weighting, people.weights,
        people.confidentiality, people.case_counts, people.design_differences, people.person_label,
        *people.scores_of_later, *people.file_sentences,
    ]  # fmt: skip
    return "\n".join(sentences)


def test_of_nhanes_it_says_now_united_states_and_the_weight_of_the_subsample(nhanes_run: Path) -> None:
    people = population(RunFolder(nhanes_run))
    assert people.file_sentences == ()
    text = said(people)
    for words in (
        ", now", "not a forecast", "United States", "Weighted to the population", "subsample", "SEQN", "public-use",
        "future diabetes",
    ):  # fmt: skip
        assert words in text


def test_of_made_up_people_it_does_not_say_that_they_are_real(run_folder: Path) -> None:
    assert "public-use" not in said(population(RunFolder(run_folder)))


def test_of_a_file_it_says_what_the_file_says_and_what_nobody_can_tell(people_of_a_file: Population) -> None:
    text = said(people_of_a_file)
    for words in (
        "Elsewhere 2015-2017, 20 and older", "no weights; simple random sampling", "cohort.csv", "column dm",
        "other periods: 1,200", "smoking 7", "not used: NOTE", "STATUS 31", "4,567 rows",
        "out_of_range:age_years 3", "confidential",
        "cannot be checked automatically",
    ):  # fmt: skip
        assert words in text
    for words in (", now", "United States", "population", "SEQN", "public-use", "subsample", "future diabetes"):
        assert words not in text


def test_a_file_without_a_mapping_has_none_to_tell_of(people_of_a_file: Population, edit: Any) -> None:
    edit("cohort.json", lambda content: content["own"].update(mapping=None, problems={}))
    assert len(population(RunFolder(people_of_a_file.run.folder)).file_sentences) == 2

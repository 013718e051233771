"""A report says whose numbers it shows: nothing of NHANES is said of a file of one's own, nor the other way round."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from mgrisk.run_folder.reader import RunFiles

from mgrisk.report import population

OWN: dict[str, Any] = {
    "data": "Elsewhere 2015-2017",
    "file": "cohort.csv",
    "sampling": "no weights; each person drawn alone",
    "outcome_column": "dm",
    "other_periods": 1200,
    "problems": {"out_of_range:age_years": 3},
    "mapping": {"file": "m.toml", "left_as_they_are": {"smoking": 7}, "not_carried": ["NOTE"]},
}


@pytest.fixture
def own_files(run_folder: Path, edit: Any) -> RunFiles:
    edit("cohort.json", lambda content: content.update(own=OWN, data=OWN["data"]))
    return RunFiles(run_folder)


def said(files: RunFiles) -> str:
    sentences = [
        population.predicted(files), population.horizon(files), population.population(files), population.made_on(files),
        population.weighting(files), population.weights(files), population.confidentiality(files),
        population.case_counts(files),
        population.design_differences(files), population.person_label(files), *population.file_sentences(files),
    ]  # fmt: skip
    return "\n".join(sentences)


def test_of_nhanes_it_says_now_united_states_and_the_weight_of_the_subsample(run_folder: Path) -> None:
    files = RunFiles(run_folder)
    assert population.file_sentences(files) == []
    text = said(files)
    for words in (", now", "no forecast", "United States", "Weighted to the population", "subsample", "SEQN"):
        assert words in text


def test_of_a_file_it_says_what_the_file_says_and_what_nobody_can_tell(own_files: RunFiles) -> None:
    text = said(own_files)
    for words in (
        "Elsewhere 2015-2017, 20 and older", "no weights; each person drawn alone", "cohort.csv", "column dm",
        "left out: 1,200", "smoking 7", "not used: NOTE", "out_of_range:age_years 3", "confidential",
        "no program can tell",
    ):  # fmt: skip
        assert words in text
    for words in (", now", "United States", "population", "SEQN", "public-use", "subsample"):
        assert words not in text


def test_a_file_without_a_mapping_has_none_to_tell_of(own_files: RunFiles, edit: Any) -> None:
    edit("cohort.json", lambda content: content["own"].update(mapping=None, problems={}))
    assert len(population.file_sentences(RunFiles(own_files.folder))) == 2

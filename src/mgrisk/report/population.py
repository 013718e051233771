"""Whose numbers a report shows, in words: people of NHANES, weighted to the population, or a file of one's own."""

from __future__ import annotations

from typing import Any

from mgrisk.nhanes.codebook import KEY
from mgrisk.report.formats import count
from mgrisk.run_folder.reader import RunFiles


def own_cohort(files: RunFiles) -> dict[str, Any]:
    """Return what cohort.json says of a cohort of one's own; nothing where the people are those of NHANES."""
    told: dict[str, Any] = files.cohort.get("own", {})
    return told


def predicted(files: RunFiles) -> str:
    """Return the outcome as the first screen names it."""
    label = str(files.about["outcome"]["label"])
    return label if own_cohort(files) else f"{label}, now"


def horizon(files: RunFiles) -> str:
    """Say whether the risk is one of now."""
    if own_cohort(files):
        return "The risk is that of the outcome as the file tells it, for a person like those of the development set."
    return (
        "The risk is that of having the outcome now, for a person like those of the development set; it is no forecast."
    )


def population(files: RunFiles) -> str:
    """Return who the people are."""
    own, age = own_cohort(files), files.about["minimum_age"]
    return f"{own['data']}, {age} and older" if own else f"Adults of the United States, {age} and older"


def made_on(files: RunFiles) -> str:
    """Return the people whom the run must not leave, for the middle of a sentence."""
    own = own_cohort(files)
    return str(own["data"]) if own else "adults of the United States, not pregnant"


def weighting(files: RunFiles) -> str:
    """Say what means and shares stand for."""
    own = own_cohort(files)
    if not own:
        return "Weighted to the population."
    return f"In the file: {own['sampling']}."


def weights(files: RunFiles) -> str:
    """Say which weight was used, and why."""
    own, cohort = own_cohort(files), files.cohort
    if own:
        return f"Sampling, as the file tells it: {own['sampling']}."
    return (
        f"People are weighted by {cohort['weight']}, the weight of the {cohort['weight_level']} subsample, because "
        f"{cohort['forced_by']} was measured in that subsample only; divided by the number of cycles put together."
    )


def case_counts(files: RunFiles) -> str:
    """Say who is counted as a case on the way to the analysis."""
    counted = "Counts of people, not weighted. Cases are people with a known outcome"
    if own_cohort(files):
        return f"{counted}."
    return f"{counted}; before the rule that takes out known diabetes, they include people who have been told of it."


def design_differences(files: RunFiles) -> str:
    """Say in what the published cohorts differ from the run's people."""
    cohorts = (
        "the cohorts counted new diabetes in people free of it, with intake asked before by questionnaire and not "
        "corrected for its error"
    )
    if own_cohort(files):
        return f"{cohorts}."
    return f"{cohorts}; NHANES counts diabetes that nobody had found, on the day that diet was asked."


def file_sentences(files: RunFiles) -> list[str]:
    """Say what became of a file of one's own on its way into the run; nothing of NHANES."""
    own = own_cohort(files)
    if not own:
        return []
    mapping = own["mapping"]
    found = [
        f"The people are the rows of {own['file']}, and a cycle is a period of it; rows of other periods, left out: "
        f"{count(own['other_periods'])}. Who they are, and that the column {own['outcome_column']} is the outcome, is "
        "the word of whoever made the file.",
        "Definitions of features are those of the registry, written for NHANES; whether the file's columns mean the "
        "same, no program can tell.",
    ]
    if mapping:
        strange = ", ".join(f"{name} {count(cells)}" for name, cells in mapping["left_as_they_are"].items())
        found.append(
            f"Columns, units and codes by {mapping['file']}; cells that it does not know: {strange or 'none'}; columns "
            f"not used: {', '.join(mapping['not_carried']) or 'none'}."
        )
    if own["problems"]:
        codes = ", ".join(f"{code} {count(rows)}" for code, rows in sorted(own["problems"].items()))
        found.append(f"The contract of the scoring file found, by code and rows: {codes}.")
    return found


def person_label(files: RunFiles) -> str:
    """Return what the number of a person is."""
    return "Row" if own_cohort(files) else KEY


def confidentiality(files: RunFiles) -> str:
    """Say whose answers the page shows and what follows from that."""
    rounded = "Values are rounded (age to five years)"
    if files.data_label == "NHANES":
        return (
            "Real answers, from public-use files that name nobody; whoever uses them has agreed to learn nobody's "
            f"identity. {rounded}, groups are those of the unrounded age. Figures of a group of fewer than 30 people "
            "are not shown."
        )
    plain = f"{rounded}; groups are those of the unrounded age."
    if own_cohort(files):
        return f"{plain} A person is the number of a row of the file: this page is as confidential as the file is."
    return plain

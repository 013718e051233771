"""Whose numbers a report shows, in words: people of NHANES, weighted to the population, or a file of one's own."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Final

from mgrisk.evaluate.records import OwnRecord
from mgrisk.nhanes.codebook import KEY
from mgrisk.report.formats import count
from mgrisk.run_folder.folder import RunFolder

ROUNDED: Final = "Values are rounded (age to five years)"
COUNTED: Final = "Counts of people, not weighted. Cases are people with a known outcome"
COHORTS: Final = (
    "the cohorts counted new diabetes in people free of it at the start, with intake from an earlier questionnaire "
    "and not corrected for measurement error"
)


@dataclass(frozen=True)
class NhanesPeople:
    """Words for people of NHANES, or made up in its likeness."""

    run: RunFolder

    horizon = (
        "The risk is the probability of having the outcome now, for a person like those of the development set. It "
        "is not a forecast."
    )
    made_on = "adults of the United States, not pregnant"
    evaluated_on = "a later cycle"
    weighting = "Weighted to the population."
    case_counts = (
        f"{COUNTED}; before the rule that excludes diagnosed diabetes, they include people with that diagnosis."
    )
    design_differences = f"{COHORTS}; NHANES counts undiagnosed diabetes at about the time at which diet was asked."
    scores_of_later: ClassVar[tuple[str, ...]] = (
        "Some scores were developed to predict future diabetes; here they are evaluated on present diabetes.",
    )
    file_sentences: ClassVar[tuple[str, ...]] = ()
    person_label = KEY

    @property
    def predicted(self) -> str:
        """The outcome as the first screen names it."""
        return f"{self.run.about['outcome']['label']}, now"

    @property
    def who(self) -> str:
        """Who the people are."""
        return f"Adults of the United States, {self.run.about['minimum_age']} and older"

    @property
    def weights(self) -> str:
        """Which weight was used, and why."""
        cohort = self.run.cohort
        return (
            f"The survey weight is {cohort.weight}, that of the {cohort.weight_level} subsample, because "
            f"{cohort.forced_by} was measured in that subsample only; it is divided by the number of cycles "
            "combined."
        )

    @property
    def confidentiality(self) -> str:
        """Whose answers the page shows and what follows from that."""
        if self.run.data_label != "NHANES":
            return f"{ROUNDED}; groups are those of the unrounded age."
        return (
            "These are real answers from public-use files without names; users of the files have agreed not to "
            f"identify anybody. {ROUNDED}; age groups are those of the unrounded age. No mean is shown for fewer "
            "than 30 people."
        )


@dataclass(frozen=True)
class FilePeople:
    """The same words for the people of a file of one's own."""

    run: RunFolder
    own: OwnRecord

    horizon = (
        "The risk is the probability of the outcome as the file records it, for a person like those of the "
        "development set."
    )
    case_counts = f"{COUNTED}."
    design_differences = f"{COHORTS}."
    scores_of_later: ClassVar[tuple[str, ...]] = ()
    person_label = "Row"

    @property
    def predicted(self) -> str:
        """The outcome as the first screen names it."""
        return str(self.run.about["outcome"]["label"])

    @property
    def who(self) -> str:
        """Who the people are."""
        return f"{self.own.data}, {self.run.about['minimum_age']} and older"

    @property
    def made_on(self) -> str:
        """The people whom the run must not leave, for the middle of a sentence."""
        return self.own.data

    @property
    def evaluated_on(self) -> str:
        """Who was held out."""
        return self.own.split or "a later cycle"

    @property
    def weighting(self) -> str:
        """What means and shares stand for."""
        return f"In the file: {self.own.sampling}."

    @property
    def weights(self) -> str:
        """How the people were sampled."""
        return f"Sampling, as stated for the file: {self.own.sampling}."

    @property
    def _cycles(self) -> str:
        if self.own.split:
            return f"and the held-out cycle is {self.own.split}: they are of the same time and place as development"
        return f"and a cycle is a period of it; excluded rows of other periods: {count(self.own.other_periods)}"

    @property
    def file_sentences(self) -> tuple[str, ...]:
        """What became of the file on its way into the run."""
        own, mapping = self.own, self.own.mapping
        found = [
            f"The people are the rows of {own.file}, {self._cycles}. Who they are, and that the column "
            f"{own.outcome_column} is the outcome, rests on the maker of the file.",
            "Definitions of features are those of the registry, written for NHANES; whether the columns of the "
            "file mean the same cannot be checked automatically.",
        ]
        if mapping:
            strange = ", ".join(f"{name} {count(cells)}" for name, cells in mapping.left_as_they_are.items())
            found.append(
                f"Columns, units and codes follow {mapping.file}; cells that it does not cover: {strange or 'none'}; "
                f"columns not used: {', '.join(mapping.not_carried) or 'none'}."
            )
            if mapping.excluded:
                left_out = ", ".join(f"{column} {count(rows)}" for column, rows in mapping.excluded.items())
                found.append(f"Rows that the mapping excludes, by column: {left_out}.")
            if mapping.rows is not None:
                found.append(
                    f"{count(mapping.rows)} rows, several for a person, were combined into one for each person."
                )
        if own.problems:
            codes = ", ".join(f"{code} {count(rows)}" for code, rows in sorted(own.problems.items()))
            found.append(f"Problems that the input schema found, by code and number of rows: {codes}.")
        return tuple(found)

    @property
    def confidentiality(self) -> str:
        """Whose answers the page shows and what follows from that."""
        return (
            f"{ROUNDED}; age groups are those of the unrounded age. A person is identified by the row number in the "
            "file: this page is as confidential as the file."
        )


Population = NhanesPeople | FilePeople


def population(run: RunFolder) -> Population:
    """Return the words for the people of a run."""
    own = run.cohort.own
    return NhanesPeople(run) if own is None else FilePeople(run, own)

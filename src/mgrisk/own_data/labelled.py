"""Read people with a known outcome, and optionally a survey design, from a file; every excluded row is counted.

A cohort without a design is treated as a simple random sample, with up to 100 random groups of people as sampling
units: the delete-a-group jackknife (Kott 2001, J. Off. Stat. 17:521) gives the same variance as leaving out thousands
of people one at a time, in much less time. More than a thousand sampling units are grouped in the same way. If people
have several rows, by the named person column or by `person_id`, and no sampling unit is named, the person is the
sampling unit, since visits of one person are not independent. An unnamed column that looks like a person identifier
and has repeated values is refused.
"""

from __future__ import annotations

import itertools
import math
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import pandas as pd

from mgrisk.errors import bad_input, few
from mgrisk.features.registry import Feature
from mgrisk.score.cells import MISSING, Missing
from mgrisk.score.column_names import given_columns, unused_columns
from mgrisk.score.contradictions import mark_contradictions
from mgrisk.score.eligibility import Exclusion, mark_excluded, unidentified_exclusions, with_exclusions
from mgrisk.score.input_schema import SEPARATOR, WRONG_FIELDS, Checked, Codes, check_columns, refuse_absent
from mgrisk.score.not_accepted import NotAccepted
from mgrisk.score.scorer import PERSON
from mgrisk.score.sources import Rows, open_source
from mgrisk.survey.design import SurveyDesign, WeightLevel
from mgrisk.types import Booleans, Floats, Integers

GROUPS: Final = 100
MOST_UNITS: Final = 1000
SEED: Final = 1
LARGEST_WEIGHT: Final = 1e12
SMALLEST_WEIGHT: Final = 1e-12
YES: Final = frozenset({"1", "1.0", "yes", "true"})
NO: Final = frozenset({"0", "0.0", "no", "false"})
CODE: Final = re.compile(r"(-?[0-9]{1,2})(\.0+)?")
"""Values of an outcome column that may be quoted in an error: questionnaire codes, but no text about a person."""
OUTCOME: Final = ("input.bad_outcome", "a case", "mean a case")
PREDIABETES: Final = ("input.bad_prediabetes", "a person with prediabetes", "mean prediabetes")
"""For a column of yes and no: the error code, the meaning of yes, and how codes that mean yes are described."""
IDS: Final = frozenset(
    {"id", "memberid", "mrn", "nhsnumber", "participant", "participantid", "patient", "patientid", "personid", "pid"}
    | {"seqn", "subject", "subjectid"}
)
"""Column names that are taken for a person identifier, in lower case without punctuation."""


@dataclass(frozen=True)
class LabelColumns:
    """Names of the columns that are not features.

    Attributes
    ----------
    outcome
        1, yes or true for a case; 0, no or false for others.
    weight, strata, psu
        Sampling weight, variance stratum and primary sampling unit; None if there are none.
    prediabetes
        1, yes or true for people with prediabetes, 0, no or false for others; None if there is none.
    person
        Person identifier, if people may have several rows; None for `person_id`, if the file has it.
    """

    outcome: str
    weight: str | None = None
    strata: str | None = None
    psu: str | None = None
    prediabetes: str | None = None
    person: str | None = None

    @property
    def names(self) -> tuple[str, ...]:
        """The named columns, outcome first."""
        named = (self.outcome, self.weight, self.strata, self.psu, self.prediabetes, self.person)
        return tuple(name for name in named if name)


@dataclass(frozen=True)
class Rule:
    """A rule that excludes rows from the analysis.

    Attributes
    ----------
    keeps, excludes
        Description of the rows that remain and of those excluded.
    out
        Rows that it excludes, shape (n,); a row may be excluded by several rules.
    """

    keeps: str
    excludes: str
    out: Booleans


@dataclass(frozen=True)
class LabelledPeople:
    """All people of a file, with outcome and design.

    Attributes
    ----------
    values
        Typed features, one row per row of the file.
    y
        Outcome, shape (n,); 0 outside the domain.
    design
        Survey design of all rows; its domain is the people analysed.
    attrition
        {step, excluded, n, cases} from the rows of the file to the people analysed.
    problems
        How often each problem code occurs.
    not_accepted
        Counts of values that the input schema did not accept.
    sampling
        One sentence about the design.
    outcome
        Outcome in the file, shape (n,); NaN where it is missing.
    rules
        Exclusion rules, in order.
    carried
        Other requested columns, unchanged.
    not_told
        A line that names exclusions for which the file has no column, or none.
    unused
        Columns that were not used, each with the input that was perhaps meant, or "".
    persons
        Number of people analysed; None if nobody has several rows, or there is no person column.
    prediabetes
        Rows not known to be without prediabetes, shape (n,); None without such a column.
    """

    values: pd.DataFrame
    y: Floats
    design: SurveyDesign
    attrition: list[dict[str, Any]]
    problems: dict[str, int]
    not_accepted: NotAccepted
    sampling: str
    outcome: Floats
    rules: tuple[Rule, ...]
    carried: pd.DataFrame
    unused: Mapping[str, str]
    not_told: Sequence[str]
    persons: int | None
    prediabetes: Booleans | None = None

    @property
    def inside(self) -> Integers:
        """Indices of the people analysed."""
        return np.flatnonzero(self.design.analysis_weight > 0)

    @property
    def cases(self) -> int:
        """Number of cases analysed."""
        return int(self.y[self.inside].sum())

    @property
    def lines(self) -> list[str]:
        """Lines on the people analysed and excluded."""
        rows, n = len(self.y), len(self.inside)
        who = f"{n:,} people" if self.persons is None else f"{n:,} rows of {self.persons:,} people"
        lines = [f"{who}, {self.cases:,} cases; {self.sampling}"]
        if n < rows:
            why = [f"{step['excluded']:,}: {step['step']}" for step in self.attrition if step["excluded"]]
            lines.append(f"excluded: {rows - n:,} of {rows:,} rows ({'; '.join(why)})")
            lines += self.not_accepted.lines()
        return [*lines, *self.not_told]


def read_labelled(
    source: str,
    inputs: tuple[Feature, ...],
    columns: LabelColumns,
    *,
    excluded: Sequence[Exclusion] = (),
    carry: Sequence[str] = (),
    missing: Missing = MISSING,
) -> LabelledPeople:
    """Read and check a file of people with their outcome.

    Parameters
    ----------
    source
        A file, or a folder of files, as for `score.sources.open_source`.
    inputs
        Features of the input schema.
    columns
        Columns of outcome and design.
    excluded
        People to whom the model does not apply; they are excluded if the file has columns that identify them.
    carry
        Other columns to return, as texts.
    missing
        Words and codes that mean missing, also in the columns of outcome and design.

    Raises
    ------
    MgRiskError
        ``input.*`` for a file or column that cannot be understood, ``input.bad_weight``, ``input.bad_design``,
        ``input.repeated_people`` for an unnamed column that looks like a person identifier and has repeated values, and
        ``input.one_class`` if there are no cases or no non-cases.
    """
    inputs = with_exclusions(inputs, excluded)
    with open_source(source, missing=missing, folder=True) as table:
        check_columns(table.columns, inputs, where=source)
        person_column = columns.person or (PERSON if PERSON in table.columns else None)
        known = {PERSON, *columns.names, *carry}
        unused = unused_columns([name for name in table.columns if name not in known], inputs)
        ids = [name for name in unused if re.sub(r"[\W_]+", "", name.lower()) in IDS]
        labels = list(dict.fromkeys((*columns.names, *([person_column] if person_column else []), *ids)))
        names = list(dict.fromkeys((*labels, *carry)))
        refuse_absent(names, table.columns, source)
        read = (table.read(block, inputs) for block in itertools.chain(table.blocks(), [table.nothing]))
        parts = [_part(rows, table.columns, names, excluded) for rows in read]
    cells = pd.concat([part for part, _, _ in parts], ignore_index=True)
    checked = Checked.joined([part for _, part, _ in parts])
    shifted = np.zeros(len(cells), dtype=np.bool_)
    shifted[list(checked.wrong_fields)] = True
    # Words for missing are blanked in the columns of outcome, design and person.
    people = cells[labels].map(lambda cell: "" if missing.holds(cell) else cell)
    y = _yes_or_no(people[columns.outcome], shifted, OUTCOME)
    weight, no_number = _weight(people, columns.weight, shifted)
    # The cells of a row of another length are not used, so they are not counted as problems.
    codes = Codes(inputs).join(checked.state, {}).texts()
    problems = Counter(code for each in codes for code in str(each).split(SEPARATOR) if code)
    if checked.wrong_fields:
        problems[WRONG_FIELDS] = len(checked.wrong_fields)
    exclusion_columns = {each.feature.name for each in excluded} & given_columns(table.columns, inputs).keys()
    rules = (
        Rule("with a cell for each column", "too many or too few fields", shifted),
        Rule(f"{columns.outcome} known", f"{columns.outcome} is not given", np.isnan(y)),
        Rule("accepted by the input schema", "rejected by the input schema", checked.rejected),
        *([Rule("eligible for the model", "not eligible", checked.not_eligible)] if exclusion_columns else []),
        *(
            [Rule(f"{columns.weight} above 0", f"{columns.weight} is not given or 0", ~(weight > 0))]
            if columns.weight
            else []
        ),
    )
    left = np.ones(len(people), dtype=np.bool_)
    attrition = [_step("rows of the file", 0, left, y)]
    for rule in rules:
        gone = int((left & rule.out).sum())
        left = left & ~rule.out
        attrition.append(_step(rule.excludes, gone, left, y))
    person = _persons(people, person_column)
    if person is None and not (columns.person or columns.psu):
        _refuse_repeated(people[ids], source)
    stratum, psu, sampling = _places(people, columns, shifted, person, of=person_column)
    if no_number:
        sampling = f"{columns.weight} is not a number in {no_number:,} rows, which are excluded; {sampling}"
    design = SurveyDesign(
        weight=np.where(left, np.nan_to_num(weight), 0.0),
        stratum=stratum,
        psu=psu,
        # The whole sample of the file. The levels are those of NHANES; the widest one is for all participants.
        level=WeightLevel.INTERVIEW,
        domain=left,
    )
    found = LabelledPeople(
        values=checked.values,
        y=np.where(left, y, 0.0),
        design=design,
        attrition=attrition,
        problems=dict(problems),
        sampling=sampling,
        outcome=y,
        rules=rules,
        carried=cells[list(carry)],
        not_told=unidentified_exclusions(excluded, exclusion_columns),
        not_accepted=sum((part for _, _, part in parts), NotAccepted()),
        unused=unused,
        persons=None if person is None else len(np.unique(person[left])),
        prediabetes=None
        if columns.prediabetes is None
        else np.asarray(_yes_or_no(people[columns.prediabetes], shifted, PREDIABETES) != 0.0, dtype=np.bool_),
    )
    if not 0 < found.cases < len(found.inside):
        raise bad_input(
            "input.one_class",
            f"{len(found.inside)} people can be analysed, {found.cases} of them cases",
            where=f"{source}: {columns.outcome}",
            expected="both cases and non-cases",
            hint="; ".join(f"{step['excluded']} rows: {step['step']}" for step in attrition[1:] if step["excluded"])
            or ("name the column of the outcome" if len(people) else "the file has no rows"),
        )
    return found


def _part(
    rows: Rows, columns: Sequence[str], names: Sequence[str], excluded: Sequence[Exclusion]
) -> tuple[pd.DataFrame, Checked, NotAccepted]:
    checked = mark_excluded(mark_contradictions(rows.checked), excluded)
    return rows.texts(names), checked, NotAccepted.of(rows, columns, checked.rejected)


def _refuse_repeated(ids: pd.DataFrame, source: str) -> None:
    """Refuse an unnamed column that suggests several rows per person, since they would count as independent."""
    for name in ids:
        known = ids[name].str.strip()
        known = known[known != ""]
        if known.duplicated().any():
            raise bad_input(
                "input.repeated_people",
                f"{name} looks like a person identifier, and repeats: {known.nunique()} values in {len(known):,} rows",
                where=f"{source}: column {name}",
                hint=f"name it (--person {name}; psu in [own]), so that people are the sampling units; "
                "or rename it if it is something else",
            )


def _yes_or_no(column: pd.Series, shifted: Booleans, words: tuple[str, str, str]) -> Floats:
    """Return 1 for yes, 0 for no and NaN for missing, shape (n,); anything else is refused with these `words`."""
    code, yes, says = words
    cells = column.str.strip().str.lower()
    y = np.select([cells.isin(YES), cells.isin(NO)], [1.0, 0.0], np.nan)
    neither = ~shifted & ~cells.isin(YES | NO | {""}).to_numpy()
    if neither.any():
        codes = sorted({int(found[1]) for cell in cells[neither] if (found := CODE.fullmatch(cell))})
        what = f"{few([*map(str, codes)])}, which is neither yes nor no" if codes else "values other than yes and no"
        raise bad_input(
            code,
            f"{column.name} has {what}, in {neither.sum():,} rows",
            where=f"column {column.name}, row {int(np.argmax(neither)) + 1}",
            expected=f"1, yes or true for {yes}; 0, no or false for others; or empty",
            hint=f"write codes that {says} as 1, other codes as 0, and leave unknown ones empty",
        )
    return y


def _persons(people: pd.DataFrame, column: str | None) -> Integers | None:
    """Return the index of the person of each row, shape (n,); None if nobody has several rows."""
    if column is None:
        return None
    names = people[column].str.strip()
    # A row without an identifier gets its row number, which differs from every text.
    person, found = pd.factorize(names.where(names != "", pd.Series(people.index, index=people.index, dtype=object)))
    return None if len(found) == len(people) else person.astype(np.int64)


def _weight(people: pd.DataFrame, name: str | None, shifted: Booleans) -> tuple[Floats, int]:
    """Return the weight of each row, shape (n,), NaN where missing; and the number of rows with a text instead."""
    if name is None:
        return np.ones(len(people)), 0
    weight = pd.to_numeric(people[name], errors="coerce").to_numpy(dtype=np.float64, na_value=np.nan)
    # Sums, and products of two sums, must neither overflow nor underflow.
    wrong = ~shifted & ((weight < 0) | (weight > LARGEST_WEIGHT) | ((weight > 0) & (weight < SMALLEST_WEIGHT)))
    if wrong.any():
        raise bad_input(
            "input.bad_weight",
            f"a weight is negative, infinite or of an impossible size, in {int(wrong.sum())} rows",
            where=f"column {name}, row {int(np.argmax(wrong)) + 1}",
            expected=f"0, or {SMALLEST_WEIGHT:g} to {LARGEST_WEIGHT:g}",
            hint="scale the weights, for example to a mean of 1; people outside the sample have 0 or an empty cell",
        )
    return weight, int((np.isnan(weight) & ~shifted & (people[name].str.strip() != "").to_numpy()).sum())


def _places(
    people: pd.DataFrame, columns: LabelColumns, shifted: Booleans, person: Integers | None, *, of: str | None
) -> tuple[Integers, Integers, str]:
    """Return stratum and PSU of each row, shape (n,) each, and a sentence that describes them."""
    stratum = np.zeros(len(people), dtype=np.int64)
    if columns.strata:
        stratum = _numbers(people[columns.strata], shifted)
    weighted = f"weights of {columns.weight}" if columns.weight else "no weights"
    groups = max(GROUPS // len(np.unique(stratum)), 2) if len(people) else GROUPS
    if columns.psu or person is not None:
        within = f" within the strata of {columns.strata}" if columns.strata else ""
        said = f"{weighted}; sampling units are the values of {columns.psu or of}{within}"
        units = pd.DataFrame(
            {"stratum": stratum, "psu": _numbers(people[columns.psu], shifted) if columns.psu else person}
        )
        unit = units.groupby(["stratum", "psu"]).ngroup().to_numpy()
        if columns.psu and person is not None:
            several = int((pd.Series(unit).groupby(person).nunique() > 1).sum())
            said += f"; {several:,} people have rows in several units, which count as independent" if several else ""
        found = units.drop_duplicates().sort_values(["stratum", "psu"])
        if len(found) <= MOST_UNITS:
            return stratum, units["psu"].to_numpy(), said
        group = _random_groups(found["stratum"].to_numpy(), groups)
        return stratum, group[unit], f"{said}, {len(found):,} of them in {groups} random groups in each stratum"
    within, each = (f" within the strata of {columns.strata}", " in each") if columns.strata else ("", "")
    said = f"{weighted}; simple random sampling{within}, intervals from {groups} random groups of people{each}"
    return stratum, _random_groups(stratum, groups), said


def _random_groups(stratum: Integers, groups: int) -> Integers:
    """Assign units to random groups of equal size within their strata, shape (n_units,)."""
    order = np.random.default_rng(SEED).permutation(len(stratum))
    group = np.empty(len(stratum), dtype=np.int64)
    group[order] = pd.Series(order).groupby(stratum[order]).cumcount().to_numpy() % groups
    return group


def _numbers(column: pd.Series, shifted: Booleans) -> Integers:
    text = column.str.strip()
    unknown = (text == "").to_numpy() & ~shifted
    if unknown.any():
        raise bad_input(
            "input.bad_design",
            f"{int(unknown.sum())} rows have no {column.name}",
            where=f"column {column.name}, row {int(np.argmax(unknown)) + 1}",
            hint="each row needs its stratum and sampling unit, also outside the analysis",
        )
    # In numeric order if all are numbers, since folds and bootstraps depend on it; 1 and 01 stay distinct.
    names = sorted(text.unique(), key=lambda name: (float(name), name) if _is_number(name) else (math.inf, name))
    return text.map({name: place for place, name in enumerate(names)}).to_numpy(dtype=np.int64)


def _is_number(name: str) -> bool:
    try:
        return math.isfinite(float(name))
    except ValueError:
        return False


def _step(name: str, excluded: int, left: Booleans, y: Floats) -> dict[str, Any]:
    return {"step": name, "excluded": excluded, "n": int(left.sum()), "cases": int(np.nansum(y[left]))}

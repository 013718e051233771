"""People from a file who come with their outcome, and perhaps with a survey design: everybody counted, nobody dropped.

A cohort without a design is as welcome as a survey. Each person is then drawn on their own from one stratum; up to 100
random groups of them stand for the sampling units, because a jackknife that leaves out thousands of people one by one
says the same and takes thousands of times as long (Kott 2001, J. Off. Stat. 17:521, delete-a-group jackknife). So do
groups of whole sampling units where there are more than a thousand of them. Where people have several rows, by the
column that is named for it or by `person_id`, and no sampling unit is named, a person is one: visits of one person are
not independent. A column that looks like such an id, and repeats, is not passed over.
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
from mgrisk.score.eligibility import Exclusion, mark_excluded, not_told, with_exclusions
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
"""What may be quoted of an outcome that is neither: the code of a questionnaire, and nothing that somebody wrote."""
OUTCOME: Final = ("input.bad_outcome", "a case", "are cases")
PREDIABETES: Final = ("input.bad_prediabetes", "somebody with prediabetes", "mean prediabetes")
"""Of a column of yes and no: the code of a value that is neither, who is a yes, and which codes say so."""
IDS: Final = frozenset(
    {"id", "memberid", "mrn", "nhsnumber", "participant", "participantid", "patient", "patientid", "personid", "pid"}
    | {"seqn", "subject", "subjectid"}
)
"""Names of columns, without case and signs, that are taken for the id of a person."""


@dataclass(frozen=True)
class LabelColumns:
    """Names of the columns that are no features.

    Attributes
    ----------
    outcome
        1, yes or true for a case; 0, no or false for others.
    weight, strata, psu
        Sampling weight, variance stratum and primary sampling unit; None where there are none.
    prediabetes
        1, yes or true for people with prediabetes, 0, no or false for others; None where that is not told.
    person
        Who a row is of, where people may have several; None for `person_id`, where the file has it.
    """

    outcome: str
    weight: str | None = None
    strata: str | None = None
    psu: str | None = None
    prediabetes: str | None = None
    person: str | None = None

    @property
    def names(self) -> tuple[str, ...]:
        """The columns that are there, outcome first."""
        named = (self.outcome, self.weight, self.strata, self.psu, self.prediabetes, self.person)
        return tuple(name for name in named if name)


@dataclass(frozen=True)
class Rule:
    """What takes rows out of the analysis.

    Attributes
    ----------
    keeps, excludes
        Who stays and who goes, in words.
    out
        Rows that it takes out, shape (n,); a row may be taken out by several rules.
    """

    keeps: str
    excludes: str
    out: Booleans


@dataclass(frozen=True)
class LabelledPeople:
    """Everybody of a file.

    Attributes
    ----------
    values
        Typed features, a row for each row of the file.
    y
        Outcome, shape (n,); 0 outside the domain.
    design
        Design of all rows; its domain is who is analysed.
    attrition
        {step, excluded, n, cases} from the rows of the file to the people analysed.
    problems
        How often each code of the contract stands.
    not_accepted
        Which values the input schema did not accept.
    sampling
        One sentence about the design.
    told
        Outcome as told, shape (n,); NaN where it is not.
    rules
        What took rows out, in order.
    carried
        The other columns asked for, as they stand in the file.
    not_told
        The line on whom the model does not hold for although no column tells it, or none.
    unused
        Columns that gave nothing, each with the input that it may have been meant for, or "".
    persons
        How many people the rows analysed are of; None where nobody has several rows, or no column says who they are of.
    prediabetes
        Who is not known to be without prediabetes, shape (n,); None where the file does not tell.
    """

    values: pd.DataFrame
    y: Floats
    design: SurveyDesign
    attrition: list[dict[str, Any]]
    problems: dict[str, int]
    not_accepted: NotAccepted
    sampling: str
    told: Floats
    rules: tuple[Rule, ...]
    carried: pd.DataFrame
    unused: Mapping[str, str]
    not_told: Sequence[str]
    persons: int | None
    prediabetes: Booleans | None = None

    @property
    def inside(self) -> Integers:
        """Positions of the people analysed."""
        return np.flatnonzero(self.design.analysis_weight > 0)

    @property
    def cases(self) -> int:
        """Number of cases analysed."""
        return int(self.y[self.inside].sum())

    @property
    def lines(self) -> list[str]:
        """Who is analysed, and who is not, in words."""
        rows, n = len(self.y), len(self.inside)
        who = f"{n:,} people" if self.persons is None else f"{n:,} rows of {self.persons:,} people"
        lines = [f"{who}, {self.cases:,} cases; {self.sampling}"]
        if n < rows:
            why = [f"{step['excluded']:,}: {step['step']}" for step in self.attrition if step["excluded"]]
            lines.append(f"left out: {rows - n:,} of {rows:,} rows ({'; '.join(why)})")
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
    """Read and check a file.

    Parameters
    ----------
    source
        A file, or a folder of files, as for `score.sources.open_source`.
    inputs
        Features of the contract.
    columns
        Where outcome and design stand.
    excluded
        Whom the model does not hold for; where columns tell of them, they are left out.
    carry
        Other columns that are returned, as texts.
    missing
        What means missing, in the columns of outcome and design too.

    Raises
    ------
    MgRiskError
        ``input.*`` for a file or column that cannot be understood, ``input.bad_weight``, ``input.bad_design``,
        ``input.repeated_people`` where a column that nobody named looks like people's ids and repeats, and
        ``input.one_class`` where cases or others are missing.
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
    # Of the words for missing nothing is left in the columns that say who is a case, how people were sampled, and who.
    people = cells[labels].map(lambda cell: "" if missing.holds(cell) else cell)
    y = _yes_or_no(people[columns.outcome], shifted, OUTCOME)
    weight, no_number = _weight(people, columns.weight, shifted)
    # Nothing in a row of another length is to be believed, so that its cells are no problems of their own.
    codes = Codes(inputs).join(checked.state, {}).texts()
    problems = Counter(code for each in codes for code in str(each).split(SEPARATOR) if code)
    if checked.wrong_fields:
        problems[WRONG_FIELDS] = len(checked.wrong_fields)
    told = {each.feature.name for each in excluded} & given_columns(table.columns, inputs).keys()
    rules = (
        Rule("with a cell for each column", "too many or too few fields", shifted),
        Rule(f"{columns.outcome} known", f"{columns.outcome} is not given", np.isnan(y)),
        Rule("accepted by the contract", "rejected by the contract", checked.rejected),
        *([Rule("the model holds for them", "not eligible", checked.not_eligible)] if told else []),
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
        sampling = f"{columns.weight} is no number in {no_number:,} rows, which are left out; {sampling}"
    design = SurveyDesign(
        weight=np.where(left, np.nan_to_num(weight), 0.0),
        stratum=stratum,
        psu=psu,
        # The file's own sample, whole: the levels are those of NHANES, the widest of them says "everybody".
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
        told=y,
        rules=rules,
        carried=cells[list(carry)],
        not_told=not_told(excluded, told),
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
            expected="both cases and others",
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
    """Refuse rows that look like several of one person, which nobody named: as independent people they mislead."""
    for name in ids:
        known = ids[name].str.strip()
        known = known[known != ""]
        if known.duplicated().any():
            raise bad_input(
                "input.repeated_people",
                f"{name} looks like a person's id, and repeats: {known.nunique():,} of them in {len(known):,} rows",
                where=f"{source}: column {name}",
                hint=f"name it (--person {name}; psu in [own]), so that intervals take people as sampling units; "
                "or rename it if it is something else",
            )


def _yes_or_no(column: pd.Series, shifted: Booleans, words: tuple[str, str, str]) -> Floats:
    """Return 1 for yes, 0 for no and NaN where it is not told, shape (n,); anything else is refused in these words."""
    code, yes, says = words
    cells = column.str.strip().str.lower()
    y = np.select([cells.isin(YES), cells.isin(NO)], [1.0, 0.0], np.nan)
    neither = ~shifted & ~cells.isin(YES | NO | {""}).to_numpy()
    if neither.any():
        codes = sorted({int(found[1]) for cell in cells[neither] if (found := CODE.fullmatch(cell))})
        what = f"{few([*map(str, codes)])}, which is neither" if codes else "what is neither"
        raise bad_input(
            code,
            f"{column.name} holds {what}, in {neither.sum():,} rows",
            where=f"column {column.name}, row {int(np.argmax(neither)) + 1}",
            expected=f"1, yes or true for {yes}; 0, no or false for others; or empty",
            hint=f"say which codes {says}: write them as 1, those of others as 0, and none where it is not known",
        )
    return y


def _persons(people: pd.DataFrame, column: str | None) -> Integers | None:
    """Return which person each row is of, shape (n,), a row without an id of its own; None where nobody has several."""
    if column is None:
        return None
    names = people[column].str.strip()
    # Whoever has no id gets the number of the row, which no text is.
    person, found = pd.factorize(names.where(names != "", pd.Series(people.index, index=people.index, dtype=object)))
    return None if len(found) == len(people) else person.astype(np.int64)


def _weight(people: pd.DataFrame, name: str | None, shifted: Booleans) -> tuple[Floats, int]:
    """Return the weight of each row, shape (n,), NaN where it has none, and how many have a text that is no number."""
    if name is None:
        return np.ones(len(people)), 0
    weight = pd.to_numeric(people[name], errors="coerce").to_numpy(dtype=np.float64, na_value=np.nan)
    # Neither sums nor products of two sums may overflow or vanish.
    wrong = ~shifted & ((weight < 0) | (weight > LARGEST_WEIGHT) | ((weight > 0) & (weight < SMALLEST_WEIGHT)))
    if wrong.any():
        raise bad_input(
            "input.bad_weight",
            f"a weight is negative, infinite or of an impossible size, in {int(wrong.sum())} rows",
            where=f"column {name}, row {int(np.argmax(wrong)) + 1}",
            expected=f"0, or {SMALLEST_WEIGHT:g} to {LARGEST_WEIGHT:g}",
            hint="give weights on a usual scale, such as with a mean of 1, and people outside the sample 0 or none",
        )
    return weight, int((np.isnan(weight) & ~shifted & (people[name].str.strip() != "").to_numpy()).sum())


def _places(
    people: pd.DataFrame, columns: LabelColumns, shifted: Booleans, person: Integers | None, *, of: str | None
) -> tuple[Integers, Integers, str]:
    """Return stratum and PSU of each row, shape (n,) each, and the sentence that says what they are."""
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
            said += f"; {several:,} people have rows in several, which count as independent" if several else ""
        found = units.drop_duplicates().sort_values(["stratum", "psu"])
        if len(found) <= MOST_UNITS:
            return stratum, units["psu"].to_numpy(), said
        dealt = _dealt(found["stratum"].to_numpy(), groups)
        return stratum, dealt[unit], f"{said}, {len(found):,} of them in {groups} random groups in each stratum"
    within, each = (f" within the strata of {columns.strata}", " in each") if columns.strata else ("", "")
    said = f"{weighted}; each person drawn alone{within}, intervals from {groups} random groups of people{each}"
    return stratum, _dealt(stratum, groups), said


def _dealt(stratum: Integers, groups: int) -> Integers:
    """Deal units to random groups of like size within their strata, shape (n_units,)."""
    order = np.random.default_rng(SEED).permutation(len(stratum))
    dealt = np.empty(len(stratum), dtype=np.int64)
    dealt[order] = pd.Series(order).groupby(stratum[order]).cumcount().to_numpy() % groups
    return dealt


def _numbers(column: pd.Series, shifted: Booleans) -> Integers:
    text = column.str.strip()
    unknown = (text == "").to_numpy() & ~shifted
    if unknown.any():
        raise bad_input(
            "input.bad_design",
            f"{int(unknown.sum())} rows have no {column.name}",
            where=f"column {column.name}, row {int(np.argmax(unknown)) + 1}",
            hint="each row needs its stratum and sampling unit, outside the analysis too",
        )
    # In the order of numbers where they are numbers, for folds and bootstraps are dealt in it; 1 and 01 stay two.
    names = sorted(text.unique(), key=lambda name: (float(name), name) if _is_number(name) else (math.inf, name))
    return text.map({name: place for place, name in enumerate(names)}).to_numpy(dtype=np.int64)


def _is_number(name: str) -> bool:
    try:
        return math.isfinite(float(name))
    except ValueError:
        return False


def _step(name: str, excluded: int, left: Booleans, y: Floats) -> dict[str, Any]:
    return {"step": name, "excluded": excluded, "n": int(left.sum()), "cases": int(np.nansum(y[left]))}

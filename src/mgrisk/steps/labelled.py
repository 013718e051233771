"""People from a file who come with their outcome, and perhaps with a survey design: everybody counted, nobody dropped.

A cohort without a design is as welcome as a survey. Each person is then drawn on their own from one stratum; up to 100
random groups of them stand for the sampling units, because a jackknife that leaves out thousands of people one by one
says the same and takes thousands of times as long (Kott 2001, J. Off. Stat. 17:521, delete-a-group jackknife).
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from mgrisk.errors import bad_input
from mgrisk.features.registry import Feature
from mgrisk.score.contract import EMPTY_CELLS, check, check_columns
from mgrisk.score.problems import SEPARATOR, WRONG_FIELDS
from mgrisk.score.sources import open_source
from mgrisk.survey.design import SurveyDesign, WeightLevel

Floats = NDArray[np.float64]
GROUPS: Final = 100
SEED: Final = 1
YES: Final = frozenset({"1", "1.0", "yes", "true"})
NO: Final = frozenset({"0", "0.0", "no", "false"})


@dataclass(frozen=True)
class LabelColumns:
    """Names of the columns that are no features.

    Attributes
    ----------
    outcome
        1, yes or true for a case; 0, no or false for others.
    weight, strata, psu
        Sampling weight, variance stratum and primary sampling unit; None where there are none.
    """

    outcome: str
    weight: str | None = None
    strata: str | None = None
    psu: str | None = None

    @property
    def names(self) -> tuple[str, ...]:
        """The columns that are there, outcome first."""
        return tuple(name for name in (self.outcome, self.weight, self.strata, self.psu) if name)


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
    sampling
        One sentence about the design.
    """

    values: pd.DataFrame
    y: Floats
    design: SurveyDesign
    attrition: list[dict[str, Any]]
    problems: dict[str, int]
    sampling: str

    @property
    def inside(self) -> NDArray[np.int64]:
        """Positions of the people analysed."""
        return np.flatnonzero(self.design.analysis_weight > 0)

    @property
    def cases(self) -> int:
        """Number of cases analysed."""
        return int(self.y[self.inside].sum())


def read_labelled(source: str, inputs: tuple[Feature, ...], columns: LabelColumns) -> LabelledPeople:
    """Read and check a file.

    Parameters
    ----------
    source
        CSV or Parquet, as for `score.sources.open_source`.
    inputs
        Features of the contract.
    columns
        Where outcome and design stand.

    Raises
    ------
    MgRiskError
        ``input.*`` for a file or column that cannot be understood, ``input.bad_weight``, ``input.bad_design``, and
        ``input.one_class`` where cases or others are missing.
    """
    with open_source(source) as table:
        check_columns(table.columns, inputs, where=source)
        _refuse_absent(columns, table.columns, source)
        parts, ragged, rows = [], [], 0
        for block in table.blocks():
            read = table.read(block, inputs)
            parts.append(read.table().to_pandas(ignore_metadata=True))
            ragged += [rows + position for position in read.checked.wrong_fields]
            rows += len(parts[-1])
    people = pd.concat(parts, ignore_index=True) if parts else pd.DataFrame(columns=table.columns, dtype=object)
    checked = check(people, inputs)
    shifted = np.zeros(len(people), dtype=np.bool_)
    shifted[ragged] = True
    y = _outcome(people[columns.outcome], columns.outcome)
    weight = _weight(people, columns.weight, shifted)
    problems = Counter(code for codes in checked.problems for code in str(codes).split(SEPARATOR) if code)
    if ragged:
        problems[WRONG_FIELDS] = len(ragged)
    steps = {
        "too many or too few fields": shifted,
        f"{columns.outcome} is not given or not 0 or 1": np.isnan(y),
        "rejected by the contract": checked.rejected,
        **({f"{columns.weight} is not given or 0": ~(weight > 0)} if columns.weight else {}),
    }
    left = np.ones(len(people), dtype=np.bool_)
    attrition = [_step("rows of the file", 0, left, y)]
    for name, out in steps.items():
        excluded = int((left & out).sum())
        left = left & ~out
        attrition.append(_step(name, excluded, left, y))
    stratum, psu, sampling = _places(people, columns, shifted)
    design = SurveyDesign(
        weight=np.where(left, np.nan_to_num(weight), 0.0),
        stratum=stratum,
        psu=psu,
        # The file's own sample, whole: the levels are those of NHANES, the widest of them says "everybody".
        level=WeightLevel.INTERVIEW,
        domain=left,
    )
    found = LabelledPeople(checked.values, np.where(left, y, 0.0), design, attrition, dict(problems), sampling)
    if not 0 < found.cases < len(found.inside):
        raise bad_input(
            "input.one_class",
            f"{len(found.inside)} people can be analysed, {found.cases} of them cases",
            where=f"{source}: {columns.outcome}",
            expected="both cases and others",
            hint="; ".join(f"{step['excluded']} rows: {step['step']}" for step in attrition[1:] if step["excluded"])
            or "name the column of the outcome",
        )
    return found


def _refuse_absent(columns: LabelColumns, there: list[str], source: str) -> None:
    for name in columns.names:
        if name not in there:
            raise bad_input(
                "input.missing_column",
                f"the column {name} is missing",
                where=source,
                got=", ".join(there[:8]) + (" …" if len(there) > 8 else ""),
                hint="give the names of the columns as they stand in the header",
            )


def _outcome(column: pd.Series, name: str) -> Floats:
    cells = column.astype(object).where(column.notna(), "").astype(str).str.strip().str.lower()
    y = np.select([cells.isin(YES), cells.isin(NO)], [1.0, 0.0], np.nan)
    readable = cells.isin(YES | NO | {word.lower() for word in EMPTY_CELLS})
    if not readable.any() and len(cells):
        raise bad_input(
            "input.bad_outcome",
            "no cell of the outcome is 0 or 1",
            where=name,
            expected="1, yes or true; 0, no or false; or empty",
            got=", ".join(sorted(set(cells))[:4]),
            hint="code cases as 1 and others as 0",
        )
    return y


def _weight(people: pd.DataFrame, name: str | None, shifted: NDArray[np.bool_]) -> Floats:
    if name is None:
        return np.ones(len(people))
    weight = np.asarray(pd.to_numeric(people[name], errors="coerce"), dtype=np.float64)
    wrong = ~shifted & ((weight < 0) | np.isinf(weight))
    if wrong.any():
        raise bad_input(
            "input.bad_weight",
            f"a weight is negative or infinite, in {int(wrong.sum())} rows",
            where=f"column {name}, row {int(np.argmax(wrong)) + 1}",
            hint="give people outside the sample a weight of 0 or none",
        )
    return weight


def _places(
    people: pd.DataFrame, columns: LabelColumns, shifted: NDArray[np.bool_]
) -> tuple[NDArray[np.int64], NDArray[np.int64], str]:
    """Return stratum and PSU of each row, shape (n,) each, and the sentence that says what they are."""
    stratum = np.zeros(len(people), dtype=np.int64)
    if columns.strata:
        stratum = _numbers(people[columns.strata], shifted)
    weighted = f"weights of {columns.weight}" if columns.weight else "no weights"
    if columns.psu:
        psu = _numbers(people[columns.psu], shifted)
        within = f"within the strata of {columns.strata}" if columns.strata else "of one stratum"
        return stratum, psu, f"{weighted}; sampling units are those of {columns.psu} {within}"
    order = np.random.default_rng(SEED).permutation(len(people))
    groups = max(GROUPS // len(np.unique(stratum)), 2) if len(people) else GROUPS
    dealt = pd.Series(order).groupby(stratum[order]).cumcount().to_numpy() % groups
    psu = np.empty(len(people), dtype=np.int64)
    psu[order] = dealt
    within = f"within the strata of {columns.strata}" if columns.strata else "from one stratum"
    said = f"{weighted}; each person drawn alone {within}, intervals from {groups} random groups of people in each"
    return stratum, psu, said


def _numbers(column: pd.Series, shifted: NDArray[np.bool_]) -> NDArray[np.int64]:
    text = column.astype(object).where(column.notna(), "").astype(str).str.strip()
    unknown = text.isin(EMPTY_CELLS).to_numpy() & ~shifted
    if unknown.any():
        raise bad_input(
            "input.bad_design",
            f"{int(unknown.sum())} rows have no {column.name}",
            where=f"column {column.name}, row {int(np.argmax(unknown)) + 1}",
            hint="each row needs its stratum and sampling unit, outside the analysis too",
        )
    return pd.factorize(text, sort=True)[0].astype(np.int64)


def _step(name: str, excluded: int, left: NDArray[np.bool_], y: Floats) -> dict[str, Any]:
    return {"step": name, "excluded": excluded, "n": int(left.sum()), "cases": int(np.nansum(y[left]))}

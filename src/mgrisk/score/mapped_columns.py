"""A column of a scoring file made from columns of an extract, as its mapping says, for a block of rows at a time.

A cell is known, missing, or not understood: an undeclared code, a text in a number, a date that is none. What is not
understood keeps its text, so that whoever reads the file says what is wrong with the row; where that text would pass
for a number, which it is not in the unit of the feature, a question mark stands before it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date
from functools import cached_property
from typing import Final

import numpy as np
import pandas as pd

from mgrisk.errors import bad_input
from mgrisk.features.registry import FEATURES, Feature
from mgrisk.score.cells import BOOLEANS, NUMBER, Missing, as_code
from mgrisk.score.input_schema import level_words
from mgrisk.score.mapping_file import (
    FEET_AND_INCHES,
    ISO_DATE,
    NO,
    YES,
    ExtractFormat,
    MappedColumn,
    Mapping,
    factor_of,
)

PAIR: Final = re.compile(r"\A([^/|–-]+?)\s*[/|–-]\s*([^/|–-]+)\Z")
FEET: Final = re.compile(
    r"(\d+)\s*(?:'|′|’|ft\.?|feet|foot)\s*(?:(\d+(?:[.,]\d+)?)\s*(?:\"|″|”|''|in\.?|inch|inches)?)?", re.IGNORECASE
)
INCHES_PER_FOOT: Final = 12
ISO_DAY: Final = re.compile(r"(\d{4}-\d\d-\d\d)(?:[T ].*)?", re.DOTALL)
LARGEST_WHOLE: Final = 2.0**53


@dataclass(frozen=True)
class Cells:
    """What became of the cells of some rows.

    Attributes
    ----------
    value
        Numbers or texts, shape (n,); NaN where nothing is known.
    text
        The cells as they stand, shape (n,), where they were not understood; NaN elsewhere.
    number
        Whether they are to be numbers.
    """

    value: pd.Series
    text: pd.Series
    number: bool = False

    @property
    def missing(self) -> pd.Series:
        """Which cells are missing, shape (n,)."""
        return self.value.isna() & self.text.isna()

    def left(self) -> pd.Series:
        """Return what is written of cells that were not understood, shape (n,); NaN elsewhere."""
        return self.text.map(_no_number, na_action="ignore") if self.number else self.text

    def written(self) -> pd.Series:
        """Return the cells as texts, empty where nothing is known, shape (n,)."""
        return as_texts(self.value).where(self.text.isna(), self.left())


def as_texts(values: pd.Series) -> pd.Series:
    """Return numbers in full, whole ones without a point, or texts as they are; empty for NaN, shape (n,).

    Examples
    --------
    >>> as_texts(pd.Series([1.0, 0.1, None])).tolist()
    ['1', '0.1', '']
    """
    texts = values.map(_number_text, na_action="ignore") if values.dtype == np.float64 else values
    return texts.astype(object).where(values.notna(), "")


def _no_number(text: str) -> str:
    return f"?{text}" if NUMBER.fullmatch(text) else text


def _number_text(number: float) -> str:
    return repr(int(number)) if number.is_integer() and abs(number) < LARGEST_WHOLE else repr(number)


@dataclass(frozen=True)
class ColumnMaker:
    """Makes one column of the output.

    Attributes
    ----------
    name
        Of the column.
    how
        What it is made from.
    file
        How the extract is written.
    gone
        What means missing in its cells.
    codes
        Codes that are levels although they are words for missing.
    """

    name: str
    how: MappedColumn
    file: ExtractFormat
    gone: Missing
    codes: frozenset[str]
    feature: Feature | None

    @classmethod
    def of(cls, name: str, mapping: Mapping, missing: Sequence[str] = ()) -> ColumnMaker:
        """Return the maker of a column.

        Parameters
        ----------
        name
            Of the column, under [keep] or [features].
        mapping
            The mapping.
        missing
            Words that mean missing, beside those of the list and of the mapping.
        """
        how = mapping.columns[name]
        named = {*missing, *mapping.missing, *how.missing}
        # A level may be called NA where nobody says that NA is missing.
        codes = frozenset(code for code, _ in how.codes) - named
        feature = FEATURES[name] if name in mapping.features else None
        return cls(name, how, mapping.file, Missing.also(named), codes, feature)

    @property
    def carried(self) -> bool:
        """Whether the cells are carried over without being looked at."""
        return self.feature is None and self.how.carried

    @property
    def number(self) -> bool:
        """Whether the column is one of numbers."""
        return self.how.numeric or (self.feature is not None and self.feature.kind == "number")

    def cells(self, extract: pd.DataFrame, *, where: str) -> Cells:
        """Return the column for some rows.

        Parameters
        ----------
        extract
            The columns that are read, as texts; its index is the number of each row.
        where
            Name of the extract.

        Raises
        ------
        MgRiskError
            `mapping.infinite`.
        """
        nothing = pd.Series(np.nan, extract.index, dtype=object)
        if self.how.constant:
            return Cells(pd.Series(self.how.constant, extract.index, dtype=object), nothing)
        if self.carried:
            cells = extract[self.how.columns[0]]
            return Cells(cells.where(cells.str.strip() != "", np.nan), nothing)
        texts = {name: extract[name].str.strip() for name in self.how.reads}
        known = {name: cells.mask(self._is_missing(cells)) for name, cells in texts.items()}
        if self.how.age_at:
            value, strange = self._age(known)
        else:
            parts = [self._read(known[name], name, where) for name in self.how.columns]
            with np.errstate(over="ignore"):  # an infinite sum is refused
                value, strange = self._combined(parts, known)
            self._refuse_infinite(value, ", ".join(self.how.columns), where)
        left = pd.DataFrame(texts)[strange]
        text = left.agg(" | ".join, axis=1) if len(left) else nothing
        return Cells(value.mask(strange), text.reindex(extract.index).astype(object), self.number)

    def _is_missing(self, cells: pd.Series) -> pd.Series:
        told = {cell: self.gone.holds(cell) and cell not in self.codes for cell in cells.unique()}
        return cells.map(told).astype(bool)

    def _combined(self, parts: list[pd.Series], known: dict[str, pd.Series]) -> tuple[pd.Series, pd.Series]:
        """Return what several columns come to, and where that cannot be told since a cell is not understood."""
        how = self.how
        strange = [part.isna() & known[name].notna() for part, name in zip(parts, how.columns, strict=True)]
        values, doubtful = pd.concat(parts, axis=1), pd.concat(strange, axis=1).any(axis=1)
        if how.combine in {"any", "all"}:
            # One yes settles an any, one no an all; else each must be known.
            settles, other = (YES, NO) if how.combine == "any" else (NO, YES)
            settled, known_all = (values == settles).any(axis=1), values.notna().all(axis=1)
            value = pd.Series(np.select([settled, known_all], [settles, other], ""), values.index, dtype=object)
            return value.mask(value == ""), doubtful & ~settled
        if how.combine == "sum":
            values = values if how.empty is None else values.fillna(how.empty)
            return values.sum(axis=1, skipna=False), doubtful
        if how.combine == "mean":
            return values.mean(axis=1), doubtful
        return parts[0], doubtful

    def _read(self, cells: pd.Series, name: str, where: str) -> pd.Series:
        """Return the cells of a column of the extract as values, NaN where they are missing or not understood."""
        if self.how.levels:
            levels: pd.Series = cells.map(self._levels(cells.dropna().unique()))
            return levels.astype(object)
        if self.how.year:
            years: pd.Series = days(cells, self.file.dates).dt.year
            return years.astype(np.float64)
        if not self.number:
            return cells
        numbers = self._numbers(cells)
        self._refuse_infinite(numbers, name, where)
        # What needs no change is written as it stands, digit by digit.
        changed = self.how.numeric or not self.file.usual_numbers
        return numbers if changed else cells.where(numbers.notna(), np.nan)

    def _levels(self, cells: Iterable[str]) -> dict[str, str]:
        """Return the level of each cell that has one: as written, as number or boolean, case aside, or by pattern."""
        declared, codes = self.how.codes, dict[float | str, str]()
        if self.feature:
            words = level_words(self.feature)
            codes = {word: self.feature.levels[words[word]] for word in BOOLEANS if word in words}
        codes |= {as_code(code): level for code, level in reversed(declared)}
        exact = dict(reversed(declared))
        folded = {code.casefold(): level for code, level in reversed(declared)}
        patterns = [(pattern(code), level) for code, level in declared if "*" in code]
        found = {}
        for cell in cells:
            level = exact.get(cell) or codes.get(as_code(cell)) or folded.get(cell.casefold())
            found[cell] = level or next((each for way, each in patterns if way.fullmatch(cell.casefold())), "")
        return {cell: level for cell, level in found.items() if level}

    def _numbers(self, cells: pd.Series) -> pd.Series:
        """Return cells in the unit of the feature, NaN where they are no numbers."""
        how = self.how
        if how.part:
            cells = cells.str.extract(PAIR)[how.part - 1]
        if how.unit == FEET_AND_INCHES:
            numbers = cells.map(_inches, na_action="ignore")
        else:
            numbers = cells if self.file.usual_numbers else cells.map(self._usual_number, na_action="ignore")
        numbers = pd.to_numeric(numbers, errors="coerce").astype(np.float64)
        factor = factor_of(self.feature, how.unit) if self.feature else 1.0
        return numbers * (how.factor * factor) + how.offset

    def _usual_number(self, cell: str) -> str | float:
        """Return a number in the signs of the file with a decimal point and no sign between thousands, else NaN."""
        found = self._number.fullmatch(cell)
        if not found or not (found[2] or found[3]):
            return np.nan
        return f"{found[1]}{re.sub('[^0-9]', '', found[2] or '0')}.{found[3] or '0'}{found[4] or ''}"

    @cached_property
    def _number(self) -> re.Pattern[str]:
        """A number in the signs of the file: its sign, whole part, decimals and power."""
        # A space that no line is broken at is what spreadsheets write.
        between = {"": "", " ": "[ \u00a0\u202f]"}.get(self.file.thousands, re.escape(self.file.thousands))
        whole = f"[0-9]+|[0-9]{{1,3}}(?:{between}[0-9]{{3}})+" if between else "[0-9]+"
        return re.compile(f"([+-]?)({whole})?(?:{re.escape(self.file.decimal)}([0-9]*))?([eE][+-]?[0-9]+)?")

    def _age(self, known: dict[str, pd.Series]) -> tuple[pd.Series, pd.Series]:
        """Return completed years, and where a date is none or the second before the first."""
        born = days(known[self.how.columns[0]], self.file.dates)
        if isinstance(self.how.age_at, date):
            at, strange = pd.Series(pd.Timestamp(self.how.age_at), born.index), pd.Series(False, born.index)
        else:
            at = days(known[str(self.how.age_at)], self.file.dates)
            strange = at.isna() & known[str(self.how.age_at)].notna()
        strange |= born.isna() & known[self.how.columns[0]].notna()
        before = at.dt.month * 100 + at.dt.day < born.dt.month * 100 + born.dt.day
        years = (at.dt.year - born.dt.year - before).where(born.notna() & at.notna(), np.nan).astype(np.float64)
        return years, strange | (years < 0)

    def _refuse_infinite(self, values: pd.Series, column: str, where: str) -> None:
        if values.dtype != np.float64:
            return
        infinite = np.isinf(values.to_numpy())
        if infinite.any():
            raise bad_input(
                "mapping.infinite",
                f"the {self.name} of row {values.index[int(np.argmax(infinite))]} is infinite",
                where=f"{where}: column {column}",
                hint="mend the cell, or name its code under `missing` in the mapping",
            )


def pattern(code: str) -> re.Pattern[str]:
    """Return a code in which ``*`` stands for any signs, to be matched with a cell in lower case (`str.casefold`).

    Examples
    --------
    >>> pattern("E11*").fullmatch("e11.9") is not None, pattern("E11*").fullmatch("re11") is not None
    (True, False)
    """
    parts = re.sub(r"\*+", "*", code.casefold()).split("*")
    return re.compile(".*".join(map(re.escape, parts)), re.DOTALL)


def matches(cells: pd.Series, codes: Iterable[str]) -> pd.Series:
    """Return which cells are one of some codes or patterns, case and the blanks around them aside, shape (n,)."""
    numbers, ways = {as_code(code) for code in codes}, [pattern(code) for code in codes]
    told = {
        cell: as_code(cell) in numbers or any(way.fullmatch(cell.strip().casefold()) for way in ways)
        for cell in cells.unique()
    }
    return cells.map(told).astype(bool)


def days(cells: pd.Series, formats: Sequence[str]) -> pd.Series:
    """Return dates by the first format that fits, the time of day left out; NaT where none does, shape (n,).

    ISO dates, perhaps with a time, are read whatever the formats: typed columns are written so.

    Examples
    --------
    >>> days(pd.Series(["17.03.1961", "1961-03-17 10:30", "31.02.1961"]), ["%d.%m.%Y"]).dt.year.tolist()
    [1961.0, 1961.0, nan]
    """
    found = pd.Series(pd.NaT, cells.index, dtype="datetime64[s]")
    for each in dict.fromkeys((*formats, ISO_DATE)):
        left = cells[found.isna() & cells.notna()]
        if each == ISO_DATE:
            left = left.map(lambda cell: iso[1] if (iso := ISO_DAY.fullmatch(cell)) else np.nan)
        found = found.fillna(pd.to_datetime(left, format=each, errors="coerce").astype("datetime64[s]"))
    return found


def _inches(cell: str) -> float:
    found = FEET.fullmatch(cell)
    inches = float((found[2] or "0").replace(",", ".")) if found else np.nan
    return INCHES_PER_FOOT * float(found[1]) + inches if found and inches < INCHES_PER_FOOT else np.nan

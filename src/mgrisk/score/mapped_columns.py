"""Compute a column of a scoring file from columns of an extract, as defined by a mapping, for blocks of rows.

A cell is known, missing, or not understood: an undeclared code, a text among numbers, an invalid date. A cell that is
not understood keeps its text, so that scoring reports it as a problem of the row. If the text could pass for a number
in the unit of the feature, a question mark is put before it.
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
    """Converted cells of a block of rows.

    Attributes
    ----------
    value
        Numbers or texts, shape (n,); NaN where unknown.
    text
        The original cells where they were not understood, shape (n,); NaN elsewhere.
    number
        Whether the values are numbers.
    """

    value: pd.Series
    text: pd.Series
    number: bool = False

    @property
    def missing(self) -> pd.Series:
        """Which cells are missing, shape (n,)."""
        return self.value.isna() & self.text.isna()

    def left(self) -> pd.Series:
        """Return the output texts of cells that were not understood, shape (n,); NaN elsewhere."""
        return self.text.map(_no_number, na_action="ignore") if self.number else self.text

    def written(self) -> pd.Series:
        """Return the cells as texts, empty where unknown, shape (n,)."""
        return as_texts(self.value).where(self.text.isna(), self.left())


def as_texts(values: pd.Series) -> pd.Series:
    """Return numbers with all digits, whole ones without a point, and texts unchanged; empty for NaN, shape (n,).

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
    """Computes one column of the output.

    Attributes
    ----------
    name
        Name of the column.
    how
        Its definition in the mapping.
    file
        Format of the extract.
    missing_words
        Words and codes that mean missing in its cells.
    codes
        Codes that are levels although they are default words for missing.
    """

    name: str
    how: MappedColumn
    file: ExtractFormat
    missing_words: Missing
    codes: frozenset[str]
    feature: Feature | None

    @classmethod
    def of(cls, name: str, mapping: Mapping, missing: Sequence[str] = ()) -> ColumnMaker:
        """Return the `ColumnMaker` of a column.

        Parameters
        ----------
        name
            Name of the column, under [keep] or [features].
        mapping
            The mapping.
        missing
            Words that mean missing, besides the default words and those of the mapping.
        """
        how = mapping.columns[name]
        named = {*missing, *mapping.missing, *how.missing}
        # A level may be called NA, unless NA is declared to mean missing.
        codes = frozenset(code for code, _ in how.codes) - named
        feature = FEATURES[name] if name in mapping.features else None
        return cls(name, how, mapping.file, Missing.also(named), codes, feature)

    @property
    def carried(self) -> bool:
        """Whether the cells are copied without being interpreted."""
        return self.feature is None and self.how.carried

    @property
    def number(self) -> bool:
        """Whether the column is numeric."""
        return self.how.numeric or (self.feature is not None and self.feature.kind == "number")

    def cells(self, extract: pd.DataFrame, *, where: str) -> Cells:
        """Return the column for a block of rows.

        Parameters
        ----------
        extract
            The source columns as texts; the index is the row number.
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
        is_missing = {cell: self.missing_words.holds(cell) and cell not in self.codes for cell in cells.unique()}
        return cells.map(is_missing).astype(bool)

    def _combined(self, parts: list[pd.Series], known: dict[str, pd.Series]) -> tuple[pd.Series, pd.Series]:
        """Combine several columns; also return where the result is undetermined because a cell is not understood."""
        how = self.how
        strange = [part.isna() & known[name].notna() for part, name in zip(parts, how.columns, strict=True)]
        values, doubtful = pd.concat(parts, axis=1), pd.concat(strange, axis=1).any(axis=1)
        if how.combine in {"any", "all"}:
            # One yes decides `any`, and one no decides `all`; otherwise every cell must be known.
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
        """Convert the cells of a column of the extract; NaN where they are missing or not understood."""
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
        # Numbers that need no conversion keep their digits.
        changed = self.how.numeric or not self.file.usual_numbers
        return numbers if changed else cells.where(numbers.notna(), np.nan)

    def _levels(self, cells: Iterable[str]) -> dict[str, str]:
        """Return the level of each cell that has one: by text, number or boolean, ignoring case, or pattern."""
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
        """Return cells in the unit of the feature, NaN where they are not numbers."""
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
        """Return a number with a decimal point and without thousands separators; NaN for anything else."""
        found = self._number.fullmatch(cell)
        if not found or not (found[2] or found[3]):
            return np.nan
        return f"{found[1]}{re.sub('[^0-9]', '', found[2] or '0')}.{found[3] or '0'}{found[4] or ''}"

    @cached_property
    def _number(self) -> re.Pattern[str]:
        """Pattern of a number with the file's separators: sign, integer part, decimals and exponent."""
        # Spreadsheets write no-break spaces.
        between = {"": "", " ": "[ \u00a0\u202f]"}.get(self.file.thousands, re.escape(self.file.thousands))
        whole = f"[0-9]+|[0-9]{{1,3}}(?:{between}[0-9]{{3}})+" if between else "[0-9]+"
        return re.compile(f"([+-]?)({whole})?(?:{re.escape(self.file.decimal)}([0-9]*))?([eE][+-]?[0-9]+)?")

    def _age(self, known: dict[str, pd.Series]) -> tuple[pd.Series, pd.Series]:
        """Return completed years, and where a date is invalid or the second one precedes the first."""
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
                hint="correct the cell, or name its code under `missing` in the mapping",
            )


def pattern(code: str) -> re.Pattern[str]:
    """Compile a code in which ``*`` matches any characters, for cells in lower case (`str.casefold`).

    Examples
    --------
    >>> pattern("E11*").fullmatch("e11.9") is not None, pattern("E11*").fullmatch("re11") is not None
    (True, False)
    """
    parts = re.sub(r"\*+", "*", code.casefold()).split("*")
    return re.compile(".*".join(map(re.escape, parts)), re.DOTALL)


def matches(cells: pd.Series, codes: Iterable[str]) -> pd.Series:
    """Return which cells match a code or pattern, ignoring case and surrounding blanks, shape (n,)."""
    numbers, ways = {as_code(code) for code in codes}, [pattern(code) for code in codes]
    matched = {
        cell: as_code(cell) in numbers or any(way.fullmatch(cell.strip().casefold()) for way in ways)
        for cell in cells.unique()
    }
    return cells.map(matched).astype(bool)


def days(cells: pd.Series, formats: Sequence[str]) -> pd.Series:
    """Parse dates with the first format that fits, without the time of day; NaT where none does, shape (n,).

    ISO dates, with or without a time, are always accepted, since typed columns are converted to them.

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

"""Convert an extract of a cohort to a scoring file with a mapping file.

Nothing is imputed, and only the rows that the mapping excludes are left out, which are counted.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Final

import numpy as np
import pandas as pd

from mgrisk.errors import bad_input
from mgrisk.score.cells import Missing
from mgrisk.score.mapped_columns import Cells, ColumnMaker, days, matches
from mgrisk.score.mapping_file import Mapping
from mgrisk.score.not_accepted import NotAccepted
from mgrisk.score.outputs import Output, open_rows
from mgrisk.score.person_rows import PersonRows
from mgrisk.score.sources import open_source
from mgrisk.types import Floats

EXAMPLES: Final = 10
"""Number of cells of a column that a dry run shows."""


@dataclass
class Mapped:
    """Counts of a conversion.

    Attributes
    ----------
    rows
        Rows read.
    written
        Rows written, or that would be written.
    of_people
        Whether the rows of a person were merged into one.
    excluded
        Rows excluded, by the column of the exclusion.
    undated
        Rows without a date to order them by; they are sorted before a person's other rows.
    missing
        Empty cells, by column.
    as_they_are
        Cells that were not understood and left unchanged, by column.
    examples
        Distinct examples of these cells, by column, if requested.
    not_accepted
        Counts of those of these cells that can be shown without revealing a person's text.
    not_carried
        Columns of the extract that were not used.
    """

    rows: int = 0
    written: int = 0
    of_people: bool = False
    excluded: dict[str, int] = field(default_factory=dict)
    undated: int = 0
    missing: dict[str, int] = field(default_factory=dict)
    as_they_are: dict[str, int] = field(default_factory=dict)
    examples: dict[str, list[str]] = field(default_factory=dict)
    not_accepted: NotAccepted = field(default_factory=NotAccepted)
    not_carried: tuple[str, ...] = ()

    def count(self, name: str, cells: Cells, *, examples: int) -> None:
        """Count the cells of a column, and collect examples of those that were not understood."""
        strange = cells.text.dropna()
        self.missing[name] = self.missing.get(name, 0) + int(cells.missing.sum())
        self.as_they_are[name] = self.as_they_are.get(name, 0) + len(strange)
        self.not_accepted += NotAccepted.of_cells({name: strange}) if len(strange) else NotAccepted()
        shown = self.examples.get(name, [])
        if len(strange) and len(shown) < examples:
            self.examples[name] = list(dict.fromkeys([*shown, *strange.unique()]))[:examples]


def map_file(
    source: str, mapping: Mapping, target: str | None, *, missing: Sequence[str] = (), examples: int = 0
) -> Mapped:
    """Convert an extract to a scoring file, block by block, or at the end if the rows of people are merged.

    Parameters
    ----------
    source
        CSV or Parquet, as for `score`, or delimited text in the format that the mapping declares.
    mapping
        Result of `read_mapping`.
    target
        A CSV file, possibly compressed, or Parquet, in which all columns are texts; None to write nothing.
    missing
        Words that mean missing in every column, besides the default words and those of the mapping.
    examples
        Maximum number of distinct cells per column that were not understood to return.

    Raises
    ------
    MgRiskError
        As `score_table`; `mapping.missing_column` if the extract lacks a column that the mapping names,
        `input.wrong_field_count` if a row has too many or too few cells, `mapping.infinite` if a number is infinite or
        becomes so in another unit; those of `PersonRows`.
    """
    done = Mapped(of_people=mapping.people is not None)
    makers = [ColumnMaker.of(name, mapping, missing) for name in mapping.columns]
    with open_source(source, dialect=mapping.file.dialect, folder=True) as table:
        _refuse_absent(mapping.reads, table.columns, source)
        done.not_carried = tuple(name for name in table.columns if name not in mapping.reads)
        missing_person = Missing.also((*missing, *mapping.missing))
        people = None if mapping.people is None else PersonRows(makers, missing_person, where=source)
        with _output(target, list(mapping.columns)) as output:
            for block in table.blocks():
                rows = table.read(block, ())
                if wrong := rows.checked.wrong_fields:
                    raise bad_input(
                        "input.wrong_field_count",
                        f"row {done.rows + min(wrong) + 1} has too many or too few cells",
                        where=source,
                        hint="correct the row: its cells cannot be matched to columns",
                    )
                extract = rows.texts(sorted(mapping.reads))
                extract.index += done.rows + 1
                done.rows += len(extract)
                extract = _without_excluded(extract, mapping, done)
                columns = {maker.name: maker.cells(extract, where=source) for maker in makers}
                for maker in makers:
                    if not maker.carried:
                        done.count(maker.name, columns[maker.name], examples=examples)
                if people is None or mapping.people is None:
                    _write(output, {name: cells.written() for name, cells in columns.items()}, done)
                else:
                    people.add(extract[mapping.people.person], _order(extract, mapping, done), columns)
            for finished in () if people is None else people.blocks():
                _write(output, finished, done)
            if not done.written:
                _write(output, dict.fromkeys(mapping.columns, pd.Series(dtype=object)), done)
    return done


@contextmanager
def _output(target: str | None, columns: Sequence[str]) -> Iterator[Output | None]:
    if target is None:
        yield None
        return
    with open_rows(target, columns) as output:
        yield output


def _write(output: Output | None, columns: dict[str, pd.Series], done: Mapped) -> None:
    frame = pd.DataFrame(columns)
    done.written += len(frame)
    if output is not None:
        output.texts(frame)


def _without_excluded(extract: pd.DataFrame, mapping: Mapping, done: Mapped) -> pd.DataFrame:
    for each in mapping.exclude:
        out = matches(extract[each.column], each.codes)
        done.excluded[each.column] = done.excluded.get(each.column, 0) + int(out.sum())
        extract = extract[~out]
    return extract


def _order(extract: pd.DataFrame, mapping: Mapping, done: Mapped) -> Floats:
    """Return the values that order the rows of a person: days, or zeros without dates."""
    if mapping.people is None or not mapping.people.last_by:
        return np.zeros(len(extract))
    found = days(extract[mapping.people.last_by].str.strip(), mapping.file.dates)
    done.undated += int(found.isna().sum())
    return np.where(found.notna(), found.to_numpy("datetime64[D]").astype(np.float64), -np.inf)


def _refuse_absent(named: Iterable[str], columns: list[str], source: str) -> None:
    for name in sorted(named):
        if name not in columns:
            near = difflib.get_close_matches(name, columns, n=1)
            raise bad_input(
                "mapping.missing_column",
                f"the extract has no column {name}",
                where=source,
                hint=f"did you mean {near[0]}?" if near else "correct the mapping, or remove the line",
            )

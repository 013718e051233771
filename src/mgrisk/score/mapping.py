"""An extract of one's own cohort into the shape of the scoring file, by a mapping file: columns, units, codes; no code.

What the mapping does not understand it does not touch: an undeclared code or a text in a number is written as it
stands, so that `score`, `evaluate` and `validate` say what is wrong with the row. Nothing is filled in, no row is left
out.
"""

from __future__ import annotations

import difflib
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated

import numpy as np
import pandas as pd
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from mgrisk.config.toml import read_toml
from mgrisk.errors import MgRiskError, bad_input, usage
from mgrisk.features.registry import FEATURES, Feature
from mgrisk.score.cells import BOOLEANS, Missing, as_code
from mgrisk.score.column_names import FACTORS
from mgrisk.score.eligibility import EXCLUSION_COLUMNS
from mgrisk.score.file_names import Format, output_format
from mgrisk.score.formulas import csv_line, escape_formula
from mgrisk.score.input_schema import level_words
from mgrisk.score.outputs import open_lines
from mgrisk.score.sources import open_source
from mgrisk.storage.destinations import STREAM

Text = Annotated[str, Field(min_length=1)]


class MappedColumn(BaseModel):
    """Where a feature comes from."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    column: Text = Field(alias="from", description="Column of the extract")
    unit: str = Field(default="", description="Its unit where that is not the feature's, one of score/units.toml")
    factor: float = Field(
        default=1.0, allow_inf_nan=False, description="What its numbers are multiplied with, after the unit"
    )
    offset: float = Field(default=0.0, allow_inf_nan=False, description="What is then added")
    levels: dict[str, str] = Field(default={}, description="Code of the extract to level of the feature")
    missing: tuple[str, ...] = Field(default=(), description="Codes that mean missing, beside those for all columns")


class Mapping(BaseModel):
    """A mapping file."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    missing: tuple[str, ...] = Field(default=(), description="Codes that mean missing in every column")
    keep: dict[str, Text] = Field(
        default={}, description="Other columns to carry over, by new name: person_id, the outcome, a weight"
    )
    features: dict[str, MappedColumn] = Field(min_length=1, description="By name of the registry")


@dataclass
class Mapped:
    """What was done.

    Attributes
    ----------
    rows
        Rows in and out.
    missing
        Cells that are empty, by feature.
    as_they_are
        Cells that the mapping did not understand and left as they are, by feature.
    not_carried
        Columns of the extract that nothing was made of.
    """

    rows: int = 0
    missing: dict[str, int] = field(default_factory=dict)
    as_they_are: dict[str, int] = field(default_factory=dict)
    not_carried: tuple[str, ...] = ()


def read_mapping(path: Path) -> Mapping:
    """Read a mapping file.

    Raises
    ------
    MgRiskError
        `mapping.missing_file`, `mapping.not_toml`, `mapping.bad_value`, `mapping.unknown_feature`, `mapping.bad_unit`
        or `mapping.bad_level`; exit status 2.
    """
    content = read_toml(path, kind="mapping", prefix="mapping", hint="check the path")
    try:
        mapping = Mapping.model_validate(content)
    except ValidationError as problem:
        first = problem.errors()[0]
        place = ".".join(map(str, first["loc"]))
        raise _bad("bad_value", f"{place}: {first['msg']}", path, "see docs/how-to/own-cohort.md") from None
    if twice := sorted(set(mapping.keep) & set(mapping.features)):
        raise _bad("bad_value", f"{twice[0]} stands under [keep] and under [features]", path, "give one another name")
    for name, column in mapping.features.items():
        _check(name, column, path)
    return mapping


def map_file(source: str, mapping: Mapping, target: str, *, missing: Sequence[str] = ()) -> Mapped:
    """Write an extract in the shape of the scoring file, block by block.

    Parameters
    ----------
    source
        CSV or Parquet, as for `score`.
    mapping
        As read by `read_mapping`.
    target
        A CSV file, perhaps packed.
    missing
        Words that mean missing in every column, beside those of the list and of the mapping.

    Raises
    ------
    MgRiskError
        As `score_table`; `mapping.csv_only`; `mapping.missing_column` where the extract has not a column that the
        mapping names, `input.wrong_field_count` where a row has too many or too few cells, `mapping.infinite` where a
        number is infinite, or becomes so in another unit.
    """
    if target == STREAM or output_format(target) is not Format.CSV:
        raise usage("mapping.csv_only", "a mapped extract is written as CSV", where=target, hint="name a .csv file")
    done = Mapped()
    with open_source(source, folder=True) as table:
        named = {each.column for each in mapping.features.values()} | set(mapping.keep.values())
        _refuse_absent(named, table.columns, source)
        done.not_carried = tuple(name for name in table.columns if name not in named)
        with open_lines(target, [*mapping.keep, *mapping.features]) as output:
            for block in table.blocks():
                rows = table.read(block, ())
                if wrong := rows.checked.wrong_fields:
                    raise bad_input(
                        "input.wrong_field_count",
                        f"row {done.rows + min(wrong) + 1} has too many or too few cells",
                        where=source,
                        hint="mend the row: which cell is which cannot be told",
                    )
                extract = rows.texts(sorted(named))
                made = _mapped(extract, mapping, done, missing, where=source)
                lines = zip(*(column.tolist() for column in made), strict=True)
                output.lines(b"".join(csv_line([escape_formula(cell) for cell in line]) for line in lines))
                done.rows += len(extract)
    return done


def _mapped(
    extract: pd.DataFrame, mapping: Mapping, done: Mapped, missing: Sequence[str], *, where: str
) -> list[pd.Series]:
    columns = [extract[name] for name in mapping.keep.values()]
    for name, how in mapping.features.items():
        cells = extract[how.column].str.strip()
        named = (*missing, *mapping.missing, *how.missing)
        # A level may be called NA where nobody says that NA is missing.
        gone = cells.map(Missing.also(named).holds) & ~cells.isin(how.levels.keys() - named)
        known = cells
        if how.levels:
            known = cells.map(_levels(FEATURES[name], how, cells.unique()))
        elif FEATURES[name].kind == "number":
            numbers = _numbers(cells.mask(gone), FEATURES[name], how, rows_before=done.rows, where=where)
            if (how.unit, how.factor, how.offset) != ("", 1.0, 0.0):
                known = numbers.map(repr, na_action="ignore")
        strange = known.isna() & ~gone
        done.missing[name] = done.missing.get(name, 0) + int(gone.sum())
        done.as_they_are[name] = done.as_they_are.get(name, 0) + int(strange.sum())
        columns.append(known.where(~strange, cells).where(~gone, ""))
    return columns


def _numbers(cells: pd.Series, feature: Feature, how: MappedColumn, *, rows_before: int, where: str) -> pd.Series:
    """Return cells in the unit of the feature, NaN where they are no numbers; refuse what is infinite."""
    numbers = pd.to_numeric(cells, errors="coerce").astype(np.float64)
    numbers = numbers * (how.factor * _factor(feature, how.unit)) + how.offset
    infinite = np.isinf(numbers.to_numpy())
    if infinite.any():
        raise bad_input(
            "mapping.infinite",
            f"the {feature.name} of row {rows_before + int(np.argmax(infinite)) + 1} is infinite",
            where=f"{where}: column {how.column}",
            hint="mend the cell, or name its code under `missing` in the mapping",
        )
    return numbers


def _levels(feature: Feature, how: MappedColumn, cells: Iterable[str]) -> dict[str, str]:
    """Return the level of each cell that has one: as it is written in the mapping, or the same as number or boolean."""
    words = level_words(feature)
    codes: dict[float | str, str] = {word: feature.levels[words[word]] for word in BOOLEANS if word in words}
    codes |= {as_code(code): level for code, level in reversed(how.levels.items())}
    found = {cell: how.levels.get(cell) or codes.get(as_code(cell)) for cell in cells}
    return {cell: level for cell, level in found.items() if level}


def _check(name: str, column: MappedColumn, path: Path) -> None:
    known = {each for each, row in FEATURES.items() if row.given} | {*EXCLUSION_COLUMNS}
    if name not in known:
        near = difflib.get_close_matches(name, sorted(known), n=1)
        hint = f"did you mean {near[0]}?" if near else "`mgrisk schema` lists them; other columns go under [keep]"
        raise _bad("unknown_feature", f"{name} is no feature of a scoring file", path, hint)
    feature = FEATURES[name]
    if math.isnan(_factor(feature, column.unit)):
        units = ", ".join(_factors(feature))
        hint = f"one of {units}, or give a factor" if units else "give a factor"
        raise _bad("bad_unit", f"{name}: {column.unit!r} is not converted", path, hint)
    wrong = sorted(set(column.levels.values()) - set(feature.levels))
    if wrong or (column.levels and feature.kind == "number"):
        levels = ", ".join(feature.levels) or "it is a number"
        raise _bad("bad_level", f"{name} has no level {', '.join(wrong)}", path, f"its levels: {levels}")


def _factor(feature: Feature, unit: str) -> float:
    """Return what a number in a unit is multiplied with to be in the feature's own; NaN where nobody declared it."""
    if not unit or feature.name.endswith(f"_{unit}"):
        return 1.0
    return _factors(feature).get(unit, math.nan)


def _factors(feature: Feature) -> dict[str, float]:
    return {given: factor for (given, meant), factor in FACTORS.items() if feature.name.endswith(f"_{meant}")}


def _refuse_absent(named: Iterable[str], columns: list[str], source: str) -> None:
    for name in sorted(named):
        if name not in columns:
            near = difflib.get_close_matches(name, columns, n=1)
            raise bad_input(
                "mapping.missing_column",
                f"the extract has no column {name}",
                where=source,
                hint=f"did you mean {near[0]}?" if near else "mend the mapping, or take the line out",
            )


def _bad(code: str, message: str, path: Path, hint: str) -> MgRiskError:
    return usage(f"mapping.{code}", message, where=str(path), hint=hint)

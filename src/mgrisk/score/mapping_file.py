"""Read mapping files, which define the format of an extract and how columns of a scoring file derive from it.

A mapping is declarative: it names columns, units, codes and dates with a fixed set of keys, and has no expressions.
"""

from __future__ import annotations

import difflib
import math
import re
from datetime import date
from pathlib import Path
from typing import Annotated, Final, Literal, Self

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, model_validator

from mgrisk.config.checked import first_problem
from mgrisk.config.toml import read_toml
from mgrisk.errors import MgRiskError, usage
from mgrisk.features.registry import FEATURES, Feature
from mgrisk.score.cells import BOOLEANS, NUMBER
from mgrisk.score.column_names import FACTORS
from mgrisk.score.csv.dialect import UTF_8, Dialect
from mgrisk.score.eligibility import EXCLUSION_COLUMNS

YES, NO = BOOLEANS["true"], BOOLEANS["false"]
BOOLEAN: Final = {YES: ("true", "t", "yes", "y", "1"), NO: ("false", "f", "no", "n", "0")}
"""The codes of `levels = "boolean"`."""
FEET_AND_INCHES: Final = "ft_in"
CONVERSIONS: Final = ("unit", "factor", "offset")
READINGS: Final = ("constant", "levels", "age_at", "year", "part")
"""How a cell may be read if it is not a plain number or text; at most one of them."""
ISO_DATE: Final = "%Y-%m-%d"
DATE_PARTS: Final = frozenset("YmbBdHMSfIp")
"""Directives allowed in a date format."""

Text = Annotated[str, Field(min_length=1)]


def _listed(value: object) -> object:
    return (value,) if isinstance(value, str) else value


def _decodes(name: str) -> str:
    try:
        "".encode(name)
    except (LookupError, ValueError):
        raise ValueError("no encoding of texts, such as utf-8, cp1252 or utf-16") from None
    return name


def _whole_dates(formats: tuple[str, ...]) -> tuple[str, ...]:
    for each in formats:
        parts = re.findall("%(.)", each)
        if "y" in parts:
            raise ValueError("a year of two digits (%y) is ambiguous: export dates with %Y")
        month = {"m", "b", "B"} & {*parts}
        if not {"Y", "d"} <= {*parts} <= DATE_PARTS or len(month) != 1 or len({*parts}) != each.count("%"):
            raise ValueError("a date has a year (%Y), a month (%m, %b or %B) and a day (%d), such as %d.%m.%Y")
    return formats


Columns = Annotated[tuple[Text, ...], BeforeValidator(_listed), Field(max_length=1000)]


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class ExtractFormat(_Part):
    """Format of the extract, if it is not comma-separated UTF-8 with decimal points and ISO dates."""

    encoding: Annotated[str, AfterValidator(_decodes)] = Field(default=UTF_8, description="cp1252, utf-16, latin-1")
    separator: str = Field(default=",", pattern=r'^[^"\r\n\x00]$', description="Separator between cells")
    decimal: Literal[".", ","] = Field(default=".", description="Decimal separator")
    thousands: Literal["", ",", ".", " ", "'"] = Field(default="", description="Thousands separator")
    dates: Annotated[tuple[Text, ...], BeforeValidator(_listed), AfterValidator(_whole_dates)] = Field(
        default=(ISO_DATE,), min_length=1, max_length=10, description="Date formats; the first that fits is used"
    )

    @model_validator(mode="after")
    def _two_signs(self) -> Self:
        if self.decimal == self.thousands:
            raise ValueError("decimal and thousands are the same character")
        return self

    @property
    def dialect(self) -> Dialect:
        """The dialect of its text."""
        return Dialect(self.encoding, self.separator)

    @property
    def usual_numbers(self) -> bool:
        """Whether numbers are written as in a scoring file."""
        return (self.decimal, self.thousands) == (".", "")


class People(_Part):
    """How the rows of a person are identified, if there are several."""

    person: Text = Field(description="Column that identifies the person")
    last_by: str = Field(default="", description="Column with the date that orders rows; otherwise file order")


class Exclude(_Part):
    """Rows that are excluded."""

    column: Text = Field(alias="from", description="Column of the extract")
    codes: tuple[str, ...] = Field(min_length=1, description="Codes or patterns")


class MappedColumn(_Part):
    """Definition of an output column."""

    columns: Columns = Field(default=(), alias="from", description="Column of the extract, or several")
    combine: Literal["any", "all", "sum", "mean"] | None = Field(
        default=None, description="How several columns are combined"
    )
    rows: Literal["last", "any", "all", "sum", "mean"] = Field(
        default="last", description="How several rows of a person are merged"
    )
    constant: str = Field(default="", description="The same value for all people; without `from`")
    levels: Literal["boolean"] | dict[str, str | tuple[str, ...]] = Field(
        default={}, description='code = "level", or level = ["code", "pattern*"]; or "boolean"'
    )
    age_at: date | Text | None = Field(
        default=None, description="Date, or column of dates, up to which the completed years since `from` are counted"
    )
    year: bool = Field(default=False, description="The year of a date")
    part: Literal[1, 2] | None = Field(default=None, description="The first or second number of 128/82")
    unit: str = Field(default="", description="Its unit if not that of the feature, one of score/units.toml")
    factor: float = Field(default=1.0, description="Factor for its numbers, after unit conversion")
    offset: float = Field(default=0.0, description="Added after the factor")
    empty: float | None = Field(default=None, description="Value of an empty cell in a sum")
    missing: tuple[str, ...] = Field(default=(), description="Codes that mean missing, besides those for all columns")

    @model_validator(mode="after")
    def _one_meaning(self) -> Self:
        named = self.readings
        taken = {self.combine, self.rows}
        converted = any(getattr(self, name) != MappedColumn.model_fields[name].default for name in CONVERSIONS)
        for wrong, why in (
            (bool(self.constant) == bool(self.columns), "exactly one of `from` and `constant` is needed"),
            (len(named) > 1, f"{' and '.join(named)} at once"),
            ((len(self.columns) > 1) != bool(self.combine), "`combine` is needed for several columns, and only then"),
            (bool(self.age_at or self.year) and len(self.columns) > 1, "a date is in one column"),
            (bool(taken & {"any", "all"}) and named != ["levels"], "any and all need the levels yes and no"),
            (bool(taken & {"any", "all"}) and not self.level_names <= {YES, NO}, "any and all need levels yes and no"),
            (bool(taken & {"sum", "mean"}) and named not in ([], ["part"]), "sums and means need numbers"),
            (converted and named not in ([], ["part"]), "unit, factor and offset need numbers"),
            (self.empty is not None and "sum" not in taken, "`empty` is for a sum"),
        ):
            if wrong:
                raise ValueError(why)
        return self

    @property
    def readings(self) -> list[str]:
        """How its cells are read if they are not plain numbers or texts; at most one."""
        return [name for name in READINGS if getattr(self, name) not in ("", {}, None, False)]

    @property
    def carried(self) -> bool:
        """Whether the cells are copied without being interpreted; not for features."""
        return not (self.readings or self.numeric or self.combine or self.missing)

    @property
    def codes(self) -> list[tuple[str, str]]:
        """Codes and patterns with their levels, in order."""
        levels = BOOLEAN if self.levels == "boolean" else self.levels
        return [
            (code, level)
            for key, value in levels.items()
            for code, level in ([(key, value)] if isinstance(value, str) else [(code, key) for code in value])
        ]

    @property
    def level_names(self) -> set[str]:
        """The levels that are named."""
        if self.levels == "boolean":
            return {YES, NO}
        return {value if isinstance(value, str) else key for key, value in self.levels.items()}

    @property
    def numeric(self) -> bool:
        """Whether its source columns must be numeric."""
        return (
            self.part is not None
            or not {"sum", "mean"}.isdisjoint({self.combine, self.rows})
            or (self.unit, self.factor, self.offset) != ("", 1.0, 0.0)
        )

    @property
    def reads(self) -> tuple[str, ...]:
        """Every column of the extract that it uses."""
        return (*self.columns, self.age_at) if isinstance(self.age_at, str) else self.columns

    def words(self) -> str:
        """Describe the definition in words."""
        if self.constant:
            return f"{self.constant} for all people"
        found = " + ".join(self.columns) if self.combine == "sum" else ", ".join(self.columns)
        if self.combine and self.combine != "sum":
            found = f"{self.combine} of {found}"
        if self.part:
            found = f"number {self.part} of {found}"
        if self.year:
            found = f"year of {found}"
        if self.age_at:
            found = f"completed years from {found} to {self.age_at}"
        return found if self.rows == "last" else f"{found}; {self.rows} of a person's rows"


def _plain(value: object) -> object:
    return {"from": value} if isinstance(value, str) else value


class Mapping(_Part):
    """A mapping file."""

    file: ExtractFormat = Field(default=ExtractFormat(), description="Format of the extract")
    missing: tuple[str, ...] = Field(default=(), description="Codes that mean missing in every column")
    exclude: tuple[Exclude, ...] = Field(default=(), max_length=1000, description="Rows to exclude")
    people: People | None = Field(default=None, description="How several rows of a person are merged")
    keep: dict[str, Annotated[MappedColumn, BeforeValidator(_plain)]] = Field(
        default={}, description="Other columns to copy, by new name: person_id, the outcome, a weight"
    )
    features: dict[str, MappedColumn] = Field(min_length=1, description="Definitions by feature name")

    @model_validator(mode="after")
    def _rows_of_people(self) -> Self:
        for name, column in self.columns.items():
            if column.rows != "last" and self.people is None:
                raise ValueError(f"{name}: `rows` needs [people], which identifies the person of a row")
        return self

    @property
    def columns(self) -> dict[str, MappedColumn]:
        """The columns of the output, in order."""
        return {**self.keep, **self.features}

    @property
    def reads(self) -> set[str]:
        """Every column of the extract that is used."""
        of_people = () if self.people is None else (self.people.person, self.people.last_by)
        named = {name for column in self.columns.values() for name in column.reads}
        return (named | {each.column for each in self.exclude} | set(of_people)) - {""}


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
        raise _bad("bad_value", first_problem(problem), path, "see docs/how-to/map-an-export.md") from None
    if twice := sorted(set(mapping.keep) & set(mapping.features)):
        raise _bad("bad_value", f"{twice[0]} is under both [keep] and [features]", path, "rename one of them")
    for name, column in mapping.keep.items():
        if column.unit:
            raise _bad("bad_unit", f"{name}: {column.unit!r} is not converted", path, "give a factor")
        if "" in column.level_names:
            raise _bad("bad_level", f"a level of {name} has no name", path, "name codes that mean missing in `missing`")
    for name, column in mapping.features.items():
        _check(name, column, path)
    return mapping


def factor_of(feature: Feature, unit: str) -> float:
    """Return the factor that converts a unit to that of the feature; NaN for an undeclared unit.

    Examples
    --------
    >>> factor_of(FEATURES["height_cm"], "in"), factor_of(FEATURES["height_cm"], "lb")
    (2.54, nan)
    """
    if not unit or feature.name.endswith(f"_{unit}"):
        return 1.0
    # Feet and inches are read as inches.
    return _factors(feature).get("in" if unit == FEET_AND_INCHES else unit, math.nan)


def _factors(feature: Feature) -> dict[str, float]:
    return {given: factor for (given, meant), factor in FACTORS.items() if feature.name.endswith(f"_{meant}")}


def _check(name: str, column: MappedColumn, path: Path) -> None:
    known = {each for each, row in FEATURES.items() if row.given} | {*EXCLUSION_COLUMNS}
    if name not in known:
        near = difflib.get_close_matches(name, sorted(known), n=1)
        hint = f"did you mean {near[0]}?" if near else "`mgrisk schema` lists them; other columns go under [keep]"
        raise _bad("unknown_feature", f"{name} is not a feature of a scoring file", path, hint)
    feature = FEATURES[name]
    if math.isnan(factor_of(feature, column.unit)):
        units = ", ".join(_factors(feature))
        hint = f"one of {units}, or give a factor" if units else "give a factor"
        raise _bad("bad_unit", f"{name}: {column.unit!r} is not converted", path, hint)
    number = feature.kind == "number"
    named = column.level_names | ({column.constant} - {""})
    if number and not column.levels:
        named = {each for each in named if not NUMBER.fullmatch(each)}
    wrong = sorted(named - set(feature.levels))
    if wrong or (number and column.levels):
        raise _bad("bad_level", f"{name} has no level {', '.join(wrong)}", path, f"its levels: {_levels(feature)}")
    if not number and (column.numeric or column.age_at or column.year):
        raise _bad("bad_value", f"{name} is not a number", path, f"its levels: {_levels(feature)}")
    if column.age_at and feature.unit != "years":
        raise _bad("bad_value", f"{name} is not an age in years", path, "use age_at for age_years")


def _levels(feature: Feature) -> str:
    return ", ".join(feature.levels) or "it is a number"


def _bad(code: str, message: str, path: Path, hint: str) -> MgRiskError:
    return usage(f"mapping.{code}", message, where=str(path), hint=hint)

"""All variables in CDC's codebook of these cycles, including those without a row in `variables/`.

`codebook.parquet`, written by tools/codebook_answers.py, is CDC's codebook: cycle, table, variable, label, question,
target population, and each code or range with its label and the number of people. Unit, missing codes and answer codes
are derived from these texts by rule; for the variables that mgrisk itself uses they are set by hand in `variables/`.
The subsample is that of the table.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cache
from importlib.resources import files
from types import MappingProxyType
from typing import Any, Final, NamedTuple

import pyarrow as pa
import pyarrow.parquet as pq

from mgrisk.config.toml import rows
from mgrisk.nhanes.codebook import VARIABLES, Variable
from mgrisk.nhanes.cycles import CYCLES
from mgrisk.survey.design import WeightLevel

NO_ANSWER: Final = re.compile(
    r"(sp )?refus(ed|al)|(do ?n.?t know|unknown)(/not sure)?|could not (obtain|determine)|cannot (be )?ascertain.*",
    re.IGNORECASE,
)
"""Labels of codes that mean no answer."""
BLANK: Final = frozenset({"", ".", "< blank >"})
RANGE: Final = re.compile(r"(-?[\d.]+) to (-?[\d.]+)")
NUMBER: Final = re.compile(r"-?\d*\.?\d+")


class Table(NamedTuple):
    """Subsample of a table, and its rows for each person: ``one``, ``several``, or ``none`` (a list not of people)."""

    level: WeightLevel
    rows: str = "one"


@cache
def tables() -> dict[str, Table]:
    """Return every table of `variables/` and tables.toml, by its name without the cycle's suffix."""
    found = {row["name"]: Table(WeightLevel(row["level"]), row.get("rows", "one")) for row in _rows_of_tables()}
    for item in VARIABLES.values():
        # A weight has the level of its subsample; the lowest level in a table is that of everyone in the table.
        known = found.get(item.table)
        level = item.level if known is None else min(known.level, item.level, key=lambda level: level.rank)
        found[item.table] = Table(level, "several" if item.records else "one")
    return found


def _rows_of_tables() -> list[dict[str, Any]]:
    return rows("mgrisk.nhanes", "tables.toml", "table")


@cache
def _codebook() -> tuple[pa.Table, dict[str, list[int]]]:
    """Return CDC's codebook, and the row numbers of each variable in it."""
    with files("mgrisk.nhanes").joinpath("codebook.parquet").open("rb") as file:
        table = pq.read_table(file)
    places: dict[str, list[int]] = {}
    for place, name in enumerate(table.column("variable").to_pylist()):
        places.setdefault(name, []).append(place)
    return table, places


def names() -> Iterator[str]:
    """Yield the name of every variable that CDC documents in these tables."""
    yield from _codebook()[1]


@cache
def documents(table: str, cycle: str) -> bool:
    """Return whether the codebook has a table (named without its suffix) of a cycle.

    Examples
    --------
    >>> documents("GHB", "2017-2018"), documents("GHB", "2021-2023")
    (True, False)
    """
    found, _ = _codebook()
    return (table, cycle) in zip(found.column("table").to_pylist(), found.column("cycle").to_pylist(), strict=True)


def documentation(name: str) -> list[dict[str, Any]]:
    """Return CDC's codebook entries of a variable by cycle: cycle, table, file, label, question, target, codes.

    Examples
    --------
    >>> [row["file"] for row in documentation("SLQ050")][:2]
    ['SLQ_D', 'SLQ_E']
    >>> documentation("SLQ050")[-1]["codes"][0]
    {'code': '1', 'words': 'Yes', 'count': 2738}
    """
    table, places = _codebook()
    found: list[dict[str, Any]] = table.take(pa.array(places.get(name, []), pa.int64())).to_pylist()
    years = [each.years for each in CYCLES]
    return sorted(found, key=lambda row: years.index(row["cycle"]))


class Hit(NamedTuple):
    """A variable found by a search: latest label, table without the cycle's suffix, and cycles that have it."""

    name: str
    table: str
    label: str
    cycles: tuple[str, ...]


def search(text: str) -> list[Hit]:
    """Return the variables whose name, label or question contains every word of a text, sorted by table and name.

    Examples
    --------
    >>> [hit.name for hit in search("trouble sleeping")]
    ['SLQ050', 'SLQ080']
    """
    words = text.casefold().split()
    table, places = _codebook()
    texts = zip(
        *(table.column(name).to_pylist() for name in ("variable", "label", "question")),
        strict=True,
    )
    fits = [all(word in " ".join(filter(None, row)).casefold() for word in words) for row in texts]
    found = []
    for name in (name for name, rows_of in places.items() if any(fits[place] for place in rows_of)):
        entries = documentation(name)
        cycles = tuple(row["cycle"] for row in entries)
        found.append(Hit(name, entries[-1]["table"], entries[-1]["label"], cycles))
    return sorted(found, key=lambda hit: (hit.table, hit.name))


def counts(name: str) -> list[str]:
    """Return a line for each file that has a variable: CDC's labels of the codes, with the number of people.

    Examples
    --------
    >>> counts("SLQ050")[-1]
    "2017-2020 P_SLQ: Yes 2,738; No 7,449; Refused 2; Don't know 6; Missing 0"
    """
    return [
        f"{row['cycle']} {row['file']}: "
        + "; ".join(f"{code['words']} {code['count']:,}" for code in row["codes"] if code["count"] is not None)
        for row in documentation(name)
    ]


@cache
def documented(name: str) -> Variable | None:
    """Return a variable as CDC's codebook describes it, or None if it is not in the codebook.

    Of several tables with the variable, one with one row for each person is chosen first, then the one that has it in
    most cycles. Labels are those of the latest cycle. None is also returned for a variable whose missing code is a
    valid number in another cycle (ALQ130, SMD233).

    Parameters
    ----------
    name
        NHANES name, in capitals.

    Examples
    --------
    >>> sleep = documented("SLQ050")
    >>> sleep.table, str(sleep.level), sorted(sleep.missing), dict(sleep.codes)
    ('SLQ', 'interview', [7.0, 9.0], {'1': 'Yes', '2': 'No'})
    """
    by_table: dict[str, list[dict[str, Any]]] = {}
    for row in documentation(name):
        by_table.setdefault(row["table"], []).append(row)
    if not by_table:
        return None
    table = max(by_table, key=lambda each: (tables()[each].rows == "one", len(by_table[each])))
    found = by_table[table]
    labels = {code["code"]: code["words"] for row in found for code in row["codes"] if code["code"] not in BLANK}
    missing = {code: words for code, words in labels.items() if NUMBER.fullmatch(code) and NO_ANSWER.fullmatch(words)}
    answers = {code: words for code, words in labels.items() if code not in missing}
    spans = [
        (float(low), float(high))
        for code in answers
        if (span := RANGE.fullmatch(code))
        for low, high in [span.groups()]
    ]
    codes = {code: words for code, words in answers.items() if not RANGE.fullmatch(code)}
    unit, label = _unit(found[-1]["label"], codes, spanned=bool(spans))
    if any(low <= float(code) <= high for code in missing for low, high in spans):
        return None
    numbers = [*(bound for span in spans for bound in span), *(float(code) for code in codes if NUMBER.fullmatch(code))]
    return Variable(
        name=name,
        table=table,
        level=tables()[table].level,
        unit=unit,
        label=label,
        missing=frozenset(float(code) for code in missing),
        names=MappingProxyType({row["cycle"]: name for row in found}),
        minimum=None if unit in ("code", "text") else min(numbers, default=None),
        maximum=None if unit in ("code", "text") else max(numbers, default=None),
        codes=MappingProxyType({} if unit == "text" else codes),
        records=tables()[table].rows != "one",
    )


def _unit(label: str, codes: dict[str, str], *, spanned: bool) -> tuple[str, str]:
    """Return unit and label; the unit is ``code``, ``text``, the text in brackets at the label's end, or else 1."""
    if any(not NUMBER.fullmatch(code) for code in codes):
        return "text", label
    counts = sum(words.strip().split(" ")[0] == code for code, words in codes.items())
    if not spanned and codes and 2 * counts <= len(codes):
        return "code", label
    named = re.fullmatch(r"(.*\S)\s*\(([^()]+)\)", label)
    return (named[2], named[1]) if named else ("1", label)

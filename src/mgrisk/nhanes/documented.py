"""The variables that CDC documents in the tables of these cycles, also those that no row of `variables/` describes.

`codebook.parquet` is CDC's codebook in CDC's words: cycle, table, variable, label, question, who was asked, and each
code or range with its words and the number of people that CDC counted (tools/codebook_answers.py writes it). What
`variables/` says by hand of the variables that mgrisk itself uses is read off these words here, by rule; the subsample
is that of the table.
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
"""Words of the codes that mean no answer."""
BLANK: Final = frozenset({"", ".", "< blank >"})
RANGE: Final = re.compile(r"(-?[\d.]+) to (-?[\d.]+)")
NUMBER: Final = re.compile(r"-?\d*\.?\d+")


class Table(NamedTuple):
    """Of whom a table is: the subsample, and whether it has one row for each person, several, or is a list of none."""

    level: WeightLevel
    rows: str = "one"


@cache
def tables() -> dict[str, Table]:
    """Return every table by its name without the cycle's suffix: those of `variables/` and of tables.toml."""
    found = {row["name"]: Table(WeightLevel(row["level"]), row.get("rows", "one")) for row in _rows_of_tables()}
    for item in VARIABLES.values():
        # A weight has the level that it is for; of all others in a table the first is that of all who are in it.
        known = found.get(item.table)
        level = item.level if known is None else min(known.level, item.level, key=lambda level: level.rank)
        found[item.table] = Table(level, "several" if item.records else "one")
    return found


def _rows_of_tables() -> list[dict[str, Any]]:
    return rows("mgrisk.nhanes", "tables.toml", "table")


@cache
def _codebook() -> tuple[pa.Table, dict[str, list[int]]]:
    """Return CDC's codebook, and where in it each variable stands."""
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
    """Whether the codebook has a table, named without its suffix, of a cycle.

    Examples
    --------
    >>> documents("GHB", "2017-2018"), documents("GHB", "2021-2023")
    (True, False)
    """
    found, _ = _codebook()
    return (table, cycle) in zip(found.column("table").to_pylist(), found.column("cycle").to_pylist(), strict=True)


def documentation(name: str) -> list[dict[str, Any]]:
    """Return CDC's rows of a variable, the oldest cycle first: cycle, table, file, label, question, target, codes.

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
    """A variable that a search found: its latest label, its table without the cycle's suffix, and who has it."""

    name: str
    table: str
    label: str
    cycles: tuple[str, ...]


def search(text: str) -> list[Hit]:
    """Return the variables whose name, label or question has every word of a text, by table and name.

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
        told = documentation(name)
        found.append(Hit(name, told[-1]["table"], told[-1]["label"], tuple(row["cycle"] for row in told)))
    return sorted(found, key=lambda hit: (hit.table, hit.name))


def counts(name: str) -> list[str]:
    """Return a line for each file that has a variable: CDC's words and its number of people for each of them.

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
    """Return what CDC's codebook says of a variable, or None where it does not have it.

    A name that stands in several tables is that of the one with one row for each person, and then of the one that had
    it in most cycles. Of words that differ between cycles the latest are taken. A variable whose code for no answer is
    a number of something in another cycle is not there: it is two (ALQ130 and SMD233).

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
    said = {code["code"]: code["words"] for row in found for code in row["codes"] if code["code"] not in BLANK}
    missing = {code: words for code, words in said.items() if NUMBER.fullmatch(code) and NO_ANSWER.fullmatch(words)}
    answers = {code: words for code, words in said.items() if code not in missing}
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
    """Return unit and label: ``code`` for answers in words, ``text``, or what the label has in brackets, else 1."""
    if any(not NUMBER.fullmatch(code) for code in codes):
        return "text", label
    counts = sum(words.strip().split(" ")[0] == code for code, words in codes.items())
    if not spanned and codes and 2 * counts <= len(codes):
        return "code", label
    named = re.fullmatch(r"(.*\S)\s*\(([^()]+)\)", label)
    return (named[2], named[1]) if named else ("1", label)

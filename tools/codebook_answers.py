"""Write CDC's codebook into src/mgrisk/nhanes: answers.toml (variables in use) and codebook.parquet (all of it).

    python tools/codebook_answers.py CODEBOOK_FOLDER

CODEBOOK_FOLDER holds CDC's codebook as codebook_codes.csv.xz, codebook_variables.csv.xz and codebook_tables.csv.xz.
Run it again when a variable or a cycle is added.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from mgrisk.nhanes import codebook
from mgrisk.nhanes.codebook import VARIABLES, Variable
from mgrisk.nhanes.cycles import CYCLES, OPTIONAL
from mgrisk.storage.files import write_text

HEAD = """\
# Ranges and answer codes of the variables in variables/, over all cycles that mgrisk reads.
#
#   minimum, maximum  smallest and largest value in CDC's codebook of any cycle
#   codes             answers and top codes with CDC's labels, as in the latest cycle that has the code
#
# Written by tools/codebook_answers.py, not by hand.
# Source: CDC/NCHS codebook page of each table.
"""


def rows(codes: pd.DataFrame, item: Variable) -> pd.DataFrame:
    """Return CDC's codes of a variable by cycle, without those that mean missing."""
    parts = [
        codes[(codes["Variable"].str.upper() == item.name_in(each)) & (codes["TableName"] == each.table(item.table))]
        for each in CYCLES
        if item.name_in(each) is not None
    ]
    found = pd.concat(parts)
    number = pd.to_numeric(found["CodeOrValue"], errors="coerce")
    return found[~found["CodeOrValue"].isin(["", ".", "< blank >"]) & ~number.isin(list(item.missing))]


def describe(item: Variable, found: pd.DataFrame) -> str:
    """Return the row of a variable in TOML."""
    ranges = found["CodeOrValue"].str.partition(" to ")
    spans = ranges[1] != ""
    numbers = pd.concat([pd.to_numeric(ranges[0], errors="coerce"), pd.to_numeric(ranges.loc[spans, 2])]).dropna()
    lines = ["[[answers]]", f"name = {json.dumps(item.name)}"]
    if spans.any() or item.unit not in ("code", "text"):
        lines += [f"minimum = {float(numbers.min())!r}", f"maximum = {float(numbers.max())!r}"]
    said = dict(found.loc[~spans, ["CodeOrValue", "ValueDescription"]].to_numpy().tolist())
    if item.unit != "people" and said:
        known = sorted(said, key=lambda code: (not code.replace(".", "").isdigit(), code))
        lines += ["[answers.codes]", *(f"{json.dumps(code)} = {json.dumps(said[code])}" for code in known)]
    return "\n".join(lines) + "\n"


def content(codes: pd.DataFrame) -> str:
    """Return the whole file of answers."""
    return "\n".join(
        [HEAD, *(describe(item, rows(codes, item)) for item in VARIABLES.values() if item.table not in OPTIONAL)]
    )


def place(file: str, first: int) -> tuple[str, list[str]]:
    """Return the cycle of a CDC file, and the names without suffix of the tables in it."""
    known = {item.table for item in VARIABLES.values()}
    for each in (each for each in CYCLES if each.first == first and file.startswith("P_") == bool(each.prefix)):
        of_file = [name for name in sorted(known - each.absent.keys()) if each.table(name) == file]
        return each.years, of_file or [file.removeprefix(each.prefix).removesuffix(each.suffix)]
    raise ValueError(f"{file}: no cycle begins in {first}")


def whole(variables: pd.DataFrame, codes: pd.DataFrame, tables: pd.DataFrame) -> pa.Table:
    """Return the whole codebook: a row for each variable of each file, its codes in CDC's order."""
    said: dict[tuple[str, str], list[dict[str, object]]] = {}
    for file, name, code, words, count in zip(
        codes["TableName"], codes["Variable"], codes["CodeOrValue"], codes["ValueDescription"], codes["Count"],
        strict=True,
    ):  # fmt: skip
        row = {"code": code, "words": words, "count": int(count or 0)}
        said.setdefault((file, name.upper()), []).append(row)
    places = {
        file: place(file, int(first)) for file, first in zip(tables["TableName"], tables["BeginYear"], strict=True)
    }
    usual = {  # of a file with two tables: the table that has the variable in other cycles
        (name.upper(), of_file[0])
        for name, file in zip(variables["Variable"], variables["TableName"], strict=True)
        if len(of_file := places[file][1]) == 1
    }
    found = []
    for name, file, label, question, target in zip(
        variables["Variable"].str.upper(), variables["TableName"], variables["SasLabel"], variables["Description"],
        variables["Target"], strict=True,
    ):  # fmt: skip
        years, of_file = places[file]
        table = next((each for each in of_file if (name, each) in usual), of_file[0])
        found.append(
            {"cycle": years, "table": table, "file": file, "variable": name, "label": label, "question": question,
             "target": target, "codes": said.get((file, name), [])}
        )  # fmt: skip
    return pa.Table.from_pylist(found)


def read(folder: Path) -> tuple[pd.DataFrame, ...]:
    """Return codes, variables and tables of a folder."""
    return tuple(
        pd.read_csv(folder / f"codebook_{name}.csv.xz", dtype=str, keep_default_na=False)
        for name in ("codes", "variables", "tables")
    )


if __name__ == "__main__":
    of_codes, of_variables, of_tables = read(Path(sys.argv[1]))
    here = Path(codebook.__file__)
    write_text(here.with_name("answers.toml"), content(of_codes))
    everything = whole(of_variables, of_codes, of_tables)
    pq.write_table(everything, here.with_name("codebook.parquet"), compression="zstd", compression_level=19)

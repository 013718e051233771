"""Write src/mgrisk/nhanes/answers.toml, ranges and answer codes, from CDC's codebook.

    python tools/codebook_answers.py CODEBOOK_FOLDER

CODEBOOK_FOLDER holds codebook_codes.csv.xz (README of the mirror). To be run again when a variable or a cycle is added.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pandas as pd

from mgrisk.nhanes import codebook
from mgrisk.nhanes.codebook import VARIABLES, Variable
from mgrisk.nhanes.cycles import CYCLES, OPTIONAL
from mgrisk.storage.files import write_text

HEAD = """\
# Ranges and answers of the variables in variables/, over all cycles that mgrisk reads.
#
#   minimum, maximum  smallest and largest value that CDC counted in any cycle
#   codes             answers and top codes with CDC's words for them, as in the latest cycle that has the code
#
# Written by tools/codebook_answers.py, not by hand.
# Source: CDC/NCHS codebook page of each table.
"""


def rows(codes: pd.DataFrame, item: Variable) -> pd.DataFrame:
    """Return CDC's codes of a variable, cycle by cycle, without those that mean no answer."""
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


def content(folder: Path) -> str:
    """Return the whole file."""
    codes = pd.read_csv(folder / "codebook_codes.csv.xz", dtype=str, keep_default_na=False)
    return "\n".join(
        [HEAD, *(describe(item, rows(codes, item)) for item in VARIABLES.values() if item.table not in OPTIONAL)]
    )


if __name__ == "__main__":
    write_text(Path(codebook.__file__).with_name("answers.toml"), content(Path(sys.argv[1])))

"""Write src/mgrisk/nhanes/published_rows.toml from CDC's codebook: the number of records of each table.

usage: python tools/published_rows.py CODEBOOK_FOLDER

For each code of a variable the codebook gives the number of people and the cumulative number; the last one is the
number of records of the table. The most common total over the variables of a table is used.
"""

from __future__ import annotations

import collections
import csv
import io
import lzma
import sys
from pathlib import Path

TARGET = Path(__file__).parents[1] / "src" / "mgrisk" / "nhanes" / "published_rows.toml"
# CDC replaces look-up tables with every release, and the totals of one table differ from its file by three records.
LEFT_OUT = {"DSPI", "DSII", "DSBI", "DSQ2_D"}
HEAD = """\
# Records of each NHANES table on CDC's codebook pages (tools/published_rows.py); a file with fewer is truncated.
# A file cut off at the end of both a record and an 80-byte card looks complete.
source = "CDC/NCHS, NHANES codebook pages: last running total of each table's variables"
"""


def main(folder: Path) -> None:
    totals: dict[str, dict[str, int]] = collections.defaultdict(dict)
    with lzma.open(folder / "codebook_codes.csv.xz") as packed:
        for row in csv.DictReader(io.TextIOWrapper(packed, encoding="utf-8")):
            if row["Cumulative"].strip().isdigit():
                of_table = totals[row["TableName"]]
                of_table[row["Variable"]] = max(of_table.get(row["Variable"], 0), int(row["Cumulative"]))
    rows = {
        table: collections.Counter(of_table.values()).most_common(1)[0][0]
        for table, of_table in sorted(totals.items())
        if table not in LEFT_OUT
    }
    TARGET.write_text(HEAD + "\n[rows]\n" + "".join(f"{table} = {n}\n" for table, n in rows.items()), encoding="utf-8")
    sys.stdout.write(f"{len(rows)} tables in {TARGET}\n")


if __name__ == "__main__":
    main(Path(sys.argv[1]))

"""Food-pattern equivalents (FPED) that USDA releases for NHANES, read from the folder in `MGRISK_FOOD_PATTERNS`.

USDA gives the cup and ounce equivalents of food groups that each participant ate on each recalled day, in one file for
each day and cycle, such as ``FPED_DR1TOT_1718.sas7bdat``. CDC's site does not have them.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import numpy as np
import pandas as pd

from mgrisk.errors import bad_source
from mgrisk.nhanes import xpt
from mgrisk.nhanes.codebook import KEY
from mgrisk.nhanes.cycles import Cycle
from mgrisk.nhanes.harmonise import TableRead
from mgrisk.nhanes.lock_file import digest

DAYS: Final = (1, 2)
READABLE: Final = (".sas7bdat", ".csv", ".xpt")


def files(folder: Path | None, cycle: Cycle) -> tuple[Path, ...]:
    """Return the files of both days of a cycle; empty if no folder is set or it does not have both files.

    Raises
    ------
    MgRiskError
        ``food_patterns.no_folder``; ``food_patterns.several`` if a day has two files.
    """
    if folder is None:
        return ()
    if not folder.is_dir():
        raise bad_source(
            "food_patterns.no_folder",
            "the folder of food-pattern files does not exist",
            where=str(folder),
            hint="check MGRISK_FOOD_PATTERNS",
        )
    years = "".join(year[2:] for year in cycle.years.split("-"))
    found = [_of_day(folder, rf"fped_dr{day}tot_{years}") for day in DAYS]
    return tuple(path for path in found if path is not None) if None not in found else ()


def read(paths: Sequence[Path], cycle: Cycle, columns: Sequence[str]) -> tuple[list[pd.DataFrame], list[TableRead]]:
    """Read the food-pattern amounts of both days.

    Parameters
    ----------
    paths
        Files, as returned by `files`.
    cycle
        Cycle of the files.
    columns
        Food patterns to read, without the prefix of the day: ``F_TOTAL`` for ``DR1T_F_TOTAL``.

    Returns
    -------
    list of pandas.DataFrame, list of TableRead
        For each day a frame of SEQN (int64) and the columns (cup or ounce equivalents, or teaspoons), and its
        provenance.

    Raises
    ------
    MgRiskError
        ``food_patterns.absent_column``, and the errors of `mgrisk.nhanes.xpt.read`.
    """
    days, provenance = [], []
    for day, path in zip(DAYS, paths, strict=True):
        table = _table(path)
        table.columns = table.columns.str.upper()
        wanted = {f"DR{day}T_{name}": name for name in columns}
        absent = [name for name in (KEY, *wanted) if name not in table]
        if absent:
            raise bad_source(
                "food_patterns.absent_column",
                f"{len(absent)} columns are not in this file",
                where=str(path),
                hint="use the daily totals of each person (FPED_DR1TOT, FPED_DR2TOT) as USDA releases them",
                got=", ".join(absent),
            )
        days.append(table[[KEY, *wanted]].rename(columns=wanted).astype({KEY: np.int64}))
        provenance.append(
            TableRead(cycle.years, path.stem, len(table), path.stat().st_size, digest(path), synthetic=False)
        )
    return days, provenance


def _of_day(folder: Path, stem: str) -> Path | None:
    known = [each for each in sorted(folder.iterdir()) if each.suffix.lower() in READABLE]
    found = [each for each in known if re.fullmatch(stem, each.stem, flags=re.IGNORECASE)]
    if len(found) > 1:
        raise bad_source(
            "food_patterns.several",
            f"{len(found)} files for one day",
            where=str(folder),
            hint="keep one of them",
            got=", ".join(each.name for each in found),
        )
    return found[0] if found else None


def _table(path: Path) -> pd.DataFrame:
    suffix = path.suffix.lower()
    if suffix == ".xpt":
        return xpt.read(path)
    return pd.read_csv(path) if suffix == ".csv" else pd.read_sas(path, format="sas7bdat")

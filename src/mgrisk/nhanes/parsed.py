"""Tables as Parquet beside the transport files they were read from, for the runs that follow.

The file of a table is named by the sha256 of the transport file and the version of the reader, and says both
inside, with the number of rows: one that does not agree, or that cannot be read, is thrown away and made again.

Measured (benchmarks/read_xpt.py, one core): of a small table (DEMO) and of one of 12 MB (DR1TOT), 12 columns take
longer from Parquet than from the transport file, 1.2 to 1.5 times; of one of 75 MB (DR1IFF) they take 0.5 to 0.7
times as long, about a fifth of what the whole transport file takes. So only tables of that size, the recalled
foods and supplements, get a Parquet file. The sha256 of such a table takes as long as three or four of these
reads: the store has it anyway for what is in its cache, and for what is not it is computed once a process.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Final

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from mgrisk.artifacts import atomic
from mgrisk.nhanes import xpt
from mgrisk.nhanes.file_lock import file_lock
from mgrisk.nhanes.lock_file import digest

READER: Final = 1
"""Version of what `mgrisk.nhanes.xpt.read` makes of a file; a change of that is a change of this."""

WORTH_IT: Final = 32 << 20
"""Bytes of a transport file below which the file itself is read: that is as fast."""

_FOLDER: Final = "parsed"
_LOCK: Final = ".lock"
_SHA: Final = b"mgrisk.sha256"
_READER: Final = b"mgrisk.reader"
_ROWS: Final = b"mgrisk.rows"


def read_table(
    path: Path | str,
    *,
    columns: Sequence[str] | None = None,
    cache: Path | None = None,
    sha256: str | None = None,
    worth_it: int = WORTH_IT,
) -> pd.DataFrame:
    """Read a table, by way of its Parquet file where that is faster.

    Parameters
    ----------
    path
        A SAS transport file.
    columns
        Names of the columns wanted, in the order wanted; all by default.
    cache
        Folder of the cache; Parquet files are below it in ``parsed/``. None reads the transport file.
    sha256
        Of the transport file, where it is known (`LockedTable.sha256`); else it is computed, once for each
        state of the file.
    worth_it
        Bytes of a transport file from which it gets a Parquet file.

    Returns
    -------
    pandas.DataFrame
        The very frame that `mgrisk.nhanes.xpt.read` returns.

    Raises
    ------
    MgRiskError
        As `mgrisk.nhanes.xpt.read`. A Parquet file that cannot be written is no error: the table is there.

    Examples
    --------
    >>> read_table("DR1IFF_J.xpt", columns=["SEQN", "DR1IMAGN"], cache=Path("cache"))  # doctest: +SKIP
    """
    path = Path(path)
    if cache is None or not path.is_file() or path.stat().st_size < worth_it:
        return xpt.read(path, columns=columns)
    if columns is not None and (isinstance(columns, str) or len(set(columns)) < len(columns)):
        return xpt.read(path, columns=columns)  # which says what is wrong with them
    sha256 = sha256 or digest(path)
    parquet = parquet_of(cache, sha256)
    frame = _believed(parquet, sha256, columns)
    if frame is not None:
        return frame
    frame = xpt.read(path, columns=columns)
    whole = frame if columns is None else xpt.read(path)
    try:
        with file_lock(parquet.with_name(_LOCK)):
            _write(whole, parquet, sha256)
    except OSError:
        # A full disk, a cache that is read-only: the next run will have to read the transport file again.
        pass
    return frame


def parquet_of(cache: Path, sha256: str) -> Path:
    """Return where the Parquet file of a transport file is or would be."""
    return cache / _FOLDER / f"{sha256}-{READER}.parquet"


def _believed(parquet: Path, sha256: str, columns: Sequence[str] | None) -> pd.DataFrame | None:
    """Return the columns if they are there and to be believed; remove the file if it is not."""
    try:
        with pq.ParquetFile(parquet, memory_map=True, page_checksum_verification=True) as found:
            said = found.schema_arrow.metadata or {}
            if not _about(sha256, found.metadata.num_rows).items() <= said.items():
                raise pa.ArrowInvalid("made from another file, or by another reader")
            if columns is not None and not set(columns) <= set(found.schema_arrow.names):
                return None  # the transport file has no such column either, and `xpt.read` will say so
            frame: pd.DataFrame = found.read(columns=columns, use_threads=False).to_pandas(use_threads=False)
    except FileNotFoundError:
        return None
    except (pa.ArrowException, OSError, UnicodeDecodeError):
        parquet.unlink(missing_ok=True)
        return None
    return frame if columns is None else frame[list(columns)]


def _about(sha256: str, rows: int) -> dict[bytes, bytes]:
    return {_SHA: sha256.encode(), _READER: str(READER).encode(), _ROWS: str(rows).encode()}


def _write(frame: pd.DataFrame, parquet: Path, sha256: str) -> None:
    # From NumPy arrays: then a NaN stays the number it is and does not become a null.
    columns = {
        name: pa.array(column.to_numpy() if column.dtype == "float64" else column) for name, column in frame.items()
    }
    table = pa.table(columns).replace_schema_metadata(_about(sha256, len(frame)))
    with atomic(parquet) as part:
        # Codes and recalled amounts repeat: dictionaries make the file small, and lz4 costs next to nothing.
        pq.write_table(table, part, compression="lz4", write_page_checksum=True)

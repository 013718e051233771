"""Raw tables from a folder laid out like the CDC site, or from a web site through a local cache.

Tables in the cache are locked: `lock.json` records the size, sha256 and number of rows of each table at first use. A
file that differs later stops the run, whether it changed on disk or at the source. A folder belongs to the user and is
read without a lock. Several processes may share a cache: each table is downloaded under its own lock, and `lock.json`
is changed under another.

*Parquet copies.* Large tables are also kept as Parquet for later runs (`read_table`). The sha256 of the transport file
and the version of the reader are in the file's name and, with the number of rows, in its metadata. A Parquet file that
does not match, or cannot be read, is deleted and written again.

Measured with benchmarks/read_xpt.py on one core: reading 12 columns of a small table (DEMO) or of a 12 MB table
(DR1TOT) takes 1.2 to 1.5 times as long from Parquet as from the transport file. For a 75 MB table (DR1IFF) it takes 0.5
to 0.7 times as long, about a fifth of the time for all columns of the transport file. So only tables of that size
(recalled foods and supplements) are written as Parquet. Computing the sha256 of such a table takes as long as three or
four of these reads; the store already has it for tables in its cache, and computes it once per process for others.
"""

from __future__ import annotations

import os
import re
import time
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Final
from urllib.parse import urlsplit
from urllib.request import url2pathname

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from mgrisk.errors import ExitStatus, MgRiskError, bad_source
from mgrisk.nhanes import xpt
from mgrisk.nhanes.download import PAUSES, addresses, download, forget
from mgrisk.nhanes.lock_file import LockedTable, LockFile, digest, refuse_cut_file
from mgrisk.storage.destinations import folders_above, writes_to
from mgrisk.storage.files import atomic
from mgrisk.storage.lock import exclusive_lock
from mgrisk.storage.temporary import sweep

CDC: Final = "https://wwwn.cdc.gov/Nchs/Data/Nhanes/"
"""Base address of the tables, since CDC moved them in November 2024."""
_LOCK_FILE: Final = "lock.json"
_LOCKS: Final = ".locks"


def default_cache() -> Path:
    """Return the folder of downloaded tables: ``$MGRISK_CACHE``, or ``~/.cache/mgrisk/nhanes``."""
    return Path(os.environ.get("MGRISK_CACHE") or Path.home() / ".cache" / "mgrisk" / "nhanes")


def default_source() -> str:
    """Return the default source: ``$MGRISK_NHANES`` (folder or address), or the CDC site."""
    return os.environ.get("MGRISK_NHANES") or CDC


def default_food_patterns() -> Path | None:
    """Return the folder of USDA's food-pattern files, ``$MGRISK_FOOD_PATTERNS``, or None where it is not set."""
    named = os.environ.get("MGRISK_FOOD_PATTERNS")
    return Path(named) if named else None


@dataclass(frozen=True)
class FetchResult:
    """One locally available table.

    Attributes
    ----------
    relative
        Path relative to the source.
    path
        The local file.
    size
        Size in bytes.
    was_there
        Whether it was available without a download.
    """

    relative: str
    path: Path
    size: int
    was_there: bool


@dataclass(frozen=True)
class Store:
    """A source of raw tables.

    Attributes
    ----------
    source
        A folder (or ``file://`` address) laid out like the CDC site, or the base address of a web site; the
        CDC site by default.
    cache
        Folder for downloaded tables, with a subfolder for each web site, laid out like the CDC site.
    offline
        Whether to use only the cache and never a web site.
    pauses
        Seconds to wait before each retry of a download.
    sleep
        Function that waits for a number of seconds.
    food_patterns
        Folder of USDA's food-pattern files, which NHANES sites do not have; None where not set.

    Examples
    --------
    >>> Store(source="/data/nhanes").path("Public/2017/DataFiles/DEMO_J.xpt")  # doctest: +SKIP
    PosixPath('/data/nhanes/Public/2017/DataFiles/DEMO_J.xpt')
    """

    source: str | None = None
    cache: Path = field(default_factory=default_cache)
    offline: bool = False
    pauses: tuple[float, ...] = PAUSES
    sleep: Callable[[float], None] = field(default=time.sleep, repr=False, compare=False)
    food_patterns: Path | None = field(default_factory=default_food_patterns)

    def path(self, relative: str) -> Path:
        """Return the local file of a table, downloading it first if needed.

        Parameters
        ----------
        relative
            Path relative to the source, for example ``"Public/2017/DataFiles/DEMO_J.xpt"``.

        Raises
        ------
        MgRiskError
            ``store.missing_source``, ``store.missing_table``, ``store.offline``, ``store.changed``,
            ``store.cannot_write``, ``store.bad_lock``, and what `download` and `published.refuse_cut_file` raise.
        """
        return self.obtain(relative).path

    def obtain(self, relative: str) -> FetchResult:
        """Like `path`, but also return the size and whether a download was needed. Raises as `path`."""
        local, was_there = self.local(relative), True
        folder = self.folder()
        if folder is not None:
            _expect_in(folder, local)
            refuse_cut_file(local, local.stem, where=str(local))
        elif local.is_file():
            self._check_lock(relative, local, where=str(local))
        else:
            was_there = self._fetch(relative, local)
        return FetchResult(relative, local, local.stat().st_size, was_there)

    def digest(self, relative: str) -> str:
        """Return the sha256 of the local file of a table; raises `OSError` if there is none."""
        return digest(self.local(relative))

    def local(self, relative: str) -> Path:
        """Return the path of the local file of a table, whether or not it exists."""
        if PurePosixPath(relative).is_absolute() or ".." in PurePosixPath(relative).parts:
            raise ValueError(f"not a path relative to the source: {relative!r}")
        folder = self.folder()
        if folder is None:
            # One subfolder for each site, because two sites may have different files of the same table.
            folder = self.cache / re.sub(r"[^A-Za-z0-9.-]+", "_", self._base().partition("://")[2]).strip("_")
        return folder / relative

    def lacks(self, relative: str) -> bool:
        """Return whether the source is a folder without this table; always False for a web site, which is not asked."""
        return self.folder() is not None and not self.local(relative).is_file()

    def folder(self) -> Path | None:
        """Return the source folder, or None if the source is a web site."""
        scheme = urlsplit(self._base()).scheme
        if scheme in ("http", "https"):
            return None
        if scheme == "file":
            return Path(url2pathname(urlsplit(self._base()).path))
        return Path(self._base()).expanduser()

    def locked(self) -> dict[str, LockedTable]:
        """Return the records of the cache's lock file, by address."""
        return self._lock_file().tables()

    def _base(self) -> str:
        return self.source or CDC

    def _url(self, relative: str) -> str:
        return f"{self._base().rstrip('/')}/{relative}"

    def _fetch(self, relative: str, local: Path) -> bool:
        """Download a table; return True if another process downloaded it in the meantime."""
        url = self._url(relative)
        if self.offline:
            raise bad_source(
                "store.offline",
                "this table is not in the cache and the store is offline",
                where=str(local),
                hint=f"fetch it from {url} without --offline, or set --source to a folder that has it",
            )
        # A fixed name, so that the next process can find and continue the partial file; the lock excludes others.
        part = local.with_name(f".{local.name}.part")
        with (
            writes_to(local, hint="free disk space, or set MGRISK_CACHE to another folder"),
            folders_above(local),
            exclusive_lock(self._lock_of(str(local.relative_to(self.cache)))),
        ):
            if local.is_file():
                self._check_lock(relative, local, where=str(local))
                return True
            found = download(addresses(self._base(), relative), part, pauses=self.pauses, sleep=self.sleep)
            try:
                with part.open("rb") as written:
                    os.fsync(written.fileno())
                self._check_lock(relative, part, where=found, url=found)
                part.replace(local)
            except BaseException:  # Ctrl-C too: a download that was not accepted must not be continued later
                forget(part)
                raise
        return False

    def _lock_of(self, name: str) -> Path:
        return self.cache / _LOCKS / f"{re.sub(r'[^A-Za-z0-9.-]+', '_', name)}.lock"

    def _check_lock(self, relative: str, file: Path, *, where: str, url: str = "") -> None:
        self._lock_file().check(self._url(relative), file, where=where, url=url)

    def _lock_file(self) -> LockFile:
        return LockFile(self.cache / _LOCK_FILE, guard=self._lock_of(_LOCK_FILE))


def _expect_in(folder: Path, local: Path) -> None:
    if not folder.is_dir():
        raise bad_source(
            "store.missing_source",
            "the source folder does not exist",
            where=str(folder),
            hint="check --source or MGRISK_NHANES",
        )
    if not local.is_file():
        raise bad_source(
            "store.missing_table",
            "the source does not have this table",
            where=str(local),
            hint="put the table there under this name, or leave the cycle out",
        )


def fetch(
    store: Store,
    relatives: Iterable[str],
    *,
    workers: int = 4,
    progress: Callable[[FetchResult | MgRiskError, int, int], None] | None = None,
) -> list[FetchResult]:
    """Download tables that are not yet local, several at a time.

    Parameters
    ----------
    store
        Source of the tables.
    relatives
        Paths relative to the source; duplicates are fetched once.
    workers
        Number of simultaneous downloads.
    progress
        Called in this thread after each table with the result or error, the number done and the total.

    Returns
    -------
    list of FetchResult
        One for each table, in the order given.

    Raises
    ------
    MgRiskError
        After all have been tried: the error of the one table that failed, or ``store.fetch_failed`` with
        every failed table and the reason. Tables already downloaded stay in the cache.
    """
    wanted = list(dict.fromkeys(relatives))
    if store.folder() is None and store.cache.is_dir():
        sweep(store.cache)
    results: dict[str, FetchResult] = {}
    failures: dict[str, MgRiskError] = {}
    with ThreadPoolExecutor(max_workers=workers) as pool:
        running = {pool.submit(store.obtain, relative): relative for relative in wanted}
        try:
            for done, future in enumerate(as_completed(running), start=1):
                relative = running[future]
                outcome: FetchResult | MgRiskError
                try:
                    outcome = results[relative] = future.result()
                except MgRiskError as error:
                    outcome = failures[relative] = error
                if progress is not None:
                    progress(outcome, done, len(wanted))
        finally:
            pool.shutdown(wait=False, cancel_futures=True)
    if failures:
        raise _combined_error([failures[each] for each in wanted if each in failures], len(wanted))
    return [results[each] for each in wanted]


def _combined_error(failures: list[MgRiskError], wanted: int) -> MgRiskError:
    if len(failures) == 1:
        return failures[0]
    full = all(error.status is ExitStatus.INPUT for error in failures)  # the cache cannot be written
    return MgRiskError(
        "store.fetch_failed",
        f"{len(failures)} of {wanted} tables are not available",
        where="; ".join(f"{error.where}: {error.what()} [{error.code}]" for error in failures),
        hint="; ".join(dict.fromkeys(error.hint for error in failures)),
        status=ExitStatus.INPUT if full else ExitStatus.SOURCE,
    )


READER: Final = 1
"""Version of the output of `mgrisk.nhanes.xpt.read`; to be raised when that output changes."""
MIN_PARQUET_SIZE: Final = 32 << 20
"""Size in bytes of a transport file from which a Parquet copy is kept; smaller files are read as fast directly."""
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
    min_size: int = MIN_PARQUET_SIZE,
) -> pd.DataFrame:
    """Read a table, from its Parquet copy where that is faster.

    Parameters
    ----------
    path
        A SAS transport file.
    columns
        Names of the columns to read, in this order; all by default.
    cache
        Folder of the cache; Parquet files are in its subfolder ``parsed/``. None reads the transport file.
    sha256
        Sha256 of the transport file if known (`LockedTable.sha256`); computed otherwise, once for each state
        of the file.
    min_size
        Size in bytes of a transport file from which a Parquet copy is kept.

    Returns
    -------
    pandas.DataFrame
        The same frame that `mgrisk.nhanes.xpt.read` returns.

    Raises
    ------
    MgRiskError
        As `mgrisk.nhanes.xpt.read`. Failure to write the Parquet file is not an error.

    Examples
    --------
    >>> read_table("DR1IFF_J.xpt", columns=["SEQN", "DR1IMAGN"], cache=Path("cache"))  # doctest: +SKIP
    """
    path = Path(path)
    if cache is None or not path.is_file() or path.stat().st_size < min_size:
        return xpt.read(path, columns=columns)
    if columns is not None and (isinstance(columns, str) or len(set(columns)) < len(columns)):
        return xpt.read(path, columns=columns)  # raises the error about the columns
    sha256 = sha256 or digest(path)
    parquet = parquet_of(cache, sha256)
    frame = _read_parquet(parquet, sha256, columns)
    if frame is not None:
        return frame
    frame = xpt.read(path, columns=columns)
    whole = frame if columns is None else xpt.read(path)
    try:
        with exclusive_lock(parquet.with_name(_LOCK)):
            _write(whole, parquet, sha256)
    except MgRiskError:
        # A full disk or a read-only cache: the next run reads the transport file again.
        pass
    return frame


def parquet_of(cache: Path, sha256: str) -> Path:
    """Return the path of the Parquet copy of a transport file, whether or not it exists."""
    return cache / _FOLDER / f"{sha256}-{READER}.parquet"


def _read_parquet(parquet: Path, sha256: str, columns: Sequence[str] | None) -> pd.DataFrame | None:
    """Return the columns, or None if there is no valid copy; an invalid copy is removed."""
    try:
        with pq.ParquetFile(parquet, memory_map=True, page_checksum_verification=True) as found:
            metadata = found.schema_arrow.metadata or {}
            if not _metadata(sha256, found.metadata.num_rows).items() <= metadata.items():
                raise pa.ArrowInvalid("written from another file, or by another version of the reader")
            if columns is not None and not set(columns) <= set(found.schema_arrow.names):
                return None  # the transport file lacks the column too, and `xpt.read` raises the error
            frame: pd.DataFrame = found.read(columns=columns, use_threads=False).to_pandas(use_threads=False)
    except FileNotFoundError:
        return None
    except (pa.ArrowException, OSError, UnicodeDecodeError):
        parquet.unlink(missing_ok=True)
        return None
    return frame if columns is None else frame[list(columns)]


def _metadata(sha256: str, rows: int) -> dict[bytes, bytes]:
    return {_SHA: sha256.encode(), _READER: str(READER).encode(), _ROWS: str(rows).encode()}


def _write(frame: pd.DataFrame, parquet: Path, sha256: str) -> None:
    # From NumPy arrays, so that a NaN stays a NaN and does not become a null.
    columns = {
        name: pa.array(column.to_numpy() if column.dtype == "float64" else column) for name, column in frame.items()
    }
    table = pa.table(columns).replace_schema_metadata(_metadata(sha256, len(frame)))
    with atomic(parquet) as part:
        # Codes and recalled amounts repeat: dictionary encoding makes the file small, and lz4 is fast.
        pq.write_table(table, part, compression="lz4", write_page_checksum=True)

"""Where raw tables come from: a folder laid out like the CDC site, or a web site behind a cache.

What has entered the cache is locked: `lock.json` records the size, sha256 and number of rows of each table when it was
first used, and a file that differs later stops the run, whether it changed on the disk or at the source. A folder is
the user's own and is read as it is. Any number of processes may use one cache at once: each table is downloaded under a
lock of its own, and `lock.json` is changed under another.

*Parquet copies.* Large tables are kept as Parquet too, for the runs that follow (`read_table`). The file is named by
the sha256 of the transport file and the version of the reader, and says both inside, with the number of rows: one that
does not agree, or that cannot be read, is thrown away and made again.

Measured (benchmarks/read_xpt.py, one core): of a small table (DEMO) and of one of 12 MB (DR1TOT), 12 columns take
longer from Parquet than from the transport file, 1.2 to 1.5 times; of one of 75 MB (DR1IFF) they take 0.5 to 0.7 times
as long, about a fifth of what the whole transport file takes. So only tables of that size, the recalled foods and
supplements, get a Parquet file. The sha256 of such a table takes as long as three or four of these reads: the store has
it anyway for what is in its cache, and for what is not it is computed once a process.
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
"""Base address of the tables since CDC moved them in November 2024."""
_LOCK_FILE: Final = "lock.json"
_LOCKS: Final = ".locks"


def default_cache() -> Path:
    """Return the folder of fetched tables: ``$MGRISK_CACHE``, or ``~/.cache/mgrisk/nhanes``."""
    return Path(os.environ.get("MGRISK_CACHE") or Path.home() / ".cache" / "mgrisk" / "nhanes")


def default_source() -> str:
    """Return the source if nobody names one: ``$MGRISK_NHANES`` (folder or address), or the CDC site."""
    return os.environ.get("MGRISK_NHANES") or CDC


def default_food_patterns() -> Path | None:
    """Return the folder of USDA's food-pattern files, ``$MGRISK_FOOD_PATTERNS``, or None where it is not set."""
    named = os.environ.get("MGRISK_FOOD_PATTERNS")
    return Path(named) if named else None


@dataclass(frozen=True)
class FetchResult:
    """One table that is at hand.

    Attributes
    ----------
    relative
        Its path below the source.
    path
        The local file.
    size
        Bytes.
    was_there
        Whether it needed no download.
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
        Folder for what comes from a web site; a subfolder for each, itself laid out like the CDC site.
    offline
        Never ask a web site; what is in the cache is all there is.
    pauses
        Seconds before each further try of a download.
    sleep
        What waits so long.
    food_patterns
        Folder of USDA's food-pattern files, which no NHANES site has; None where nobody has named one.

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
        """Return a local file for a table, fetched first where need be.

        Parameters
        ----------
        relative
            Path below the source, for example ``"Public/2017/DataFiles/DEMO_J.xpt"``.

        Raises
        ------
        MgRiskError
            ``store.missing_source``, ``store.missing_table``, ``store.offline``, ``store.changed``,
            ``store.cannot_write``, ``store.bad_lock``, and what `download` and `published.refuse_cut_file` raise.
        """
        return self.obtain(relative).path

    def obtain(self, relative: str) -> FetchResult:
        """Do as `path` and tell more. Raises as `path`."""
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
        """Return the sha256 of a table that `path` gave; raises `OSError` where it is not there."""
        return digest(self.local(relative))

    def local(self, relative: str) -> Path:
        """Return where the local file of a table is or would be."""
        if PurePosixPath(relative).is_absolute() or ".." in PurePosixPath(relative).parts:
            raise ValueError(f"not a path below the source: {relative!r}")
        folder = self.folder()
        if folder is None:
            # One subfolder for each site: the same table of two sites is two files.
            folder = self.cache / re.sub(r"[^A-Za-z0-9.-]+", "_", self._base().partition("://")[2]).strip("_")
        return folder / relative

    def lacks(self, relative: str) -> bool:
        """Return whether the source is a folder without this table; what a web site has is known when it is asked."""
        return self.folder() is not None and not self.local(relative).is_file()

    def folder(self) -> Path | None:
        """Return the folder that is the source, or None where a web site is."""
        scheme = urlsplit(self._base()).scheme
        if scheme in ("http", "https"):
            return None
        if scheme == "file":
            return Path(url2pathname(urlsplit(self._base()).path))
        return Path(self._base()).expanduser()

    def locked(self) -> dict[str, LockedTable]:
        """Return what the lock file of the cache records, by address."""
        return self._lock_file().tables()

    def _base(self) -> str:
        return self.source or CDC

    def _url(self, relative: str) -> str:
        return f"{self._base().rstrip('/')}/{relative}"

    def _fetch(self, relative: str, local: Path) -> bool:
        """Download a table; return True if another process did so meanwhile."""
        url = self._url(relative)
        if self.offline:
            raise bad_source(
                "store.offline",
                "this table is not in the cache and the store is offline",
                where=str(local),
                hint=f"fetch it from {url} without --offline, or name a folder that has it as --source",
            )
        # Known by its name, so that the next process finds and continues it; the lock keeps others out.
        part = local.with_name(f".{local.name}.part")
        with (
            writes_to(local, hint="make room or set MGRISK_CACHE to another folder"),
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
            except BaseException:  # Ctrl-C too: a body that was not accepted must not be continued later
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
    """Bring tables to hand, several at a time.

    Parameters
    ----------
    store
        Where they come from.
    relatives
        Their paths below the source; one that comes twice is fetched once.
    workers
        Downloads at the same time.
    progress
        Called in this thread after each table with what came of it, how many are done and how many there are.

    Returns
    -------
    list of FetchResult
        One for each table, in the order asked for.

    Raises
    ------
    MgRiskError
        After all have been tried: the error of the one table that failed, or ``store.fetch_failed`` with
        every table that did and why. Those fetched stay in the cache.
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
        raise _together([failures[each] for each in wanted if each in failures], len(wanted))
    return [results[each] for each in wanted]


def _together(failures: list[MgRiskError], wanted: int) -> MgRiskError:
    if len(failures) == 1:
        return failures[0]
    full = all(error.status is ExitStatus.INPUT for error in failures)  # a cache that cannot be written, for all
    return MgRiskError(
        "store.fetch_failed",
        f"{len(failures)} of {wanted} tables cannot be had",
        where="; ".join(f"{error.where}: {error.what()} [{error.code}]" for error in failures),
        hint="; ".join(dict.fromkeys(error.hint for error in failures)),
        status=ExitStatus.INPUT if full else ExitStatus.SOURCE,
    )


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
        with exclusive_lock(parquet.with_name(_LOCK)):
            _write(whole, parquet, sha256)
    except MgRiskError:
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

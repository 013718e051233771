"""Where raw tables come from: a folder laid out like the CDC site, or a web site behind a cache.

What has entered the cache is locked: `lock.json` records the size, sha256 and number of rows of each table
when it was first used, and a file that differs later stops the run, whether it changed on the disk or at the
source. A folder is the user's own and is read as it is.

Any number of processes may use one cache at once: each table is downloaded under a lock of its own, and
`lock.json` is changed under another.
"""

from __future__ import annotations

import os
import re
import time
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Final
from urllib.parse import urlsplit
from urllib.request import url2pathname

from mgrisk.errors import MgRiskError, bad_source
from mgrisk.nhanes.addresses import addresses
from mgrisk.nhanes.download import PAUSES, download, forget
from mgrisk.nhanes.file_lock import file_lock, sweep
from mgrisk.nhanes.lock_file import LockedTable, LockFile, digest
from mgrisk.nhanes.published import refuse_cut_file

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
        try:
            local.parent.mkdir(parents=True, exist_ok=True)
            with file_lock(self._lock_of(str(local.relative_to(self.cache)))):
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
        except OSError as error:
            raise bad_source(
                "store.cannot_write",
                "the table cannot be written into the cache",
                where=str(local),
                hint="make room or set MGRISK_CACHE to another folder",
                got=str(error),
            ) from error
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
            hint="check --source or MGRISK_NHANES; unpack.py lays a mirror out",
        )
    if not local.is_file():
        raise bad_source(
            "store.missing_table",
            "the source does not have this table",
            where=str(local),
            hint="lay the mirror out with this cycle (unpack.py DEST YEAR), or leave the cycle out",
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
    return bad_source(
        "store.fetch_failed",
        f"{len(failures)} of {wanted} tables cannot be had",
        where="; ".join(f"{error.where}: {error.what()} [{error.code}]" for error in failures),
        hint="; ".join(dict.fromkeys(error.hint for error in failures)),
    )

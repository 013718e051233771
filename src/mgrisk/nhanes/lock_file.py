"""Checks that a table is unchanged since first use (`lock.json`) and complete (`published_rows.toml`).

The lock file records the size, sha256 and number of rows of each table of a cache at first use. A file that differs
later stops the run, whether it changed on disk or at the source. Records are only added; to accept a new file, the user
removes the old record.

Only CDC's published number of records shows that a file was cut off exactly between two records.
"""

from __future__ import annotations

import functools
import time
import tomllib
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from importlib.resources import files
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final

from mgrisk.errors import MgRiskError, bad_source
from mgrisk.nhanes import xpt
from mgrisk.nhanes.codebook import SYNTHETIC
from mgrisk.storage.files import read_json, sha256, write_json
from mgrisk.storage.lock import exclusive_lock


def _load() -> Mapping[str, int]:
    content = tomllib.loads(files("mgrisk.nhanes").joinpath("published_rows.toml").read_text("utf-8"))
    return MappingProxyType(dict(content["rows"]))


PUBLISHED_ROWS: Mapping[str, int] = _load()


def refuse_cut_table(table: str, rows: int, *, where: str) -> None:
    """Raise an error if a table has fewer records than CDC published; more records are accepted as an update.

    Parameters
    ----------
    table
        Name with the cycle's suffix or prefix, for example ``DEMO_J``; not checked without a published number.
    rows
        Number of records read.
    where
        File or address, for the error message.

    Raises
    ------
    MgRiskError
        `published.cut_table`.

    Examples
    --------
    >>> refuse_cut_table("DEMO_J", 9254, where="DEMO_J.xpt")
    """
    published = PUBLISHED_ROWS.get(table)
    if published is not None and rows < published:
        raise bad_source(
            "published.cut_table",
            "the file is truncated: it has fewer records than CDC published",
            where=where,
            expected=f"{published:,}",
            got=f"{rows:,}",
            hint="fetch the table again",
        )


def refuse_cut_file(file: Path, table: str, *, where: str) -> None:
    """Raise an error if a file is not a complete transport file, or has fewer records than CDC published.

    Parameters
    ----------
    file
        File to check; one with SYNTHETIC in its label may have any number of records.
    table, where
        As for `refuse_cut_table`.

    Raises
    ------
    MgRiskError
        As `nhanes.xpt.header` and `refuse_cut_table`.
    """
    head = xpt.header(file)
    if SYNTHETIC not in head.label:
        refuse_cut_table(table, head.n_rows, where=where)


VERSION: Final = 1
_SETTLED: Final = 2_000_000_000  # nanoseconds; the coarsest resolution of a file system's times (FAT)


@dataclass(frozen=True)
class LockedTable:
    """Record of a table at first use.

    Attributes
    ----------
    size
        Size in bytes.
    sha256
        Sha256 of the file, hexadecimal.
    rows
        Number of records.
    first_used
        Time of first use, UTC, ISO 8601.
    url
        Address of the download; empty if the file was already in the cache.
    """

    size: int
    sha256: str
    rows: int
    first_used: str
    url: str = ""


@dataclass(frozen=True)
class LockFile:
    """The lock file of a cache.

    Attributes
    ----------
    path
        Path of the file, which need not exist.
    guard
        File that a process locks while it changes the lock file.
    """

    path: Path
    guard: Path

    def tables(self) -> dict[str, LockedTable]:
        """Return the records by name of the table.

        Raises
        ------
        MgRiskError
            ``store.bad_lock`` if the file cannot be read, ``store.other_format`` if it has the format of another
            version of mgrisk.
        """
        if not self.path.is_file():
            return {}
        try:
            content = read_json(self.path)
            written = content.get("version", VERSION)
            if written == VERSION:
                return {name: LockedTable(**record) for name, record in content["tables"].items()}
        except (ValueError, TypeError, KeyError, AttributeError) as error:
            raise bad_source(
                "store.bad_lock",
                "the lock file of the cache cannot be read",
                where=str(self.path),
                hint="restore it, or remove it to lock the tables as they are now",
                got=f"{type(error).__name__}: {error}",
            ) from error
        raise bad_source(
            "store.other_format",
            "the lock file of the cache has another format",
            where=str(self.path),
            expected=str(VERSION),
            got=str(written),
            hint="use another cache (MGRISK_CACHE), or the version of mgrisk that wrote this one",
        )

    def check(self, name: str, file: Path, *, where: str, url: str = "") -> None:
        """Compare a file with its record, or add a record if there is none.

        Parameters
        ----------
        name
            Name of the record.
        file
            File to compare.
        where
            File or address, for the error message.
        url
            Address of the download, for a new record.

        Raises
        ------
        MgRiskError
            ``store.changed``, ``store.bad_lock``, and what `nhanes.xpt.header` raises.
        OSError
            If a record cannot be written.
        """
        size, content = file.stat().st_size, digest(file)
        known = self.tables().get(name)
        if known is None:
            rows = xpt.header(file).n_rows
            now = datetime.now(UTC).isoformat(timespec="seconds")
            known = self._add(name, LockedTable(size=size, sha256=content, rows=rows, first_used=now, url=url))
        if (known.size, known.sha256) != (size, content):
            raise bad_source(
                "store.changed",
                f"this table has changed since it was first used ({known.first_used})",
                where=where,
                hint=f"restore it, or, to use the new file, remove its record from "
                f"{self.path} and the old file from the cache",
                expected=f"{known.size} bytes, {known.rows} rows, sha256 {known.sha256[:12]}",
                got=f"{size} bytes, {_rows(file)} rows, sha256 {content[:12]}",
            )

    def _add(self, name: str, record: LockedTable) -> LockedTable:
        """Add a record, unless another process has added one; return the record in the file."""
        with exclusive_lock(self.guard):
            tables = self.tables()
            if name not in tables:
                tables[name] = record
                records: dict[str, Any] = {each: asdict(tables[each]) for each in sorted(tables)}
                write_json(self.path, {"version": VERSION, "tables": records})
            return tables[name]


def digest(path: Path) -> str:
    """Return the sha256 of a file; an unchanged file is not read again."""
    found = path.stat()
    if time.time_ns() - found.st_mtime_ns < _SETTLED:
        # Two changes within one tick of the file system's clock have the same time: do not cache yet.
        return sha256(path)
    return _digest_of(path, found.st_size, found.st_mtime_ns, found.st_ino)


@functools.lru_cache(maxsize=4096)
def _digest_of(path: Path, size: int, modified: int, inode: int) -> str:
    return sha256(path)


def _rows(file: Path) -> str:
    try:
        return str(xpt.header(file).n_rows)
    except MgRiskError:
        return "no readable"

"""`lock.json` and `published_rows.toml`: whether a table is still, and wholly, what it ought to be.

The lock file records what each table of a cache was when it was first used. A file that differs later stops the run,
whether it changed on the disk or at the source. Records are added and never changed; a person who wants the new file
removes the old record.

The number of records that CDC says a table has is the only way to see that a file was cut off at the border of a
record.
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
    """Stop where a table has fewer records than CDC published; more are an update of CDC's and pass.

    Parameters
    ----------
    table
        Name with the cycle's suffix or prefix, for example ``DEMO_J``; one without a published number passes.
    rows
        Records read.
    where
        File or address, for the error.

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
            "the table has fewer records than CDC published: the file has been cut off",
            where=where,
            expected=f"{published:,}",
            got=f"{rows:,}",
            hint="fetch the table again",
        )


def refuse_cut_file(file: Path, table: str, *, where: str) -> None:
    """Stop where a file is no whole transport file, or has fewer records than CDC published of the table.

    Parameters
    ----------
    file
        To be looked at; one whose label says SYNTHETIC may have any number of records.
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
_SETTLED: Final = 2_000_000_000  # nanoseconds: no clock of a file system is coarser (FAT)


@dataclass(frozen=True)
class LockedTable:
    """What a table was when it was first used.

    Attributes
    ----------
    size
        Bytes.
    sha256
        Of the file, hexadecimal.
    rows
        Records in it.
    first_used
        Time, UTC, ISO 8601.
    url
        The address that had it; empty where the file was in the cache already.
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
        Of the file; it need not exist.
    guard
        The file whose lock a process holds while it changes this one.
    """

    path: Path
    guard: Path

    def tables(self) -> dict[str, LockedTable]:
        """Return the records by name of the table.

        Raises
        ------
        MgRiskError
            ``store.bad_lock`` where they cannot be read, ``store.other_format`` where another version of mgrisk wrote
            them in another form.
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
                hint="restore it; or remove it to lock the tables as they are now",
                got=f"{type(error).__name__}: {error}",
            ) from error
        raise bad_source(
            "store.other_format",
            "the lock file of the cache is of another format",
            where=str(self.path),
            expected=str(VERSION),
            got=str(written),
            hint="use another cache (MGRISK_CACHE), or the mgrisk version that wrote it",
        )

    def check(self, name: str, file: Path, *, where: str, url: str = "") -> None:
        """Compare a file with its record, or make the record if there is none.

        Parameters
        ----------
        name
            Of the table, the same each time.
        file
            What is to be compared.
        where
            For the message: the file itself, or where it comes from.
        url
            The address that had it, for a new record.

        Raises
        ------
        MgRiskError
            ``store.changed``, ``store.bad_lock``, and what `nhanes.xpt.header` raises.
        OSError
            Where a record cannot be written.
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
                f"this table is not what it was when it was first used ({known.first_used})",
                where=where,
                hint=f"restore it; or, to go on with the new one, remove its record from "
                f"{self.path} and the file from the cache",
                expected=f"{known.size} bytes, {known.rows} rows, sha256 {known.sha256[:12]}",
                got=f"{size} bytes, {_rows(file)} rows, sha256 {content[:12]}",
            )

    def _add(self, name: str, record: LockedTable) -> LockedTable:
        """Add a record, unless another process has done so; return the one that holds."""
        with exclusive_lock(self.guard):
            tables = self.tables()
            if name not in tables:
                tables[name] = record
                records: dict[str, Any] = {each: asdict(tables[each]) for each in sorted(tables)}
                write_json(self.path, {"version": VERSION, "tables": records})
            return tables[name]


def digest(path: Path) -> str:
    """Return the sha256 of a file; one that has not been touched since is not read again."""
    found = path.stat()
    if time.time_ns() - found.st_mtime_ns < _SETTLED:
        # Two changes within one tick of the file system's clock look like one: remember nothing yet.
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

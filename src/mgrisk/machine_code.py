"""Compile loops with numba, and keep the machine code in a cache folder.

The folder is named by a digest of every module that compiles anything. numba itself checks only the file of the loop,
and would run stale code after a change to a function in another file that the loop calls.

Files in the folder are executed. It is therefore used only where nobody but the user and root can write
(docs/threat-model.md); without such a folder, each process compiles its loops again.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import stat
import sys
from collections.abc import Callable
from contextlib import suppress
from functools import cache
from pathlib import Path
from pickle import UnpicklingError  # nosec B403  # its error alone
from typing import Any, Final, cast

import llvmlite.binding
import numba
from numba.core.caching import CompileResultCacheImpl, FunctionCache, InTreeCacheLocator

PACKAGE: Final = Path(__file__).parent
COMPILES: Final = b"from mgrisk.compiled import"
COMPILERS: Final = ("compiled.py", "machine_code.py")
DAMAGED: Final = (EOFError, UnpicklingError)
"""What numba raises on a file that a power failure has cut short."""
KEPT: Final = 8
"""Cache folders of other sources, processors or numba versions that are kept beside the one in use."""


def loop(function: Callable[..., object]) -> Any:
    """Compile a loop that releases the GIL, or load its machine code from the cache folder."""
    made = numba.njit(nogil=True)(function)
    if cache_folder() is not None:
        # numba raises this for a folder that cannot be written.
        with suppress(RuntimeError):
            made._cache = _Cache(function)
    return made


@cache
def cache_folder() -> Path | None:
    """Return the cache folder of this version, created if missing; None where no folder is safe or possible.

    It is in ``$NUMBA_CACHE_DIR``, or else in the user's cache folder.
    """
    try:
        folder = (_root() / f"compiled-{_digest()}").resolve()
        missing = [each for each in (folder, *folder.parents) if not each.is_dir()]
        for each in reversed(missing):
            each.mkdir(mode=0o700, exist_ok=True)
        safe = _only_ours(folder)
    except (OSError, RuntimeError):  # RuntimeError: the user has no home directory
        return None
    if safe and missing:
        _remove_old(folder.parent)
    return folder if safe else None


def _root() -> Path:
    if numba.config.CACHE_DIR:
        return Path(numba.config.CACHE_DIR) / "mgrisk"
    variable = "LOCALAPPDATA" if sys.platform == "win32" else "XDG_CACHE_HOME"
    usual = {"win32": "AppData/Local", "darwin": "Library/Caches"}.get(sys.platform, ".cache")
    named = Path(os.environ.get(variable, ""))
    # The XDG specification: a path that is not absolute is ignored.
    return (named if named.is_absolute() else Path.home() / usual) / "mgrisk"


def _remove_old(root: Path) -> None:
    """Remove all but the newest folders of other versions; a process that still reads a removed one compiles again."""
    with suppress(OSError):
        by_age = sorted(root.glob("compiled-*"), key=lambda each: each.stat().st_mtime)
        for old in by_age[: -KEPT - 1]:
            shutil.rmtree(old, ignore_errors=True)


def _digest() -> str:
    """Return a digest of everything the machine code depends on: sources, processor and versions."""
    sources = {path.relative_to(PACKAGE).as_posix(): path.read_bytes() for path in PACKAGE.rglob("*.py")}
    found = hashlib.sha256()
    for name in sorted(sources):
        if COMPILES in sources[name] or name in COMPILERS:
            found.update(b"%s %d " % (name.encode(), len(sources[name])) + sources[name])
    processor = llvmlite.binding.get_host_cpu_name(), llvmlite.binding.get_host_cpu_features().flatten()
    found.update(repr((numba.__version__, processor)).encode())
    return found.hexdigest()[:16]


def _only_ours(folder: Path) -> bool:
    """Return whether only the user and root can write in a folder or replace it."""
    if sys.platform == "win32":
        return True  # access control lists, which Python does not read, keep a user's folder private there
    for place in (folder, *folder.parents):
        found = place.stat()
        if found.st_uid not in (0, os.geteuid()):
            return False
        # In a sticky folder, such as /tmp, only the owner can replace an entry.
        others_write = found.st_mode & (stat.S_IWGRP | stat.S_IWOTH)
        if others_write and (place == folder or not found.st_mode & stat.S_ISVTX):
            return False
    return True


class _Locator(InTreeCacheLocator):  # type: ignore[misc]  # numba is untyped
    """Use this cache folder only. It may be read-only, with machine code from when a container image was built."""

    def get_cache_path(self) -> str:
        return str(Path(cast(Path, cache_folder()), self.get_suitable_cache_subpath(self._py_file)))

    def ensure_cache_path(self) -> None:
        Path(self.get_cache_path()).mkdir(mode=0o700, exist_ok=True)


class _Implementation(CompileResultCacheImpl):  # type: ignore[misc]
    _locator_classes = (_Locator,)


class _Cache(FunctionCache):  # type: ignore[misc]
    """Machine code on disk. Where the disk is full or read-only nothing is cached, and the loop runs all the same."""

    _impl_class = _Implementation

    def load_overload(self, sig: Any, target_context: Any) -> Any:
        try:
            return super().load_overload(sig, target_context)
        except DAMAGED:
            with suppress(OSError):
                self.flush()
            return None

    def save_overload(self, sig: Any, data: Any) -> None:
        with suppress(OSError, *DAMAGED):
            super().save_overload(sig, data)

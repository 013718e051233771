"""Write files and folders atomically, and read and write JSON, Parquet and arrays."""

from __future__ import annotations

import ctypes
import errno
import hashlib
import io
import json
import math
import os
import re
import shutil
import stat
import sys
import tempfile
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from mgrisk.storage.destinations import folders_above, open_stream, output_file, prepare_folder, writes_to
from mgrisk.storage.temporary import aside, temporary

SUMS: Final = "SHA256SUMS"
_HERE: Final = -100  # AT_FDCWD: names are relative to the current folder
_EXCHANGE: Final = 2  # RENAME_EXCHANGE
# Control characters, characters that reverse the text direction, and surrogates from file names that are not UTF-8.
_UNSEEN: Final = re.compile(r"[\x7f-\x9f\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069\ud800-\udfff]")
LARGEST_UNPACKED = 256 * 2**20  # bytes; tables of attributions are a few megabytes


@contextmanager
def atomic(path: Path) -> Iterator[Path]:
    """Yield a temporary file that becomes `path` if the block succeeds, and is removed if not.

    `path` follows the rules of `mgrisk.storage.destinations`: the target of a link is replaced, and a stream gets the
    content at the end of the block. A replaced file keeps its permissions.

    Raises
    ------
    MgRiskError
        Those of `destinations.output_file` and `output.cannot_write`.

    Examples
    --------
    >>> target = Path(tempfile.mkdtemp()) / "numbers.txt"
    >>> with atomic(target) as part:
    ...     _ = part.write_text("1 2 3")
    >>> target.read_text()
    '1 2 3'
    """
    file = output_file(path)
    if file is None:
        with tempfile.TemporaryDirectory() as folder:
            part = Path(folder) / path.name
            yield part
            with part.open("rb") as content, open_stream(path) as stream:
                shutil.copyfileobj(content, stream)
        return
    part = temporary(file)
    with writes_to(file), folders_above(file):
        # Exclusive creation, so that no existing file or link is opened.
        os.close(os.open(part, os.O_CREAT | os.O_EXCL, 0o666))
        try:
            yield part
            with part.open("r+b") as written:
                os.fsync(written.fileno())
            if file.exists():
                part.chmod(stat.S_IMODE(file.stat().st_mode))
            part.replace(file)
        finally:
            part.unlink(missing_ok=True)


@contextmanager
def atomic_folder(path: Path, *, is_ours: Callable[[Path], bool] | None = None) -> Iterator[Path]:
    """Yield a temporary folder that replaces `path`, with SHA256SUMS, if the block succeeds.

    Parameters
    ----------
    path
        Missing, empty, or a folder that mgrisk wrote.
    is_ours
        Returns whether mgrisk wrote a folder; by default `is_intact`.

    Raises
    ------
    MgRiskError
        Those of `destinations.prepare_folder` and `output.cannot_write`.
    """
    path = prepare_folder(path, is_ours=is_ours or is_intact)
    part = temporary(path)
    with writes_to(path), folders_above(path):
        part.mkdir()
        try:
            yield part
            (part / SUMS).write_bytes(sums(part).encode())
            if path.exists():
                _exchange(part, path)
            else:
                part.replace(path)
        finally:
            shutil.rmtree(part, ignore_errors=True)


def sums(folder: Path) -> str:
    """Return the content of SHA256SUMS: one line per file in a folder, in the format of `sha256sum`."""
    names = sorted(file.relative_to(folder).as_posix() for file in folder.rglob("*") if file.is_file())
    return "".join(f"{sha256(folder / name)}  {name}\n" for name in names if name != SUMS)


def is_intact(folder: Path, *, marker: str = SUMS) -> bool:
    """Return whether a folder is unchanged since `atomic_folder` wrote it: SHA256SUMS matches all files in it.

    Parameters
    ----------
    folder
        Any folder.
    marker
        A file that must exist, too, to distinguish folders of mgrisk from others with a SHA256SUMS.
    """
    try:
        if not (folder / marker).is_file() or any(each.is_symlink() for each in folder.rglob("*")):
            return False
        # The order of the lines does not matter.
        return sorted((folder / SUMS).read_bytes().split(b"\n")) == sorted(sums(folder).encode().split(b"\n"))
    except OSError:
        return False


def _exchange(new: Path, old: Path) -> None:
    """Replace a folder by another one, in one step where the system supports it."""
    if _renamed_at_once(new, old):
        return
    # A kill between the two renames leaves no folder; the next writer restores the old one.
    left = aside(old)
    old.replace(left)
    try:
        new.replace(old)
    except BaseException:  # Ctrl-C too: the old folder is restored whatever stops the rename
        left.replace(old)
        raise
    shutil.rmtree(left)


def _renamed_at_once(one: Path, other: Path) -> bool:
    """Exchange two names with renameat2 of Linux; False where the system or file system does not support it."""
    library = ctypes.CDLL(None, use_errno=True) if sys.platform == "linux" else None
    rename = getattr(library, "renameat2", None)
    if rename is None:
        return False
    if rename(_HERE, os.fsencode(one), _HERE, os.fsencode(other), _EXCHANGE) == 0:
        return True
    number = ctypes.get_errno()
    if number in (errno.ENOSYS, errno.EINVAL, errno.EOPNOTSUPP):
        return False
    raise OSError(number, os.strerror(number), str(other))


def sha256(path: Path) -> str:
    """Return the hexadecimal sha256 of a file, or of the names and sums of the files in a folder."""
    if path.is_dir():
        names = sorted(file.relative_to(path).as_posix() for file in path.rglob("*") if file.is_file())
        lines = "".join(f"{sha256(path / name)}  {name}\n" for name in names)
        return hashlib.sha256(lines.encode()).hexdigest()
    with path.open("rb") as content:
        return hashlib.file_digest(content, "sha256").hexdigest()


def read_arrays(content: bytes) -> dict[str, NDArray[np.generic]]:
    """Read the arrays of an untrusted .npz file, without pickle, and with checked sizes.

    Parameters
    ----------
    content
        Content of the file.

    Raises
    ------
    ValueError
        If it is not such a file, is too large when unpacked, or an array is not as long as its header says.

    Examples
    --------
    >>> packed = io.BytesIO()
    >>> np.savez_compressed(packed, knots=np.array([1.0, 2.0]))
    >>> read_arrays(packed.getvalue())
    {'knots': array([1., 2.])}
    >>> read_arrays(packed.getvalue()[:40])
    Traceback (most recent call last):
    ...
    ValueError: File is not a zip file
    """
    arrays: dict[str, NDArray[np.generic]] = {}
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            if sum(member.file_size for member in archive.infolist()) > LARGEST_UNPACKED:
                raise ValueError("it is too large when unpacked")
            for member in archive.infolist():
                with archive.open(member) as packed:
                    # The declared size is not trusted, since a member may contain more.
                    unpacked = packed.read(member.file_size + 1)
                arrays[member.filename.removesuffix(".npy")] = _read_array(unpacked)
    except (OSError, EOFError, RuntimeError, NotImplementedError, zipfile.BadZipFile, zlib.error) as problem:
        raise ValueError(str(problem)) from None
    return arrays


def _read_array(content: bytes) -> NDArray[np.generic]:
    stream = io.BytesIO(content)
    if np.lib.format.read_magic(stream) != (1, 0):
        raise ValueError("an array is of another version")
    shape, fortran_order, kind = np.lib.format.read_array_header_1_0(stream)
    size = len(content) - stream.tell()
    if kind.hasobject or kind.itemsize * math.prod(shape) != size:
        raise ValueError("an array is not as long as its header says, or not of numbers")
    flat = np.frombuffer(content, dtype=kind, offset=stream.tell())
    return flat.reshape(shape, order="F" if fortran_order else "C").copy(order="K")


def write_text(path: Path, text: str) -> None:
    """Write a UTF-8 text file atomically."""
    with atomic(path) as part:
        part.write_text(text, encoding="utf-8")


def write_json(path: Path, content: Any) -> None:
    """Write JSON atomically; numbers that are not finite become null."""
    write_text(path, to_json(content))


def to_json(content: Any) -> str:
    r"""Return indented JSON text of dicts, lists, numbers, NumPy scalars and arrays.

    Examples
    --------
    >>> print(to_json(["süß", "\u202e", "\udcff"]), end="")
    [
     "süß",
     "\u202e",
     "\udcff"
    ]
    """
    text = json.dumps(_plain(content), indent=1, ensure_ascii=False, allow_nan=False) + "\n"
    return _UNSEEN.sub(lambda sign: json.dumps(sign[0])[1:-1], text)


def read_json(path: Path) -> Any:
    """Read a JSON file."""
    return json.loads(path.read_text(encoding="utf-8"))


def write_parquet(path: Path, frame: pd.DataFrame) -> None:
    """Write a frame as Parquet atomically; the same frame gives the same bytes."""
    with atomic(path) as part:
        frame.to_parquet(part, compression="zstd", index=False)


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple, set, frozenset)):
        return [_plain(item) for item in value]
    if isinstance(value, np.ndarray):
        return _plain(value.tolist())
    if isinstance(value, np.generic):
        return _plain(value.item())
    if isinstance(value, float) and not np.isfinite(value):
        return None
    if isinstance(value, Path):
        return str(value)
    return value

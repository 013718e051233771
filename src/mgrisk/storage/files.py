"""Files that appear whole or not at all, and the manifest that says what made them."""

from __future__ import annotations

import hashlib
import io
import json
import math
import os
import shutil
import tempfile
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

LARGEST_UNPACKED = 256 * 2**20  # bytes; tables of attributions are a few megabytes


@contextmanager
def atomic(path: Path) -> Iterator[Path]:
    """Yield a temporary path beside `path`; rename it there if the block ends well, remove it if not.

    Examples
    --------
    >>> target = Path(tempfile.mkdtemp()) / "numbers.txt"
    >>> with atomic(target) as part:
    ...     _ = part.write_text("1 2 3")
    >>> target.read_text()
    '1 2 3'
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        yield part
        with part.open("rb") as written:
            os.fsync(written.fileno())
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)


@contextmanager
def atomic_folder(path: Path) -> Iterator[Path]:
    """Yield a temporary folder beside `path` that takes its place if the block ends well."""
    path.parent.mkdir(parents=True, exist_ok=True)
    part = Path(tempfile.mkdtemp(prefix=f".{path.name}.", suffix=".part", dir=path.parent))
    part.chmod(0o755)
    try:
        yield part
        if path.exists():
            old = Path(tempfile.mkdtemp(prefix=f".{path.name}.", suffix=".old", dir=path.parent))
            path.replace(old / path.name)
            try:
                part.replace(path)
            except BaseException:  # Ctrl-C too: whatever stops the rename, the old folder is put back
                (old / path.name).replace(path)
                old.rmdir()
                raise
            shutil.rmtree(old)
        else:
            part.replace(path)
    finally:
        shutil.rmtree(part, ignore_errors=True)


def sha256(path: Path) -> str:
    """Return the hexadecimal sha256 of a file, or of a folder: its files' names and sums."""
    if path.is_dir():
        names = sorted(file.relative_to(path).as_posix() for file in path.rglob("*") if file.is_file())
        lines = "".join(f"{sha256(path / name)}  {name}\n" for name in names)
        return hashlib.sha256(lines.encode()).hexdigest()
    with path.open("rb") as content:
        return hashlib.file_digest(content, "sha256").hexdigest()


def read_arrays(content: bytes) -> dict[str, NDArray[np.generic]]:
    """Read the arrays of an .npz file that may be anybody's: no pickle, and nothing is allocated on its word alone.

    Parameters
    ----------
    content
        The file, whole.

    Raises
    ------
    ValueError
        Where it is no such file, is larger unpacked than any of ours, or an array is not as long as its header says.

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
                    # A member may hold more than its entry says, so that the entry alone is no limit.
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
    """Write JSON atomically; numbers that are not finite become null, as JSON has no word for them."""
    write_text(path, to_json(content))


def to_json(content: Any) -> str:
    """Return indented JSON text of dicts, lists, numbers, NumPy scalars and arrays."""
    return json.dumps(_plain(content), indent=1, ensure_ascii=False, allow_nan=False) + "\n"


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

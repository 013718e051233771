"""A TOML file that a user names: read with a limit, and refused in words where it is none."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any, Final

from mgrisk.errors import usage

LARGEST: Final = 1 << 20  # bytes


def read_toml(path: Path, *, kind: str, prefix: str, hint: str) -> dict[str, Any]:
    """Read a file.

    Parameters
    ----------
    path
        Of the file. A device has no end, and a larger file is none of ours.
    kind
        What it should be, in words: pipeline.
    prefix
        First part of the error codes.
    hint
        What to do where it is not there.

    Raises
    ------
    MgRiskError
        `PREFIX.missing_file`, `PREFIX.not_toml`.
    """
    if not path.is_file() or path.stat().st_size > LARGEST:
        raise usage(f"{prefix}.missing_file", f"there is no such {kind} file", where=str(path), hint=hint)
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, RecursionError) as problem:
        raise usage(
            f"{prefix}.not_toml", f"not a TOML file: {problem}", where=str(path), hint="mend the line named"
        ) from None

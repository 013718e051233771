"""Names of the files of a bundle, and reading its JSON files by a schema."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final, TypeVar

from mgrisk.config.checked import parse
from mgrisk.errors import MgRiskError, bad_bundle
from mgrisk.storage.files import SUMS as SUMS

DESCRIPTION: Final = "bundle.json"
CALIBRATOR: Final = "calibrator.json"
REFERENCE: Final = "reference.json"
DRIFT: Final = "drift_reference.json"
PATTERNS: Final = "patterns.json"
CARD: Final = "card.md"

BAD_FORMAT: Final = "bundle.bad_format"
BAD_MODEL: Final = "bundle.bad_model"

Read = TypeVar("Read")


def bad_file(file: str, what: str, *, code: str = BAD_FORMAT) -> MgRiskError:
    """Return the error of a file of a bundle that cannot be used."""
    hint = "the bundle is damaged or edited; take a fresh copy"
    return bad_bundle(code, f"{file} {what}", where=file, hint=hint)


def read_file(check: Callable[[Any], Read], files: Mapping[str, bytes], name: str, *, code: str = BAD_FORMAT) -> Read:
    """Read a JSON file of a bundle.

    Parameters
    ----------
    check
        Converts the parsed content, for example `Checked.of`; raises ValueError naming the first invalid field.
    files
        Files of a bundle by name.
    name, code
        The file, and the error's code.

    Raises
    ------
    MgRiskError
        `code`, with the file and its first invalid field; exit status 5.
    """
    if name not in files:
        raise bad_file(name, "is missing", code=code)
    try:
        return check(parse(files[name]))
    except ValueError as problem:
        raise bad_file(name, f"cannot be read: {problem}", code=code) from None

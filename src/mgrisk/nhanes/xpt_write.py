"""Writing of frames as SAS transport files of version 5; the same frame always gives the same bytes."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from itertools import accumulate
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import pandas as pd

from mgrisk.errors import MgRiskError, bad_source
from mgrisk.nhanes import ibm_float
from mgrisk.nhanes.xpt_layout import CARD, NAMESTR, card
from mgrisk.storage.files import atomic
from mgrisk.types import Floats

_LONGEST_TEXT: Final = 200  # bytes, of version 5
_LONGEST_LABEL: Final = 40
_NAME: Final = re.compile(r"[A-Z_][A-Z0-9_]{0,7}")
_NUMBER: Final = 1
_TEXT: Final = 2
_BLANK: Final = ord(" ")
_WRITTEN: Final = "01JAN70:00:00:00"  # not the clock
_MADE_BY: Final = f"{'6.06':8}{'mgrisk':8}{'':24}{_WRITTEN}"
_NO_FORMATS: Final = (b" " * 8, 0, 0, 0, b"", b" " * 8, 0, 0)


def write(
    frame: pd.DataFrame,
    path: Path | str,
    *,
    table: str,
    labels: Mapping[str, str] | None = None,
    dataset_label: str = "",
) -> None:
    """Write a transport file of version 5; `read` returns exactly the same values.

    Parameters
    ----------
    frame
        Columns of numbers (bool, integer, float, nullable or not) and of texts. Numbers become 8-byte IBM
        floats, missing numbers ``.``, and -0.0 becomes 0.0. Missing texts become ``""``; trailing blanks of
        texts are lost. The index is not written.
    path
        File to write; an existing file is replaced atomically, and kept if an error occurs.
    table
        Name of the data set.
    labels
        Label of each column that has one, at most 40 bytes of UTF-8.
    dataset_label
        Label of the data set, at most 40 bytes.

    Raises
    ------
    MgRiskError
        ``xpt.bad_name`` for a table or column without a valid SAS name (``[A-Z_][A-Z0-9_]*``, at most 8
        characters) or with a duplicate name; ``xpt.bad_label``; ``xpt.bad_column`` for a frame or column of
        another type, or a text of more than 200 bytes; ``xpt.not_representable`` for a number that the format
        cannot hold: infinities, magnitudes from 16**63 on or below 16**-65, and integers from 2**53 on.
    """
    path, labels = Path(path), labels or {}
    _check_names([table, *frame.columns], labels, dataset_label, path)
    fields = [_encode(column, path, name) for name, column in frame.items()]
    widths = [field.shape[1] for field in fields]
    kinds = [_TEXT if _is_text(dtype) else _NUMBER for dtype in frame.dtypes]
    if len(frame) and all((field[-1] == _BLANK).all() for field in fields) and kinds[-1] == _TEXT:
        # A last record that is all blank looks like padding, unless records are longer than any padding.
        widths[-1] += max(CARD - sum(widths), 0)
    positions = list(accumulate(widths, initial=0))
    records = np.full((len(frame), positions[-1]), _BLANK, dtype=np.uint8)
    namestrs = []
    for number, name in enumerate(frame.columns):
        at, field = positions[number], fields[number]
        records[:, at : at + field.shape[1]] = field
        about = _pad(name, 8), _pad(labels.get(name, ""), 40)
        namestrs.append(NAMESTR.pack(kinds[number], 0, widths[number], number + 1, *about, *_NO_FORMATS, at, b""))
    with atomic(path) as part:
        part.write_bytes(_start(table, dataset_label, namestrs) + _pad_cards(records.tobytes()))


def _start(table: str, label: str, namestrs: Sequence[bytes]) -> bytes:
    """Return everything before the records."""
    return b"".join(
        [
            card("LIBRARY"),
            _pad(f"{'SAS':8}{'SAS':8}{'SASLIB':8}{_MADE_BY}", CARD),
            _pad(_WRITTEN, CARD),
            card("MEMBER", numbers="0" * 17 + "1600000000140"),
            card("DSCRPTR"),
            _pad(f"{'SAS':8}{table:8}{'SASDATA':8}{_MADE_BY}", CARD),
            _pad(f"{_WRITTEN:32}{label}", CARD),
            card("NAMESTR", numbers=f"{len(namestrs):010}".ljust(30, "0")),
            _pad_cards(b"".join(namestrs)),
            card("OBS"),
        ]
    )


def _check_names(names: Sequence[str], labels: Mapping[str, str], dataset_label: str, path: Path) -> None:
    columns = names[1:]
    for name in names:
        if not isinstance(name, str) or not _NAME.fullmatch(name) or columns.count(name) > 1:
            raise bad_source(
                "xpt.bad_name",
                f"{name!r} cannot name a SAS table or column",
                where=str(path),
                hint="use different names of at most 8 capitals, digits and underscores, no digit first",
            )
    for label in [dataset_label, *labels.values()]:
        if len(label.encode()) > _LONGEST_LABEL:
            raise bad_source(
                "xpt.bad_label",
                f"the label {label!r} is too long",
                where=str(path),
                hint="shorten it",
                expected=f"at most {_LONGEST_LABEL} bytes",
                got=str(len(label.encode())),
            )
    unknown = labels.keys() - set(columns)
    if unknown or not columns:
        hint = f"labels for no column: {', '.join(sorted(unknown))}" if unknown else "the frame has no columns"
        raise bad_source("xpt.bad_column", "the frame cannot be written", where=str(path), hint=hint)


def _encode(column: pd.Series[Any], path: Path, name: object) -> npt.NDArray[np.uint8]:
    """Return the bytes of a column, rows × length."""

    def refuse(code: str, what: str, hint: str) -> MgRiskError:
        return bad_source(code, f"column {name} {what}", where=str(path), hint=hint)

    if _is_text(column.dtype):
        texts = column.astype(object).where(column.notna(), "").tolist()
        if not all(isinstance(text, str) for text in texts):
            raise refuse("xpt.bad_column", "mixes texts with other types", "make it all texts or all numbers")
        encoded = [text.rstrip(" ").encode() for text in texts]
        length = max([len(text) for text in encoded], default=0) or 1
        if length > _LONGEST_TEXT:
            raise refuse("xpt.bad_column", f"has a text of {length} bytes", f"version 5 allows {_LONGEST_TEXT}")
        joined = b"".join(text.ljust(length) for text in encoded)
        return np.frombuffer(joined, dtype=np.uint8).reshape(len(encoded), length)
    if not pd.api.types.is_bool_dtype(column.dtype) and not pd.api.types.is_numeric_dtype(column.dtype):
        raise refuse("xpt.bad_column", f"has the type {column.dtype}", "convert it to numbers or texts")
    values: Floats = column.to_numpy(dtype=np.float64, na_value=np.nan)
    changed = ~ibm_float.fits(values)
    if pd.api.types.is_integer_dtype(column.dtype):
        changed |= np.abs(values) >= 2.0**53
    if changed.any():
        first = column.iloc[int(np.argmax(changed))]
        raise refuse("xpt.not_representable", f"has {first!r}", "an IBM float of 8 bytes cannot hold this number")
    return ibm_float.encode(values).astype(">u8").view(np.uint8).reshape(len(values), 8)


def _is_text(dtype: Any) -> bool:
    if isinstance(dtype, pd.CategoricalDtype):
        return _is_text(dtype.categories.dtype)
    return bool(pd.api.types.is_string_dtype(dtype)) or dtype == np.dtype(object)


def _pad(text: str, length: int) -> bytes:
    return text.encode().ljust(length)


def _pad_cards(content: bytes) -> bytes:
    return content + b" " * (-len(content) % CARD)

"""SAS transport files, version 5, read exactly and fast.

`xpt_header` knows the layout, `ibm_float` the numbers; here records become frames. `write`, the way back,
lives in `xpt_write`.
"""

from __future__ import annotations

from collections.abc import Sequence
from difflib import get_close_matches
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import pandas as pd

from mgrisk.errors import bad_source
from mgrisk.nhanes import ibm_float
from mgrisk.nhanes.xpt_header import XptHeader, XptVariable, decode_text, header, map_bytes, parse
from mgrisk.nhanes.xpt_write import write

__all__ = ["XptHeader", "XptVariable", "header", "read", "write"]

_VALUES_AT_ONCE: Final = 1 << 14  # 128 kB: what decoding makes on its way stays in the processor's cache


def read(path: Path | str, *, columns: Sequence[str] | None = None) -> pd.DataFrame:
    """Read a transport file.

    Parameters
    ----------
    path
        A SAS transport file of version 5.
    columns
        Names of the columns wanted, in the order wanted; all by default. Others are not decoded.

    Returns
    -------
    pandas.DataFrame
        One row for each record, index 0 to n - 1. Numbers are float64, exact to the bit (0 is 0.0), missing
        values of every tag are NaN. Texts are pandas strings without trailing blanks; a missing text is
        ``""``.

    Raises
    ------
    MgRiskError
        As `header`; ``xpt.no_such_column`` for a name that is not in the file.

    Examples
    --------
    >>> import tempfile
    >>> folder = tempfile.TemporaryDirectory()
    >>> path = Path(folder.name) / "DEMO.xpt"
    >>> write(pd.DataFrame({"SEQN": [1, 2], "RIDAGEYR": [45, None]}), path, table="DEMO")
    >>> read(path, columns=["RIDAGEYR"])["RIDAGEYR"].tolist()
    [45.0, nan]
    >>> folder.cleanup()
    """
    path = Path(path)
    content = map_bytes(path)
    head = parse(content, path=path)
    chosen = head.variables if columns is None else _choose(head, columns, path)
    numbers = [variable for variable in chosen if variable.kind == "number"]
    frame = pd.DataFrame(_numbers(content, head, numbers).T, columns=[each.name for each in numbers], copy=False)
    for place, variable in enumerate(chosen):
        if variable.kind == "text":
            frame.insert(place, variable.name, _texts(content, head, variable))
    return frame


def _choose(head: XptHeader, columns: Sequence[str], path: Path) -> tuple[XptVariable, ...]:
    if isinstance(columns, str) or len(set(columns)) < len(columns):
        raise ValueError(f"columns must be a sequence of different names, not {columns!r}")
    known = {variable.name: variable for variable in head.variables}
    missing = [name for name in columns if name not in known]
    if missing:
        near = get_close_matches(missing[0].upper(), known, n=5, cutoff=0.5) or list(known)[:8]
        raise bad_source(
            "xpt.no_such_column",
            f"table {head.table} has no column {', '.join(missing)}",
            where=str(path),
            hint=f"the nearest of its {len(known)} columns: {', '.join(near)}",
        )
    return tuple(known[name] for name in columns)


def _numbers(
    content: npt.NDArray[np.uint8], head: XptHeader, variables: Sequence[XptVariable]
) -> npt.NDArray[np.float64]:
    # One row for each variable: the way a pandas block lies in memory, so that the frame needs no copy.
    values = np.empty((len(variables), head.n_rows))
    views = _views(content, head, variables)
    step = max(_VALUES_AT_ONCE // max(len(variables), 1), 1)
    for start in range(0, head.n_rows, step):
        stop = min(start + step, head.n_rows)
        words = np.empty((len(variables), stop - start), dtype=np.uint64)
        for place, width, view in views:
            words[place : place + width] = view[start:stop].T
        values[:, start:stop] = ibm_float.decode(words)
    return values


def _views(
    content: npt.NDArray[np.uint8], head: XptHeader, variables: Sequence[XptVariable]
) -> list[tuple[int, int, npt.NDArray[np.uint64]]]:
    """Return (place among the variables, number of variables, words as rows × variables) of neighbours."""
    views = []
    place = 0
    while place < len(variables):
        first, width = variables[place], 1
        if first.length < 8:
            # SAS cuts a shorter number off on its right, so zeros belong there.
            filled = np.zeros((head.n_rows, 8), dtype=np.uint8)
            filled[:, : first.length] = _field(content, head, first.position, first.length, np.dtype(np.uint8))
            views.append((place, 1, filled.view(">u8")))
        else:
            while (
                place + width < len(variables)
                and variables[place + width].length == 8
                and variables[place + width].position == first.position + 8 * width
            ):
                width += 1
            views.append((place, width, _field(content, head, first.position, width, np.dtype(">u8"))))
        place += width
    return views


def _field(
    content: npt.NDArray[np.uint8], head: XptHeader, position: int, width: int, dtype: np.dtype[Any]
) -> npt.NDArray[Any]:
    if head.n_rows == 0:
        return np.empty((0, width), dtype=dtype)
    return np.ndarray(
        (head.n_rows, width),
        dtype=dtype,
        buffer=content.data,
        offset=head.data_start + position,
        strides=(head.record_length, dtype.itemsize),
    )


def _texts(content: npt.NDArray[np.uint8], head: XptHeader, variable: XptVariable) -> pd.Series[str]:
    field = _field(content, head, variable.position, 1, np.dtype(f"S{variable.length}"))
    raw: list[bytes] = field[:, 0].tolist()
    known = {each: decode_text(each) for each in set(raw)}
    return pd.Series([known[each] for each in raw], dtype="str")

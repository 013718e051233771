"""SAS transport files, version 5 and 8, read exactly and fast.

`xpt_header` knows the layout, `ibm_float` the numbers; here records become frames. `write`, the way back,
lives in `xpt_write`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from difflib import get_close_matches
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import pandas as pd

from mgrisk.errors import bad_source
from mgrisk.nhanes import ibm_float
from mgrisk.nhanes.xpt_header import header, map_bytes, parse, refuse_second_table
from mgrisk.nhanes.xpt_layout import Layout, XptHeader, XptVariable, decode_text
from mgrisk.nhanes.xpt_write import write

__all__ = ["XptHeader", "XptVariable", "header", "read", "read_tags", "write"]

# What is made on the way stays in the processor's cache, and so do the records it is made of.
_VALUES_AT_ONCE: Final = 1 << 17
_BYTES_AT_ONCE: Final = 1 << 21
_TAGS: Final = ["", *ibm_float.TAGS]

Bytes = npt.NDArray[np.uint8]


def read(path: Path | str, *, columns: Sequence[str] | None = None) -> pd.DataFrame:
    """Read a transport file.

    Parameters
    ----------
    path
        A SAS transport file of version 5 or 8.
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
    content, layout, chosen = _open(path, columns)
    numbers = [variable for variable in chosen if variable.kind == "number"]
    texts = [variable for variable in chosen if variable.kind == "text"]
    # One row for each variable: the way a pandas block lies in memory, so that the frame needs no copy.
    values = np.empty((len(numbers), layout.n_rows))
    raw = [np.empty(layout.n_rows, dtype=f"S{variable.length}") for variable in texts]
    for start, stop, records in _blocks(content, layout, path, len(numbers)):
        ibm_float.decode(_words(records, numbers), out=values[:, start:stop])
        for variable, column in zip(texts, raw, strict=True):
            column[start:stop] = _field(records, variable.position, 1, column.dtype)[:, 0]
    frame = pd.DataFrame(values.T, columns=[each.name for each in numbers], copy=False)
    for variable, column in zip(texts, raw, strict=True):
        frame.insert(chosen.index(variable), variable.name, _decode_texts(column))
    return frame


def read_tags(path: Path | str, *, columns: Sequence[str] | None = None) -> pd.DataFrame:
    """Read which missing value each number is.

    Parameters
    ----------
    path, columns
        As for `read`.

    Returns
    -------
    pandas.DataFrame
        Shape and names of what `read` returns; each cell is ``"."``, ``"_"`` or ``"A"`` to ``"Z"`` where the
        number is missing and ``""`` where it is not. Texts have no tags: their columns are all ``""``. All
        columns are categorical with the same categories.

    Raises
    ------
    MgRiskError
        As `read`.

    Examples
    --------
    >>> import tempfile
    >>> folder = tempfile.TemporaryDirectory()
    >>> path = Path(folder.name) / "DEMO.xpt"
    >>> write(pd.DataFrame({"SEQN": [1, 2], "RIDAGEYR": [45, None]}), path, table="DEMO")
    >>> read_tags(path)["RIDAGEYR"].tolist()
    ['', '.']
    >>> folder.cleanup()
    """
    path = Path(path)
    content, layout, chosen = _open(path, columns)
    place_of = np.zeros(256, dtype=np.int8)
    place_of[[ord(tag) for tag in ibm_float.TAGS]] = np.arange(1, len(_TAGS))
    codes = np.zeros((len(chosen), layout.n_rows), dtype=np.int8)
    places = [place for place, variable in enumerate(chosen) if variable.kind == "number"]
    for start, stop, records in _blocks(content, layout, path, len(places)):
        words = _words(records, [chosen[place] for place in places])
        codes[places, start:stop] = place_of[ibm_float.tags(words)]
    kind = pd.CategoricalDtype(_TAGS)
    named = {each.name: pd.Categorical.from_codes(row, dtype=kind) for each, row in zip(chosen, codes, strict=True)}
    return pd.DataFrame(named, columns=list(named))


def _open(path: Path, columns: Sequence[str] | None) -> tuple[Bytes, Layout, list[XptVariable]]:
    content = map_bytes(path)
    layout = parse(content, path=path)
    numbers = range(len(layout.names)) if columns is None else _choose(layout, columns, path)
    return content, layout, [layout.variable(number) for number in numbers]


def _choose(layout: Layout, columns: Sequence[str], path: Path) -> list[int]:
    if isinstance(columns, str) or len(set(columns)) < len(columns):
        raise ValueError(f"columns must be a sequence of different names, not {columns!r}")
    known = {name: number for number, name in enumerate(layout.names)}
    missing = [name for name in columns if name not in known]
    if missing:
        near = get_close_matches(missing[0].upper(), known, n=5, cutoff=0.5) or list(known)[:8]
        raise bad_source(
            "xpt.no_such_column",
            f"table {layout.table} has no column {', '.join(missing)}",
            where=str(path),
            hint=f"the nearest of its {len(known)} columns: {', '.join(near)}",
        )
    return [known[name] for name in columns]


def _blocks(content: Bytes, layout: Layout, path: Path, n_numbers: int) -> Iterator[tuple[int, int, Bytes]]:
    """Yield (first row, row behind the last, their records as rows × bytes)."""
    length = layout.record_length
    step = max(min(_VALUES_AT_ONCE // max(n_numbers, 1), _BYTES_AT_ONCE // length), 1)
    data = content[layout.data_start :]
    for start in range(0, layout.n_rows, step):
        stop = min(start + step, layout.n_rows)
        # Here and not before, while these records are on their way into the processor's cache anyway.
        refuse_second_table(data, path, start=start * length, stop=stop * length)
        yield start, stop, data[start * length : stop * length].reshape(-1, length)


def _words(records: Bytes, variables: Sequence[XptVariable]) -> npt.NDArray[np.uint64]:
    """Return the numbers in records, variables × rows."""
    words = np.empty((len(variables), len(records)), dtype=np.uint64)
    place = 0
    while place < len(variables):
        first, width = variables[place], 1
        if first.length < 8:
            # SAS cuts a shorter number off on its right, so zeros belong there.
            filled = np.zeros((len(records), 8), dtype=np.uint8)
            filled[:, : first.length] = records[:, first.position : first.position + first.length]
            words[place] = filled.view(">u8")[:, 0]
        else:
            # Neighbours in the record go together.
            while (
                place + width < len(variables)
                and variables[place + width].length == 8
                and variables[place + width].position == first.position + 8 * width
            ):
                width += 1
            words[place : place + width] = _field(records, first.position, width, np.dtype(">u8")).T
        place += width
    return words


def _field(records: Bytes, position: int, width: int, dtype: np.dtype[Any]) -> npt.NDArray[Any]:
    return np.ndarray(
        (len(records), width),
        dtype=dtype,
        buffer=records.data,
        offset=position,
        strides=(records.shape[1], dtype.itemsize),
    )


def _decode_texts(column: npt.NDArray[np.bytes_]) -> pd.Series[str]:
    raw: list[bytes] = column.tolist()
    known = {each: decode_text(each) for each in set(raw)}
    return pd.Series([known[each] for each in raw], dtype="str")

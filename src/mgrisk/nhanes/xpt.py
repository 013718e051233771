"""Reading of SAS transport files, version 5 and 8, exactly and fast, with a check that the file is complete.

`xpt_layout` describes the parts of a file, `ibm_float` the numbers; `write` is imported from `xpt_write`.

Version 5 does not store the number of rows; it follows from the length of the file. So a file cut off exactly after a
record at the end of a card looks complete; only the store's lock file (size and sha256) can detect that. Version 8
stores the number of rows, and long labels: if any variable needs it, a section LABELV8 (or LABELV9, if a format is long
too) between the NAMESTR records and the OBSV8 card has its number, the lengths of its texts, and the texts.

Source: "Record Layout of a SAS Version 8 or 9 Data Set in SAS Transport Format" and the macro xpt2loc, both by SAS.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from difflib import get_close_matches
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import pandas as pd

from mgrisk.errors import bad_source
from mgrisk.nhanes import ibm_float
from mgrisk.nhanes.xpt_layout import (
    CARD,
    KIND_END,
    V5,
    V8,
    Layout,
    Version,
    XptHeader,
    XptVariable,
    card,
    decode_text,
    not_xport,
    read_namestrs,
    truncated,
)
from mgrisk.nhanes.xpt_write import write

__all__ = ["XptHeader", "XptVariable", "header", "read", "read_tags", "write"]

_LENGTHS: Final = {"LABELV8": 2, "LABELV9": 4}  # how many lengths follow the number of a variable
_COUNT: Final = slice(KIND_END, KIND_END + 15)


def read_long_labels(
    part: Callable[[int, int, str], bytes], start: int, n_variables: int, path: Path
) -> tuple[int, dict[int, str], dict[int, str]]:
    """Read the section of long labels, if there is one.

    Parameters
    ----------
    part
        Function that returns bytes of the file: start, length, and a description for the error message.
    start
        Position at which the section would start.
    n_variables
        Number of variables in the table.
    path
        Path for error messages.

    Returns
    -------
    tuple
        Position of the next card; labels and formats by the number of the variable, from 0.

    Raises
    ------
    MgRiskError
        ``xpt.truncated``; ``xpt.not_xport`` if the section is inconsistent.
    """
    header = part(start, CARD, "the header of the labels or of the records")
    kind = next((kind for kind in _LENGTHS if header.startswith(card(kind)[:KIND_END])), None)
    if kind is None:
        return start, {}, {}
    stated = header[KIND_END:].strip()
    if not stated.isdigit():
        raise not_xport(path, f"{stated!r} as the number of long labels")
    labels: dict[int, str] = {}
    formats: dict[int, str] = {}
    at = start + CARD
    for _ in range(int(stated)):
        size = 2 * (1 + _LENGTHS[kind])
        numbers = part(at, size, "the last long label")
        number, *lengths = (int.from_bytes(numbers[here : here + 2], "big") for here in range(0, size, 2))
        if not 1 <= number <= n_variables:
            raise not_xport(path, f"a long label for variable {number} of {n_variables}")
        texts = part(at + size, sum(lengths), "the last long label")
        at += size + len(texts)
        # The name comes first and is already known.
        label_end = lengths[0] + lengths[1]
        labels[number - 1] = decode_text(texts[lengths[0] : label_end])
        if kind == "LABELV9":
            formats[number - 1] = decode_text(texts[label_end : label_end + lengths[2]])
    return start + -(-(at - start) // CARD) * CARD, labels, formats


def stated_rows(observations: bytes, path: Path) -> int | None:
    """Return the number of records stated on the OBSV8 card, or None if it is not stated."""
    count = observations[_COUNT].strip()
    if count in (b"", b"0" * 15):
        # Version 5 and some writers of version 8 have zeros here, which do not mean 0 records.
        return None
    if not count.isdigit():
        raise not_xport(path, f"{count!r} as the number of records")
    return int(count)


_MEMBERS: Final = tuple(card(version.member)[:KIND_END] for version in (V5, V8))
_STRIDE: Final = 3 * CARD
_HEADER_WORD: Final = int.from_bytes(b"HEAD", "little")
_SAS_WORD: Final = int.from_bytes(b"SAS ", "little")
Bytes = npt.NDArray[np.uint8]


def header(path: Path | str) -> XptHeader:
    """Read the header of a transport file and check that the file is complete.

    Parameters
    ----------
    path
        A SAS transport file of version 5 or 8.

    Raises
    ------
    MgRiskError
        ``xpt.no_such_file``; ``xpt.html`` for a web page; ``xpt.truncated`` if bytes are missing;
        ``xpt.several_tables`` if there is more than one data set; ``xpt.not_xport`` for any other file.
        Exit status 4.
    """
    path = Path(path)
    content = map_bytes(path)
    found = parse(content, path=path)
    refuse_second_table(content[found.data_start :], path)
    return found.header()


def map_bytes(path: Path) -> Bytes:
    """Return the memory-mapped bytes of a file; raises as `header` if it does not exist or is empty."""
    if not path.is_file():
        raise bad_source("xpt.no_such_file", "no such file", where=str(path), hint="check the path")
    if path.stat().st_size == 0:
        raise truncated(path, "an XPORT file", "an empty file")
    # As a plain array, because a memmap is much slower to slice.
    return np.asarray(np.memmap(path, dtype=np.uint8, mode="r"))


def parse(content: Bytes, *, path: Path) -> Layout:
    """Return the layout of the bytes of a whole file; `path` is for error messages.

    Raises as `header`, except ``xpt.several_tables`` in version 5: that needs a search of all records, which
    `refuse_second_table` does block by block while the records are read.
    """

    def part(start: int, length: int, what: str) -> bytes:
        if start + length > content.size:
            raise truncated(path, f"at least {start + length} bytes, up to {what}", f"{content.size} bytes")
        return content[start : start + length].tobytes()

    def header_card(start: int, kind: str) -> bytes:
        found = part(start, CARD, f"the {kind} header")
        if not found.startswith(card(kind)[:KIND_END]):
            raise not_xport(path, f"{found[:28].decode('latin-1')!r} in place of the {kind} header")
        return found

    version = _version(content[:512].tobytes(), path)
    header_card(0, version.library)
    size_field = header_card(3 * CARD, version.member)[74:78]
    header_card(4 * CARD, version.descriptor)
    table = decode_text(part(5 * CARD + 8, version.table_name, "the name of the table"))
    label = decode_text(part(6 * CARD + 32, 40, "the label of the table"))
    count_field = header_card(7 * CARD, version.namestr)[version.n_variables]
    if size_field not in (b"0140", b"0136") or not count_field.isdigit() or int(count_field) == 0:
        raise not_xport(path, f"{count_field!r} variables of {size_field!r} bytes each in the header")
    size, count = int(size_field), int(count_field)
    namestrs = part(8 * CARD, size * count, f"the last of {count} NAMESTR records")
    end = 8 * CARD + -(-size * count // CARD) * CARD
    labels: dict[int, str] = {}
    formats: dict[int, str] = {}
    if version is V8:
        end, labels, formats = read_long_labels(part, end, count, path)
    observations = header_card(end, version.observations)
    parts, names, record_length = read_namestrs(namestrs, size, version, path)
    data = content[end + CARD :]
    stated = stated_rows(observations, path) if version is V8 else None
    if stated is None:
        n_rows = _count_rows(data, record_length, path, numbers=bool((parts["type"] == 1).any()))
    else:
        n_rows = stated
        _check_stated(data, n_rows, record_length, path)
    return Layout(version, table, label, names, parts, record_length, n_rows, end + CARD, labels, formats)


def refuse_second_table(data: Bytes, path: Path, *, start: int = 0, stop: int | None = None) -> None:
    """Raise an error if a file has a second data set after the first.

    Parameters
    ----------
    data
        The bytes after the header.
    path
        Path for error messages.
    start, stop
        Range of `data` to search; all by default.

    Raises
    ------
    MgRiskError
        ``xpt.several_tables``.
    """
    whole = data.size - data.size % CARD
    stop = whole if stop is None else min(stop, whole)
    # A data set starts with the cards MEMBER, DSCRPTR and one with "SAS": checking every third card finds one
    # of them, unless the file ends before that, and so the last two cards are checked too.
    first = -(-start // _STRIDE) * _STRIDE
    n_cards = max(-(-(stop - first) // _STRIDE), 0)
    found: list[int] = []
    if n_cards:
        words = np.ndarray((n_cards,), dtype="<u4", buffer=data.data, offset=first, strides=(_STRIDE,)).copy()
        hits = np.flatnonzero((words == _HEADER_WORD) | (words == _SAS_WORD))
        found = [first + int(hit) * _STRIDE - back for hit in hits for back in (0, CARD, 2 * CARD)]
    if whole - stop < CARD:
        found += [whole - CARD, whole - 2 * CARD]
    for at in found:
        if at >= 0 and data[at : at + KIND_END].tobytes() in _MEMBERS:
            raise not_xport(path, "more than one data set", code="xpt.several_tables")


def _version(start: bytes, path: Path) -> Version:
    text = start.removeprefix(b"\xef\xbb\xbf").lstrip()[:14].lower()
    if text.startswith((b"<!doctype", b"<html")):
        raise bad_source(
            "xpt.html",
            "this is a web page, not a SAS transport file",
            where=str(path),
            hint="the site has moved the file or has a fault: try again later, or set another --source",
            expected="an XPORT header",
            got=repr(text.decode("latin-1")),
        )
    if start.startswith(b"**COMPRESSED**"):
        raise not_xport(path, "a file of PROC CPORT")
    # A file that ends within the first card counts as truncated if its bytes match a header.
    for version in (V5, V8):
        if card(version.library)[:KIND_END].startswith(start[:KIND_END]):
            return version
    raise not_xport(path, f"a file that starts with {start[:28].decode('latin-1')!r}")


def _count_rows(data: Bytes, record_length: int, path: Path, *, numbers: bool) -> int:
    if data.size % CARD:
        raise truncated(path, "a whole number of 80-byte cards", f"{data.size % CARD} bytes in the last one")
    # Padding is shorter than a card: up to 79 blanks at the end are padding. Eight blanks as a number would be
    # 6e-59, which does not occur in data.
    tail = data[max(data.size - CARD + 1, 0) :].tobytes()
    filled = data.size - (len(tail) - len(tail.rstrip(b" ")))
    n_rows = -(-filled // record_length)
    if n_rows * record_length > data.size:
        # A second data set has records of another length; its error is more specific.
        refuse_second_table(data, path)
        got = f"{data.size - (n_rows - 1) * record_length} bytes of record {n_rows}"
        raise truncated(path, f"records of {record_length} bytes", got)
    # A table with numbers has no all-blank record: this is padding of more than a card.
    last = data[max(n_rows - 1, 0) * record_length : n_rows * record_length]
    if numbers and n_rows and (last == ord(" ")).all():
        raise not_xport(path, "more than a card of blanks behind the last record")
    return n_rows


def _check_stated(data: Bytes, n_rows: int, record_length: int, path: Path) -> None:
    end = n_rows * record_length
    if data.size < end:
        raise truncated(path, f"{n_rows} records of {record_length} bytes", f"{data.size} bytes")
    rest = data[end:]
    padding = -end % CARD
    if data[end + padding :][:KIND_END].tobytes() in _MEMBERS:
        raise not_xport(path, "more than one data set", code="xpt.several_tables")
    if rest.size > padding or rest.tobytes().strip(b" "):
        raise not_xport(path, f"{rest.size} bytes behind record {n_rows}, the last")


# Block sizes chosen so that a block and its intermediate arrays fit in the processor's cache.
_VALUES_AT_ONCE: Final = 1 << 17
_BYTES_AT_ONCE: Final = 1 << 21
_TAGS: Final = ["", *ibm_float.TAGS]


def read(path: Path | str, *, columns: Sequence[str] | None = None) -> pd.DataFrame:
    """Read a transport file.

    Parameters
    ----------
    path
        A SAS transport file of version 5 or 8.
    columns
        Names of the columns to read, in this order; all by default. Other columns are not decoded.

    Returns
    -------
    pandas.DataFrame
        One row for each record, index 0 to n - 1. Numbers are exact float64 (zeros are 0.0); missing values of
        every tag are NaN. Texts are pandas strings without trailing blanks; a missing text is ``""``.

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
    # One row for each variable, which is the memory layout of a pandas block, so that the frame needs no copy.
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
    """Read the SAS missing-value tag of each number.

    Parameters
    ----------
    path, columns
        As for `read`.

    Returns
    -------
    pandas.DataFrame
        Same shape and names as the result of `read`. Each cell is ``"."``, ``"_"`` or ``"A"`` to ``"Z"`` if the
        number is missing, else ``""``; columns of texts are all ``""``. All columns are categorical with the same
        categories.

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
            hint=f"closest names among its {len(known)} columns: {', '.join(near)}",
        )
    return [known[name] for name in columns]


def _blocks(content: Bytes, layout: Layout, path: Path, n_numbers: int) -> Iterator[tuple[int, int, Bytes]]:
    """Yield blocks of records: first row, row after the last, and the records as rows × bytes."""
    length = layout.record_length
    step = max(min(_VALUES_AT_ONCE // max(n_numbers, 1), _BYTES_AT_ONCE // length), 1)
    data = content[layout.data_start :]
    for start in range(0, layout.n_rows, step):
        stop = min(start + step, layout.n_rows)
        # Here and not earlier, because these records are now being read into the processor's cache anyway.
        refuse_second_table(data, path, start=start * length, stop=stop * length)
        yield start, stop, data[start * length : stop * length].reshape(-1, length)


def _words(records: Bytes, variables: Sequence[XptVariable]) -> npt.NDArray[np.uint64]:
    """Return the numbers in records, variables × rows."""
    words = np.empty((len(variables), len(records)), dtype=np.uint64)
    place = 0
    while place < len(variables):
        first, width = variables[place], 1
        if first.length < 8:
            # SAS truncates a shorter number on the right, so it is padded with zeros.
            filled = np.zeros((len(records), 8), dtype=np.uint8)
            filled[:, : first.length] = records[:, first.position : first.position + first.length]
            words[place] = filled.view(">u8")[:, 0]
        else:
            # Adjacent numbers are converted together.
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

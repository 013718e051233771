"""What version 8 of the SAS transport format has and version 5 has not: long labels, and the number of rows.

A section LABELV8 (LABELV9 where a format is long, too) stands between the NAMESTR records and the OBSV8 card
if any variable needs it: for each such variable its number, the lengths of its texts, and the texts. Source:
"Record Layout of a SAS Version 8 or 9 Data Set in SAS Transport Format" and the macro xpt2loc, both by SAS.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Final

from mgrisk.nhanes.xpt_layout import CARD, KIND_END, card, decode_text, not_xport

_LENGTHS: Final = {"LABELV8": 2, "LABELV9": 4}  # how many lengths follow the number of a variable
_COUNT: Final = slice(KIND_END, KIND_END + 15)


def read_long_labels(
    part: Callable[[int, int, str], bytes], start: int, n_variables: int, path: Path
) -> tuple[int, dict[int, str], dict[int, str]]:
    """Read the section of long labels, if there is one.

    Parameters
    ----------
    part
        Gives bytes of the file: from where, how many, and what they are (for the message if they lack).
    start
        Where the section would start.
    n_variables
        In the table.
    path
        For messages.

    Returns
    -------
    tuple
        Where the next card starts; labels and formats by the number of the variable, from 0.

    Raises
    ------
    MgRiskError
        ``xpt.truncated``; ``xpt.not_xport`` where the section contradicts itself.
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
        # The name first, which is known already.
        label_end = lengths[0] + lengths[1]
        labels[number - 1] = decode_text(texts[lengths[0] : label_end])
        if kind == "LABELV9":
            formats[number - 1] = decode_text(texts[label_end : label_end + lengths[2]])
    return start + -(-(at - start) // CARD) * CARD, labels, formats


def stated_rows(observations: bytes, path: Path) -> int | None:
    """Return the number of records that the OBSV8 card states; None where its writer did not know it."""
    count = observations[_COUNT].strip()
    if count in (b"", b"0" * 15):
        # Zeros are what version 5 has here, and what some writers leave: not the same as a stated 0.
        return None
    if not count.isdigit():
        raise not_xport(path, f"{count!r} as the number of records")
    return int(count)

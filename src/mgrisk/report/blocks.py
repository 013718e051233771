"""The shapes that content is made of: sections, paragraphs, tables and figures, all plain dicts.

A section knows nothing of HTML and a template nothing of magnesium: the modules of `sections` fill these shapes,
`render` and `model_card` walk over them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

Block = dict[str, Any]
Section = dict[str, Any]

MADE: Final = "made"
ABSENT: Final = "absent"  # known not to be part of this run, and why
FAILED: Final = "failed"  # should be here and could not be made, and why
GRID: Final = "grid"


def text(*sentences: str) -> Block:
    """Return a paragraph."""
    return {"kind": "text", "text": " ".join(sentence for sentence in sentences if sentence)}


def bullets(*items: str) -> Block:
    """Return a list of sentences."""
    return {"kind": "list", "items": list(items)}


def callout(*sentences: str, tone: str = "note") -> Block:
    """Return a paragraph that must not be missed; `tone` is note or warning."""
    return {"kind": "callout", "tone": tone, "text": " ".join(sentences)}


def facts(*items: Mapping[str, Any], style: str = "cards") -> Block:
    """Return what the first screen says.

    Parameters
    ----------
    items
        {label, value} and what there is of {range, gauge, lines, items, detail, tone}: `lines` is a list of
        {term, value} and perhaps `bar`, in percent; `gauge` holds low, estimate, high and marks in percent of a scale.
    style
        ``cards``, or ``lead`` for what stands above them.
    """
    empty: dict[str, Any] = {"range": "", "gauge": None, "lines": [], "items": [], "detail": "", "tone": ""}
    return {"kind": "facts", "style": style, "items": [{**empty, **item} for item in items]}


def column(label: str, *, numeric: bool = True, marked: bool = False) -> dict[str, Any]:
    """Return a column of a table; `marked` for the model that the report is about."""
    return {"label": label, "numeric": numeric, "marked": marked}


def raw_records(records: Mapping[str, Any]) -> dict[str, Any]:
    """Return the numbers of some records behind a row, by key; None where there is no record."""
    return {key: vars(record) if record else None for key, record in records.items()}


def row(
    cells: Sequence[str],
    raw: Mapping[str, Any] | None = None,
    *,
    level: int = 0,
    pale: bool = False,
    links: Sequence[Mapping[str, str]] = (),
) -> dict[str, Any]:
    """Return a row of a table.

    Parameters
    ----------
    cells, raw
        Cells as shown, and the numbers behind them.
    level, pale
        How far it is indented, and whether it is greyed.
    links
        {text, href} after the words of the last cell: a place on the page or a file beside it; text alone without href.
    """
    return {
        "cells": list(cells),
        "raw": dict(raw or {}),
        "level": level,
        "pale": pale,
        "links": [dict(link) for link in links],
    }


def table(
    name: str,
    caption: str,
    columns: Sequence[dict[str, Any]],
    rows: Sequence[dict[str, Any]],
    *,
    notes: Sequence[str] = (),
    folded: bool = False,
) -> Block:
    """Return a table.

    Parameters
    ----------
    name
        Unique in the report: the id in HTML.
    caption
        What it shows, for whom.
    columns, rows
        From `column` and `row`; every row has a cell for every column.
    notes
        Sentences below it.
    folded
        Whether it starts closed.
    """
    if any(len(line["cells"]) != len(columns) for line in rows):
        raise ValueError(f"table {name}: a row has not one cell for each of {len(columns)} columns")
    return {
        "kind": "table",
        "id": name,
        "caption": caption,
        "columns": list(columns),
        "rows": list(rows),
        "notes": list(notes),
        "folded": folded,
    }


def figure(
    name: str,
    drawing: str,
    title: str,
    *,
    caption: str,
    alt: str,
    data: Mapping[str, Any],
    behind: Block,
) -> Block:
    """Return a figure: what to draw, and the table that says the same in numbers.

    Parameters
    ----------
    name
        Unique in the report: id in HTML and name of the SVG file.
    drawing
        Key of `figures.DRAWINGS`.
    title, caption, alt
        Above it, below it, and for who cannot see it.
    data
        What the drawing reads.
    behind
        Data table.
    """
    return {
        "kind": "figure",
        "id": name,
        "drawing": drawing,
        "title": title,
        "caption": caption,
        "alt": alt,
        "data": dict(data),
        "table": behind,
    }


def grid(blocks: Sequence[Block], *, folded: str = "") -> Block:
    """Return figures that stand side by side where the window is wide; closed below the words of `folded`, if any."""
    return {"kind": GRID, "blocks": list(blocks), "folded": folded}


def section(
    name: str, heading: str, blocks: Sequence[Block], *, sections: Sequence[Section] = (), folded: bool = False
) -> Section:
    """Return a section that could be made; `folded` where it starts closed below its heading."""
    return {
        "id": name,
        "heading": heading,
        "status": MADE,
        "reason": "",
        "folded": folded,
        "blocks": list(blocks),
        "sections": list(sections),
    }


def missing(name: str, heading: str, reason: str, *, status: str = FAILED) -> Section:
    """Return a section that could not be made (`FAILED`) or is not part of this run (`ABSENT`), and why."""
    return {**section(name, heading, []), "status": status, "reason": reason}


def walk(sections: Sequence[Section]) -> list[Section]:
    """Return all sections and those inside them, in reading order."""
    found: list[Section] = []
    for item in sections:
        found += [item, *walk(item["sections"])]
    return found


def spread(blocks: Sequence[Block]) -> list[Block]:
    """Return the blocks with those of grids among them, in reading order."""
    return [each for block in blocks for each in (block["blocks"] if block["kind"] == GRID else [block])]


def blocks_of(content: Mapping[str, Any], kind: str) -> list[Block]:
    """Return all blocks of one kind, in reading order, those of grids among them."""
    return [block for item in walk(content["sections"]) for block in spread(item["blocks"]) if block["kind"] == kind]


def find_section(content: Mapping[str, Any], name: str) -> Section:
    """Return a section by its id.

    Raises
    ------
    KeyError
        Where there is none: section names are fixed in code, so that this is a bug.
    """
    for item in walk(content["sections"]):
        if item["id"] == name:
            return item
    raise KeyError(name)


def find_table(part: Section, name: str) -> Block | None:
    """Return a table of a section by its id, or None where the section could not be made."""
    for block in part["blocks"]:
        if block["kind"] == "table" and block["id"] == name:
            found: Block = block
            return found
    return None

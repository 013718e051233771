"""The model card: what the report says about a model, short and as Markdown, to travel with its bundle."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any, Final

from mgrisk.errors import shown
from mgrisk.report.blocks import MADE, Block, Section, find_section, walk
from mgrisk.report.formats import model_label

SCORING: Final = """```
mgrisk schema --template people.csv      # an example file with every column, unit and level
mgrisk score people.csv -o scored.csv    # calibrated risk, interval, reasons, status for each row
mgrisk explain people.csv -o page.html   # are they like the development people, what drives their risks
```

Only age and sex are required. Anything else may be empty: the answer says what its absence cost. A person unlike
those of the development set is marked `in_domain = no`; read such a risk with distrust."""


def model_card(content: Mapping[str, Any]) -> str:
    """Return the card of a run's model.

    Parameters
    ----------
    content
        From `content.report_content`. What could not be made there stands here with the same reason.

    Returns
    -------
    str
        Markdown. Names are escaped: markup in them is shown as text.
    """
    synthetic = bool(content["synthetic"])
    model = model_label(content["winner"]) if content["winner"] else "unknown model"
    parts = [
        f"# {'SYNTHETIC: ' if synthetic else ''}{escape(content['name'])}",
        f"{escape(content['heading'])}. {escape(model)}; mgrisk {escape(content['mgrisk'])}; data: "
        f"{escape(content['data'])}.",
    ]
    if content["banner"]:
        parts.append(f"> **{escape(content['banner'])}**")
    parts += [
        _heading("What it is", synthetic),
        "A calibrated risk model with its explanation, for research.",
        *_part(content, "summary", kinds=("text",))[:1],
        _heading("What it is not", synthetic),
        *_part(content, "limits", kinds=("callout", "list")),
        _heading("Population and training data", synthetic),
        *_part(content, "attrition", kinds=("text", "table")),
        _heading("Performance", synthetic),
        *_part(content, "performance", kinds=("text", "table")),
        *_part(content, "performance-thresholds", kinds=("table",)),
        *_part(content, "performance-groups", kinds=("figure",)),
        *_part(content, "performance-scores", kinds=("table", "list")),
        _heading("In other cycles, and when inputs are missing", synthetic),
        *_part(content, "temporal", kinds=("text", "table", "callout")),
        _heading("Features", synthetic),
        *_part(content, "features", kinds=("table",)),
        _heading("What drives the risk", synthetic),
        *_drivers(content),
        _heading("Magnesium: prediction, association and published evidence", synthetic),
        *_part(content, "magnesium", kinds=("text", "table")),
        _heading("Calibration and methods", synthetic),
        *_part(content, "methods", kinds=("callout", "list", "text")),
        _heading("How to score", synthetic),
        SCORING,
        _heading("Provenance", synthetic),
        *_part(content, "provenance", kinds=("list",)),
    ]
    return "\n\n".join(parts) + "\n"


def escape(text: str) -> str:
    r"""Return text that Markdown shows as it is, on one line, and what is not to be seen as JSON escapes it.

    Examples
    --------
    >>> escape("<b>a|b</b>")
    '&lt;b&gt;a\\|b&lt;/b&gt;'
    """
    plain = shown(re.sub(r"\s+", " ", text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")))
    return re.sub(r"([\\`*_\[\]|])", r"\\\1", plain)


def _heading(text: str, synthetic: bool) -> str:
    return f"## {text}{' (SYNTHETIC)' if synthetic else ''}"


def _part(content: Mapping[str, Any], name: str, *, kinds: Sequence[str]) -> list[str]:
    found = [part for part in walk(content["sections"]) if part["id"] == name]
    # A part is not there where its section could not be made, which has said so.
    return [text for part in found for text in _texts(part, kinds)]


def _texts(part: Section, kinds: Sequence[str]) -> list[str]:
    if part["status"] != MADE:
        return [_reason(part)]
    return [text for block in part["blocks"] if block["kind"] in kinds and (text := _markdown(block))]


def _drivers(content: Mapping[str, Any]) -> list[str]:
    part = find_section(content, "drivers")
    if part["status"] != MADE:
        return [_reason(part)]
    groups, agreement = find_section(content, "drivers-groups"), find_section(content, "drivers-agreement")
    tables = [
        block["table"]
        for block in (*part["blocks"], *groups["blocks"])
        if block.get("id") in {"importance", "importance-groups"}
    ]
    warnings = [block for block in (*part["blocks"], *groups["blocks"]) if block["kind"] == "callout"]
    compared = [block for block in agreement["blocks"] if block["kind"] == "text"]
    return [_markdown(block) for block in (*warnings, *tables, *compared)]


def _reason(part: Section) -> str:
    return f"This section failed, because {escape(part['reason'])}."


def _markdown(block: Block) -> str:
    kind = block["kind"]
    if kind == "text":
        return escape(block["text"])
    if kind == "callout":
        return f"> {escape(block['text'])}"
    if kind == "figure":
        return _markdown(block["table"])
    if kind == "list":
        return "\n".join(f"- {escape(item)}" for item in block["items"])
    head = [escape(column["label"]) or " " for column in block["columns"]]
    marks = ["--:" if column["numeric"] else "---" for column in block["columns"]]
    lines = [head, marks, *([escape(cell) or " " for cell in line["cells"]] for line in block["rows"])]
    table = "\n".join(f"| {' | '.join(cells)} |" for cells in lines)
    notes = "".join(f"\n\n{escape(note)}" for note in block["notes"])
    return f"**{escape(block['caption'])}**\n\n{table}{notes}"

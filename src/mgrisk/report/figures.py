"""Drawing: a figure block in, one SVG string out; the style and the clean-up that all drawings share.

matplotlib draws with its object-oriented interface: no pyplot, no global state. Text stays text, so that it can be
searched and read aloud. Colours are CSS variables with a fixed fallback: the same SVG follows the page into dark
mode and stands alone as a file. Ids carry the figure's name, because a page holds many figures.
"""

from __future__ import annotations

import io
import re
from collections.abc import Callable, Mapping
from typing import Any, Final

import matplotlib as mpl
from matplotlib.figure import Figure

from mgrisk.report import figures_evidence, figures_explain, figures_performance
from mgrisk.report.canvas import MARK, PALETTE, RC, legible

Draw = Callable[[Mapping[str, Any]], Figure]
DRAWINGS: Final[Mapping[str, Draw]] = {
    "roc": figures_performance.roc,
    "calibration": figures_performance.calibration,
    "decision": figures_performance.decision,
    "importance": figures_explain.importance,
    "swarm": figures_explain.swarm,
    "dependence": figures_explain.dependence,
    "waterfall": figures_explain.waterfall,
    "forest": figures_evidence.forest,
    "curve": figures_evidence.curve,
}


def draw(block: Mapping[str, Any]) -> str:
    """Draw a figure block.

    Parameters
    ----------
    block
        From `blocks.figure`; `drawing` names one of `DRAWINGS`. Where `data` holds a `mark` (SYNTHETIC) the word is
        written into the picture.

    Returns
    -------
    str
        An `<svg>` element that is the same for the same block, with ids that no other figure has, no metadata and no
        reference to anything outside.
    """
    settings: dict[Any, Any] = {**RC, "svg.hashsalt": block["id"]}
    with mpl.rc_context(settings):
        picture = DRAWINGS[block["drawing"]](block["data"])
        mark = block["data"].get("mark")
        if mark:
            _stamp(picture, str(mark))
        written = io.StringIO()
        picture.savefig(written, format="svg", transparent=True, metadata={"Date": None, "Creator": None})
    return _clean(written.getvalue(), prefix=str(block["id"]))


def _stamp(picture: Figure, mark: str) -> None:
    """Write the mark twice: above the picture, and large and pale across it, where no crop can lose it."""
    picture.suptitle(legible(mark), x=0.99, ha="right", color=MARK, fontsize=11, fontweight="bold")
    picture.text(
        0.5, 0.5, legible(mark), ha="center", va="center", color=MARK, fontsize=44, alpha=0.13, rotation=18, zorder=10
    )


def _clean(svg: str, *, prefix: str) -> str:
    svg = svg[svg.index("<svg") :]
    svg = re.sub(r"\s*<metadata>.*?</metadata>", "", svg, flags=re.DOTALL)
    # The style block would speak to the whole page; the same on the element speaks to this figure.
    svg = re.sub(r"\s*<defs>\s*<style.*?</style>\s*</defs>", "", svg, flags=re.DOTALL)
    svg = svg.replace("xlink:href=", "href=").replace(' xmlns:xlink="http://www.w3.org/1999/xlink"', "")
    svg = re.sub(r'\bid="([^"]+)"', rf'id="{prefix}-\1"', svg)
    svg = re.sub(r"url\(#([^)]+)\)", rf"url(#{prefix}-\1)", svg)
    svg = re.sub(r'\bhref="#([^"]+)"', rf'href="#{prefix}-\1"', svg)
    # Two decimals of a point are finer than any screen; six make the file three times as large.
    svg = re.sub(r'(\b(?:d|x|y|transform)=")([^"]*)(")', _rounded, svg)
    svg = re.sub(r"M ([-\d.]+ [-\d.]+) L \1(?= M|\")", r"M\1h0", svg)  # a dot: a line of no length with round caps
    for name, colour in PALETTE.items():
        svg = svg.replace(colour, f"var(--fig-{name}, {colour})")
    return svg.replace("<svg ", '<svg style="stroke-linejoin: round; stroke-linecap: butt" ', 1).strip()


def _rounded(found: re.Match[str]) -> str:
    numbers = re.sub(r"-?\d+\.\d{3,}", lambda value: f"{float(value[0]):.2f}".rstrip("0").rstrip("."), found[2])
    return found[1] + re.sub(r"\s+", " ", numbers).strip() + found[3]

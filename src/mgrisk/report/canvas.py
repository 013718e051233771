"""What all drawings share: colours that colour-blind people can tell apart, type, axes, and labels as plain text."""

from __future__ import annotations

import unicodedata
from collections.abc import Mapping
from typing import Any, Final

from matplotlib.axes import Axes
from matplotlib.figure import Figure

# Okabe and Ito (2008); ink, soft and grid follow the page. `figures` turns each into a CSS variable of that name.
INK: Final = "#1c2430"
SOFT: Final = "#5b6675"
GRID: Final = "#dde2e8"
BLUE: Final = "#0072b2"
ORANGE: Final = "#e69f00"
GREEN: Final = "#009e73"
VERMILION: Final = "#d55e00"
PURPLE: Final = "#cc79a7"
GREY: Final = "#9aa3ae"
MARK: Final = "#c2185b"
PALETTE: Final[Mapping[str, str]] = {
    "ink": INK,
    "soft": SOFT,
    "grid": GRID,
    "blue": BLUE,
    "orange": ORANGE,
    "green": GREEN,
    "vermilion": VERMILION,
    "purple": PURPLE,
    "grey": GREY,
    "mark": MARK,
}
LINES: Final = ((BLUE, "-"), (VERMILION, "--"), (GREEN, "-."), (PURPLE, ":"), (ORANGE, "-"))
RC: Final[Mapping[str, Any]] = {
    "svg.fonttype": "none",
    "font.family": "sans-serif",
    "font.sans-serif": ["DejaVu Sans"],
    "font.size": 10.5,
    "text.parse_math": False,  # a $ in a name is a $
    "text.color": INK,
    "axes.labelcolor": INK,
    "axes.edgecolor": SOFT,
    "axes.linewidth": 0.8,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.unicode_minus": True,
    "xtick.color": SOFT,
    "ytick.color": SOFT,
    "xtick.labelcolor": INK,
    "ytick.labelcolor": INK,
    "grid.color": GRID,
    "grid.linewidth": 0.8,
    "legend.frameon": False,
    "legend.fontsize": 9.5,
    "axes.axisbelow": True,
    "path.simplify": True,
}
LONGEST: Final = 42


def canvas(width: float, height: float, **grid: Any) -> tuple[Figure, Any]:
    """Return a figure of that size in inches and its axes, as `Figure.subplots` gives them.

    Must run inside `matplotlib.rc_context(RC)`, as `figures.draw` does.
    """
    picture = Figure(figsize=(width, height), layout="constrained")
    return picture, picture.subplots(**grid)


def legible(text: str, *, longest: int = LONGEST) -> str:
    r"""Return text that can be drawn: on one line, without control or direction characters, not endless.

    Examples
    --------
    >>> legible("a" * 50, longest=5), legible("x\u202ey")
    ('aaaa…', 'x�y')
    """
    plain = "".join("�" if unicodedata.category(char) in {"Cc", "Cf", "Cs", "Co", "Cn"} else char for char in text)
    return plain if len(plain) <= longest else plain[: longest - 1] + "…"


def risk_ticks(axes: Axes, *, low: float, high: float, both: bool = False) -> None:
    """Put a logarithmic axis of risk in percent on x, or on x and y, from `low` to `high`."""
    ticks = [tick for tick in (0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5) if low <= tick <= high]
    labels = [f"{100 * tick:g} %" for tick in ticks]
    axes.set_xscale("log")
    axes.set_xlim(low, high)
    axes.set_xticks(ticks, labels)
    axes.set_xticks([], minor=True)
    if both:
        axes.set_yscale("log")
        axes.set_ylim(low, high)
        axes.set_yticks(ticks, labels)
        axes.set_yticks([], minor=True)

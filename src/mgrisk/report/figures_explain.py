"""Drawings of explanations: importance bars, swarm, dependence on a feature, waterfall of one person."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import numpy as np
from matplotlib.colors import LinearSegmentedColormap, to_hex
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import PathPatch
from matplotlib.path import Path
from matplotlib.ticker import FuncFormatter
from numpy.typing import NDArray

from mgrisk.report.canvas import BLUE, GREY, INK, ORANGE, SOFT, VERMILION, canvas, legible

SHADES: Final = 7
SHADE_MAP: Final = LinearSegmentedColormap.from_list("low-high", [BLUE, "#a9a4a0", VERMILION])
SHADE_COLOURS: Final = tuple(to_hex(SHADE_MAP(place / (SHADES - 1))) for place in range(SHADES))
ROW: Final = 0.36  # inches for a row of a chart of rows
RISKS: Final = (
    0.0005, 0.001, 0.002, 0.005, 0.01, 0.015, 0.02, 0.025, 0.03, 0.04, 0.05, 0.07, 0.1, 0.15, 0.2, 0.3, 0.5, 0.7, 0.9,
)  # fmt: skip
Floats = NDArray[np.float64]


def importance(data: Mapping[str, Any]) -> Figure:
    """Draw mean absolute contributions with intervals; magnesium stands out by colour and by a star."""
    bars = data["bars"]
    picture, axes = canvas(7.2, 1.1 + ROW * len(bars))
    places = np.arange(len(bars))[::-1]
    sizes = _floats([bar["importance"] for bar in bars])
    reach = np.abs(np.vstack([sizes - _floats([b["low"] for b in bars]), _floats([b["high"] for b in bars]) - sizes]))
    colours = [ORANGE if bar["group"] == "magnesium" else BLUE for bar in bars]
    axes.barh(places, sizes, height=0.66, color=colours)
    axes.errorbar(sizes, places, xerr=np.nan_to_num(reach), fmt="none", ecolor=INK, elinewidth=1.1, capsize=2)
    axes.set_yticks(places, [_bar_label(bar) for bar in bars])
    axes.set_ylim(-0.7, len(bars) - 0.3)
    axes.tick_params(axis="y", length=0)
    axes.set_xlabel("Mean |contribution|, log-odds (95 % interval)")
    axes.grid(True, axis="x")
    keys = [
        Line2D([], [], color=ORANGE, linewidth=7, label="Magnesium ★"),
        Line2D([], [], color=BLUE, linewidth=7, label="Other features"),
    ]
    if any(bar["direction"] is not None for bar in bars):
        keys.append(Line2D([], [], color="none", label="↑ higher value, higher risk; ↓ lower risk"))
    axes.legend(handles=keys, loc="lower right")
    return picture


def _bar_label(bar: Mapping[str, Any]) -> str:
    direction = bar["direction"]
    arrow = "" if direction is None or abs(direction) <= 0.5 else (" ↑" if direction > 0 else " ↓")
    return f"{'★ ' if bar['group'] == 'magnesium' else ''}{legible(bar['label'])}{arrow}"


def swarm(data: Mapping[str, Any]) -> Figure:
    """Draw contributions person by person, a row for each feature, coloured by the feature's value."""
    strips = data["strips"]
    picture, axes = canvas(7.2, 1.1 + 0.46 * len(strips))
    axes.axvline(0, color=SOFT, linewidth=1)
    for place, strip in enumerate(strips):
        x = _floats(strip["contribution"])
        y = len(strips) - 1 - place + _spread(x)
        shade = _floats(strip["shade"])
        step = np.where(np.isnan(shade), -1, np.clip(shade * SHADES, 0, SHADES - 1)).astype(int)
        for level in np.unique(step):
            here = step == level
            _dots(axes, x[here], y[here], GREY if level < 0 else SHADE_COLOURS[level], size=3.4)
    extent = [value for strip in strips for value in strip["contribution"]] or [0.0]
    margin = 0.04 * (max(extent) - min(extent) + 1e-9)
    axes.set_xlim(min(extent) - margin, max(extent) + margin)
    axes.set_ylim(-0.7, len(strips) - 0.3)
    axes.set_yticks(np.arange(len(strips))[::-1], [legible(strip["label"]) for strip in strips])
    axes.tick_params(axis="y", length=0)
    axes.set_xlabel("Contribution, log-odds")
    axes.grid(True, axis="x")
    named = ((SHADE_COLOURS[0], "lowest value"), (SHADE_COLOURS[3], "middle"), (SHADE_COLOURS[-1], "highest value"))
    keys = [
        Line2D([], [], marker="o", color="none", markerfacecolor=c, markeredgecolor="none", label=t) for c, t in named
    ]
    picture.legend(handles=keys, loc="outside upper center", ncols=3)
    return picture


def dependence(data: Mapping[str, Any]) -> Figure:
    """Draw contribution against a feature: dots, mean line, and where the people are."""
    picture, (axes, below) = canvas(6.6, 5.0, nrows=2, sharex=True, height_ratios=(4, 1))
    axes.axhline(0, color=SOFT, linewidth=1, linestyle=(0, (4, 3)))
    edges, share = _floats(data["density"]["edges"]), _floats(data["density"]["share"])
    x, y = _floats(data["x"]), _floats(data["y"])
    shown = x <= edges[-1] if len(edges) else np.ones(len(x), dtype=bool)
    _dots(axes, x[shown], y[shown], GREY, size=3.2)
    before = data["before"]
    axes.plot(_floats(before["x"]), _floats(before["y"]), color=VERMILION, linewidth=1.6, linestyle=(0, (5, 2)))
    axes.plot(_floats(data["line"]["x"]), _floats(data["line"]["y"]), color=BLUE, linewidth=2.4)
    if shown.any():
        room = 0.06 * (float(np.ptp(y[shown])) + 1e-9)
        axes.set_ylim(float(y[shown].min()) - room, float(y[shown].max()) + room)
    axes.set_ylabel(legible(data["y_label"]))
    axes.grid(True)
    if len(edges):
        below.stairs(share, edges, fill=True, color=BLUE, alpha=0.35, linewidth=0)
        below.stairs(_floats(data["density"]["before"]), edges, color=VERMILION, linewidth=1.0)
        below.set_xlim(edges[0], edges[-1])
    # The rug shows single people where the bars are too low to be seen.
    _rug(below, x[shown])
    below.set_yticks([])
    below.spines["left"].set_visible(False)
    below.set_ylabel("People")
    below.set_xlabel(legible(data["x_label"]))
    keys = [
        Line2D([], [], color=BLUE, linewidth=2.4, label="held-out"),
        Line2D([], [], color=VERMILION, linewidth=1.6, linestyle=(0, (5, 2)), label="development"),
    ]
    picture.legend(handles=keys, loc="outside upper center", ncols=2)
    return picture


def waterfall(data: Mapping[str, Any]) -> Figure:
    """Draw one person's way from the base value to the reported log-odds; the scale above is the risk."""
    steps = data["steps"]
    picture, axes = canvas(7.4, 1.7 + ROW * (len(steps) + 2))
    top = len(steps) + 1
    at = float(data["base"])
    reached = at + np.concatenate(([0.0], np.cumsum(_floats([step["contribution"] for step in steps]))))
    low, high = min(float(reached.min()), data["low"]), max(float(reached.max()), data["high"])
    axes.set_xlim(low - 0.06 * (high - low), high + 0.06 * (high - low))
    axes.plot([at, at], [top - 0.31, top + 0.31], color=SOFT, linewidth=2.4)
    for place, step in enumerate(steps):
        y, size = top - 1 - place, float(step["contribution"])
        axes.barh(y, size, left=at, height=0.62, color=VERMILION if size > 0 else BLUE)
        axes.plot([at, at], [y - 0.31, y + 1.31], color=SOFT, linewidth=0.7)
        axes.text(1.02, y, f"{size:+.2f}".replace("-", "−"), transform=axes.get_yaxis_transform(), va="center")
        at += size
    axes.plot([at, at], [0, 1.31], color=SOFT, linewidth=0.7)
    axes.errorbar(
        [at], [0], xerr=[[max(at - data["low"], 0.0)], [max(data["high"] - at, 0.0)]], fmt="D", color=INK,
        markersize=6, elinewidth=1.4, capsize=3,
    )  # fmt: skip
    named = [legible(step["label"], longest=46) for step in steps]
    axes.set_yticks(np.arange(top, -1, -1), ["Population (base value)", *named, "Reported risk, 90 % interval"])
    axes.set_ylim(-0.7, top + 0.6)
    axes.tick_params(axis="y", length=0)
    axes.set_xlabel("Log-odds of the reported risk")
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}".replace("-", "−")))
    axes.grid(True, axis="x")
    _risk_scale(axes)
    return picture


def _risk_scale(axes: Any) -> None:
    """Put the risk that belongs to the log-odds on the upper edge, at round numbers that do not collide."""
    low, high = axes.get_xlim()
    ticks: list[float] = []
    for risk in RISKS:
        place = float(np.log(risk / (1 - risk)))
        apart = not ticks or place - float(np.log(ticks[-1] / (1 - ticks[-1]))) > 0.13 * (high - low)
        if low <= place <= high and apart:
            ticks.append(risk)
    above = axes.secondary_xaxis("top")
    above.set_xticks([float(np.log(risk / (1 - risk))) for risk in ticks], [f"{100 * risk:g} %" for risk in ticks])
    above.set_xlabel("The same as a risk", labelpad=8)
    above.spines["top"].set_visible(True)


def _spread(x: Floats) -> Floats:
    """Return vertical offsets that keep dots of equal x apart: each goes to the next free place of its column."""
    if len(x) == 0:
        return x
    width = max(float(np.ptp(x)) / 70, 0.004)
    column = np.floor((x - x.min()) / width).astype(int)
    offset = np.zeros(len(x))
    largest = max(int(np.bincount(column).max()), 1)
    step = min(0.07, 0.76 / largest)
    for number in np.unique(column):
        here = np.flatnonzero(column == number)
        rank = np.arange(len(here))
        offset[here] = np.where(rank % 2 == 0, 1, -1) * ((rank + 1) // 2) * step
    return offset


def _dots(axes: Any, x: Floats, y: Floats, colour: str, *, size: float) -> None:
    """Draw many dots as one path of round caps: a tenth of the bytes of a marker for each."""
    if len(x) == 0:
        return
    ends = np.repeat(np.column_stack([x, y]), 2, axis=0)
    path = Path(ends, np.tile([Path.MOVETO, Path.LINETO], len(x)))
    path.should_simplify = False  # simplifying takes a line of no length for nothing
    axes.add_patch(PathPatch(path, edgecolor=colour, fill=False, linewidth=size, capstyle="round", alpha=0.75))


def _rug(axes: Any, x: Floats) -> None:
    """Draw a short line below the axes for each value."""
    if len(x) == 0:
        return
    ends = np.column_stack([np.repeat(x, 2), np.tile([0.0, 0.12], len(x))])
    path = Path(ends, np.tile([Path.MOVETO, Path.LINETO], len(x)))
    path.should_simplify = False
    across = axes.get_xaxis_transform()  # x in data, y as a share of the axes
    axes.add_patch(PathPatch(path, edgecolor=INK, fill=False, linewidth=0.5, alpha=0.45, transform=across))


def _floats(values: Any) -> Floats:
    return np.array(values, dtype=np.float64)

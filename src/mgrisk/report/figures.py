"""Drawing: a figure block in, one SVG string out.

Performance (ROC curve, calibration curve with the people below it, decision curve), explanations (importance, beeswarm,
dependence, waterfall) and evidence (forest plot, specification curve, flow of participants, curve with its band)
share one style: colours that colour-blind people can tell apart, type, axes, and labels as plain text.

matplotlib draws with its object-oriented interface: no pyplot, no global state. Text stays text, so that it can be
searched and read aloud. Colours are CSS variables with a fixed fallback: the same SVG follows the page into dark mode
and stands alone as a file. Ids carry the figure's name, because a page holds many figures.
"""

from __future__ import annotations

import io
import re
import unicodedata
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap, to_hex
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import PathPatch
from matplotlib.path import Path
from matplotlib.ticker import FuncFormatter

from mgrisk.types import Floats

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


POINT_ROW: Final = 0.3  # inches for an estimate
FOREST_LABEL: Final = 64
LINE: Final = 75  # signs of a legend in one line
LOOKS: Final = ((GREY, "s"), (BLUE, "o"), (VERMILION, "D"), (GREEN, "^"), (ORANGE, "v"))


def forest(data: Mapping[str, Any]) -> Figure:
    """Draw estimates of ratios with intervals, a row each, coloured by kind; `null` is the line of no association."""
    points = data["points"]
    kinds = list(dict.fromkeys(point["kind"] for point in points))
    looks = dict(zip(kinds, (LOOKS[place % len(LOOKS)] for place in range(len(kinds))), strict=True))
    picture, axes = canvas(7.4, 1.2 + POINT_ROW * len(points))
    axes.axvline(data["null"], color=SOFT, linewidth=1, linestyle=(0, (4, 3)))
    places = np.arange(len(points))[::-1]
    for place, point in zip(places, points, strict=True):
        if point["estimate"] is None:
            continue
        colour, marker = looks[point["kind"]]
        if point["low"] is not None and point["high"] is not None:
            axes.plot([point["low"], point["high"]], [place, place], color=colour, linewidth=1.8)
        axes.plot([point["estimate"]], [place], marker, color=colour, markersize=6)
    axes.set_xscale("log")
    axes.minorticks_off()
    reach = [value for point in points for value in (point["low"], point["high"]) if value is not None]
    ticks = _ticks(min([*reach, data["null"]]), max([*reach, data["null"]]))
    axes.set_xticks(ticks, [f"{tick:g}" for tick in ticks])
    axes.set_yticks(places, [legible(point["label"], longest=FOREST_LABEL) for point in points])
    axes.set_ylim(-0.7, len(points) - 0.3)
    axes.tick_params(axis="y", length=0)
    axes.set_xlabel(legible(data["x_label"], longest=FOREST_LABEL))
    axes.grid(True, axis="x")
    keys = [
        Line2D([], [], color=colour, marker=marker, label=legible(kind, longest=FOREST_LABEL))
        for kind, (colour, marker) in looks.items()
    ]
    # Side by side as long as they fit: a long name would be cut at the edge of the picture.
    long = sum(len(kind) for kind in looks) > LINE
    picture.legend(handles=keys, loc="outside upper center", ncols=1 if long else min(len(keys), 3))
    return picture


def _ticks(low: float, high: float) -> list[float]:
    """Return round numbers on a ratio axis, some four to eight of them."""
    for step in (0.02, 0.05, 0.1, 0.2, 0.5):
        ticks = [
            round(float(each), 3) for each in np.arange(0.0, high + step, step) if low * 0.97 <= each <= high * 1.03
        ]
        if 2 <= len(ticks) <= 8:
            return [tick for tick in ticks if tick > 0]
    return [tick for tick in (0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0) if low * 0.9 <= tick <= high * 1.1]


def specifications(data: Mapping[str, Any]) -> Figure:
    """Draw a specification curve: ratios with intervals in their order, and below each the choices behind it."""
    points, panels = data["points"], data["panels"]
    levels = [(place, level) for place, panel in enumerate(panels) for level in panel["levels"]]
    below_height = 0.2 * len(levels) + 0.15
    picture, (axes, below) = canvas(7.4, 3.2 + below_height, nrows=2, sharex=True, height_ratios=(2.5, below_height))
    x = np.arange(len(points))
    estimate, low, high = (_gapped([point[key] for point in points]) for key in ("estimate", "low", "high"))
    axes.axhline(1.0, color=SOFT, linewidth=1, linestyle=(0, (4, 3)))
    axes.vlines(x, low, high, color=BLUE, linewidth=1.3)
    axes.plot(x, estimate, "o", color=BLUE, markersize=3.6)
    axes.set_yscale("log")
    axes.minorticks_off()
    reach = np.concatenate([low, high, estimate, [1.0]])
    ticks = _ticks(float(np.nanmin(reach)), float(np.nanmax(reach)))
    axes.set_yticks(ticks, [f"{tick:g}" for tick in ticks])
    axes.set_ylabel(legible(data["y_label"]))
    axes.grid(True, axis="y")
    axes.tick_params(axis="x", length=0)
    for row, (place, level) in enumerate(levels):
        chosen = [at for at, point in enumerate(points) if point["choices"][place] == level]
        below.plot(chosen, np.full(len(chosen), row), "s", color=(BLUE, VERMILION, GREEN)[place % 3], markersize=3.6)
    below.set_yticks(range(len(levels)), [legible(level, longest=FOREST_LABEL) for _, level in levels], fontsize=8.5)
    below.set_ylim(len(levels) - 0.4, -0.6)
    below.set_xticks([])
    below.tick_params(axis="y", length=0)
    edges = np.flatnonzero(np.diff([place for place, _ in levels])) + 0.5
    for edge in edges:
        below.axhline(edge, color=GRID, linewidth=0.8)
    return picture


def flow(data: Mapping[str, Any]) -> Figure:
    """Draw who remains after each rule, one below the other, and beside each arrow who was excluded."""
    steps = data["steps"]
    picture, axes = canvas(7.0, 0.25 + 0.52 * len(steps))
    axes.set(xlim=(0, 1), ylim=(-len(steps) + 0.45, 0.55))
    axes.set_axis_off()
    frame = {"boxstyle": "square,pad=0.35", "facecolor": "none", "edgecolor": SOFT, "linewidth": 0.9}
    for place, step in enumerate(steps):
        axes.text(0.3, -place, f"{legible(step['label'])}: {step['n']:,}", ha="center", va="center", bbox=frame)
        if place:
            axes.annotate(
                "", (0.3, -place + 0.27), (0.3, -place + 0.73), arrowprops={"arrowstyle": "->", "color": SOFT}
            )
            excluded = f"{step['excluded']:,} excluded" if step["excluded"] else "nobody excluded"
            axes.plot([0.3, 0.66], [-place + 0.5, -place + 0.5], color=SOFT, linewidth=0.8)
            axes.text(0.68, -place + 0.5, excluded, va="center", color=SOFT)
    return picture


def curve(data: Mapping[str, Any]) -> Figure:
    """Draw a ratio along intake with its band, and below it where the people are."""
    picture, (axes, below) = canvas(6.6, 5.0, nrows=2, sharex=True, height_ratios=(6, 1))
    x, estimate, low, high = (np.array(data[key], dtype=np.float64) for key in ("x", "estimate", "low", "high"))
    axes.axhline(1.0, color=SOFT, linewidth=1, linestyle=(0, (4, 3)))
    axes.fill_between(x, low, high, color=BLUE, alpha=0.16, linewidth=0, label="95 % band")
    axes.plot(x, estimate, color=BLUE, linewidth=2.2, label="Curve")
    axes.set_yscale("log")
    axes.minorticks_off()
    ticks = _ticks(float(np.nanmin(low)), float(np.nanmax(high)))
    axes.set_yticks(ticks, [f"{tick:g}" for tick in ticks])
    axes.set_ylabel(legible(data["y_label"]))
    axes.grid(True)
    axes.legend(loc="upper right")
    shown = [each for each in data["quantiles"] if x.min() <= each["mg"] <= x.max()]
    below.plot([each["mg"] for each in shown], np.zeros(len(shown)), "|", color=VERMILION, markersize=12)
    for each in shown:
        share = each["label"].removesuffix(" eat less")
        below.annotate(share, (each["mg"], -0.5), ha="center", va="top", fontsize=8.5, color=SOFT)
    below.set_ylim(-2.2, 0.8)
    below.set_yticks([])
    below.spines["left"].set_visible(False)
    below.set_ylabel("Eat less", rotation=0, ha="right", va="center", fontsize=9)
    below.set_xlabel(legible(data["x_label"]))
    return picture


SHADES: Final = 7
SHADE_MAP: Final = LinearSegmentedColormap.from_list("low-high", [BLUE, "#a9a4a0", VERMILION])
SHADE_COLOURS: Final = tuple(to_hex(SHADE_MAP(place / (SHADES - 1))) for place in range(SHADES))
ROW: Final = 0.36  # inches for a row of a chart of rows
RISKS: Final = (
    0.0005, 0.001, 0.002, 0.005, 0.01, 0.015, 0.02, 0.025, 0.03, 0.04, 0.05, 0.07, 0.1, 0.15, 0.2, 0.3, 0.5, 0.7, 0.9,
)  # fmt: skip


def importance(data: Mapping[str, Any]) -> Figure:
    """Draw mean absolute contributions with intervals; magnesium stands out by colour and by a star."""
    bars = data["bars"]
    marked = [bar["group"] == "magnesium" for bar in bars]
    picture, axes = _bars(bars, "importance", [_bar_label(bar) for bar in bars], marked)
    axes.set_xlabel("Mean |contribution|, log-odds (95 % interval)")
    keys = [
        Line2D([], [], color=ORANGE, linewidth=7, label="Magnesium ★"),
        Line2D([], [], color=BLUE, linewidth=7, label="Other features"),
    ]
    if any(bar["direction"] is not None for bar in bars):
        keys.append(Line2D([], [], color="none", label="↑ higher value, higher risk; ↓ lower risk"))
    axes.legend(handles=keys, loc="lower right")
    return picture


def amounts(data: Mapping[str, Any]) -> Figure:
    """Draw amounts with intervals, a bar each; those that are `marked` stand out by colour."""
    bars = data["bars"]
    picture, axes = _bars(bars, "estimate", [legible(bar["label"]) for bar in bars], [bar["marked"] for bar in bars])
    axes.set_xlabel(legible(data["x_label"], longest=FOREST_LABEL))
    keys = [
        Line2D([], [], color=colour, linewidth=7, label=legible(data[key]))
        for colour, key in ((ORANGE, "marked"), (BLUE, "others"))
    ]
    axes.legend(handles=keys, loc="lower right")
    return picture


def _bars(
    bars: Sequence[Mapping[str, Any]], size: str, labels: Sequence[str], marked: Sequence[bool]
) -> tuple[Figure, Any]:
    """Draw a horizontal bar for each of some estimates, with its interval."""
    picture, axes = canvas(7.2, 1.1 + ROW * len(bars))
    places = np.arange(len(bars))[::-1]
    sizes = _floats([bar[size] for bar in bars])
    reach = np.abs(np.vstack([sizes - _floats([b["low"] for b in bars]), _floats([b["high"] for b in bars]) - sizes]))
    axes.barh(places, sizes, height=0.66, color=[ORANGE if each else BLUE for each in marked])
    axes.errorbar(sizes, places, xerr=np.nan_to_num(reach), fmt="none", ecolor=INK, elinewidth=1.1, capsize=2)
    axes.set_yticks(places, labels)
    axes.set_ylim(-0.7, len(bars) - 0.3)
    axes.tick_params(axis="y", length=0)
    axes.grid(True, axis="x")
    return picture, axes


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


LOWEST, HIGHEST = 0.001, 0.5
LEGEND_LABEL: Final = 70  # longest label of a legend


def roc(data: Mapping[str, Any]) -> Figure:
    """Draw ROC curves; `curves` holds label, chosen, x and y of each."""
    picture, axes = canvas(6.2, 5.4)
    axes.plot([0, 1], [0, 1], color=GREY, linewidth=1, linestyle=(0, (2, 3)))
    for place, curve in enumerate(data["curves"]):
        colour, style = LINES[place % len(LINES)]
        width = 2.4 if curve["chosen"] else 1.6
        label = legible(curve["label"], longest=LEGEND_LABEL)
        axes.plot(_gapped(curve["x"]), _gapped(curve["y"]), color=colour, linestyle=style, linewidth=width, label=label)
    axes.set(xlim=(0, 1), ylim=(0, 1.005), xlabel="False positive rate", ylabel="Sensitivity", aspect="equal")
    axes.grid(True)
    axes.legend(loc="lower right", title="AUROC (95 % interval)", title_fontsize=9.5, alignment="left")
    return picture


def calibration(data: Mapping[str, Any]) -> Figure:
    """Draw a calibration curve with its band, groups as points, and where cases and others are."""
    picture, (axes, below) = canvas(6.2, 6.6, nrows=2, sharex=True, height_ratios=(4.2, 1))
    smooth, groups = data["smooth"], data["groups"]
    axes.plot([LOWEST, HIGHEST], [LOWEST, HIGHEST], color=SOFT, linewidth=1, linestyle=(0, (4, 3)), label="Perfect")
    risk = _gapped(smooth["risk"])
    low, high = (_gapped(smooth[key]).clip(LOWEST / 10, 1) for key in ("low", "high"))
    axes.fill_between(risk, low, high, color=BLUE, alpha=0.16, linewidth=0, label="95 % band")
    axes.plot(risk, _gapped(smooth["observed"]), color=BLUE, linewidth=2.2, label="Smooth curve")
    _groups(axes, groups)
    axes.set_ylabel("Observed risk")
    axes.grid(True)
    axes.legend(loc="lower right")
    histogram = data["histogram"]
    edges = _gapped(histogram["edges"])
    below.stairs(_gapped(histogram["others"]), edges, color=GREY, fill=True, alpha=0.45, linewidth=0, label="Others")
    below.stairs(_gapped(histogram["cases"]), edges, color=VERMILION, linewidth=1.6, label="Cases")
    below.set_yticks([])
    below.spines["left"].set_visible(False)
    below.set_ylabel("Share")
    below.set_xlabel("Predicted risk")
    below.legend(loc="upper left", ncols=1, borderpad=0)
    risk_ticks(axes, low=LOWEST, high=HIGHEST, both=True)
    return picture


def _groups(axes: Any, groups: Mapping[str, Any]) -> None:
    predicted, observed = _gapped(groups["predicted"]), _gapped(groups["observed"])
    low, high = _gapped(groups["low"]), _gapped(groups["high"])
    none = ~(observed > LOWEST)
    some = ~none
    reach = np.abs(np.vstack([observed - low, high - observed]))[:, some]
    axes.errorbar(
        predicted[some], observed[some], yerr=np.nan_to_num(reach), fmt="o", color=INK, markersize=5, linewidth=1.1,
        label="Tenths of the population",
    )  # fmt: skip
    if none.any():
        axes.plot(
            predicted[none], np.full(int(none.sum()), LOWEST * 1.12), "v", color=INK, markersize=6,
            markerfacecolor="none", label="Tenth without cases",
        )  # fmt: skip


def decision(data: Mapping[str, Any]) -> Figure:
    """Draw decision curves of models beside treat all and treat none."""
    picture, axes = canvas(6.2, 4.4)
    threshold = 100 * _gapped(data["threshold"])
    everybody = 1000 * _gapped(data["all"])
    axes.axhline(0, color=SOFT, linewidth=1, linestyle=(0, (4, 3)), label="Treat none")
    axes.plot(threshold, everybody, color=GREY, linewidth=1.6, linestyle="-.", label="Treat all")
    top = float(np.nanmax(everybody))
    bottom = 0.0
    for place, model in enumerate(data["models"]):
        colour, style = LINES[place % len(LINES)]
        low, high = 1000 * _gapped(model["low"]), 1000 * _gapped(model["high"])
        top = max(top, float(np.nanmax(high)))
        if model["chosen"]:
            axes.fill_between(threshold, low, high, color=colour, alpha=0.16, linewidth=0)
            bottom = min(bottom, float(np.nanmin(low)))
        label = legible(model["label"])
        width = 2.2 if model["chosen"] else 1.6
        axes.plot(
            threshold, 1000 * _gapped(model["model"]), color=colour, linestyle=style, linewidth=width, label=label
        )
    axes.set_ylim(bottom - 0.05 * (top - bottom), top * 1.05)
    axes.set_xlim(float(threshold.min()), float(threshold.max()))
    axes.set_xlabel("Threshold of predicted risk, %")
    axes.set_ylabel("Net benefit per 1,000 people")
    axes.grid(True)
    axes.legend(loc="upper right")
    return picture


def _gapped(values: Any) -> Floats:
    # None, JSON's undefined, becomes NaN, which leaves a gap in a line.
    return np.array(values, dtype=np.float64)


Draw = Callable[[Mapping[str, Any]], Figure]
DRAWINGS: Final[Mapping[str, Draw]] = {
    "roc": roc,
    "calibration": calibration,
    "decision": decision,
    "importance": importance,
    "swarm": swarm,
    "dependence": dependence,
    "waterfall": waterfall,
    "forest": forest,
    "specifications": specifications,
    "flow": flow,
    "curve": curve,
    "amounts": amounts,
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

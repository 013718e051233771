"""Drawing: a figure block in, one SVG string out.

Performance (ROC curve, calibration curve with the people below it, decision curve), explanations (importance, beeswarm,
dependence, waterfall), evidence (forest plot, specification curve, flow of participants, curve with its band) and
batches (trend, table of indexes) share one style: colours that colour-blind people can tell apart, type, axes, and
labels as plain text.

matplotlib draws with its object-oriented interface: no pyplot, no global state. Text stays text, so that it can be
searched and read aloud. Colours are CSS variables with a fixed fallback: the same SVG follows the page into dark mode
and stands alone as a file. Ids carry the figure's name, because a page holds many figures.
"""

from __future__ import annotations

import html
import io
import math
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

import matplotlib as mpl
import numpy as np
from matplotlib.colors import LinearSegmentedColormap, to_hex
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import PathPatch, Rectangle
from matplotlib.path import Path
from matplotlib.ticker import FuncFormatter

from mgrisk.report import panels
from mgrisk.report.formats import number
from mgrisk.report.panels import (
    BLUE,
    GREEN,
    GREY,
    GRID,
    INK,
    MARK,
    ORANGE,
    PALETTE,
    RC,
    SOFT,
    VERMILION,
    Tips,
    dots,
    floats,
    legible,
    tip,
)
from mgrisk.types import Floats


def canvas(width: float, height: float, **grid: Any) -> tuple[Figure, Any]:
    """Return a figure of that size in inches and its axes, as `Figure.subplots` gives them.

    Must run inside `matplotlib.rc_context(RC)`, as `figures.draw` does.
    """
    picture = Figure(figsize=(width, height), layout="constrained")
    return picture, picture.subplots(**grid)


WIDEST: Final = 3.0  # of a ratio or a slope by group
POINT_ROW: Final = 0.3  # inches for an estimate
FOREST_LABEL: Final = 64
TIP: Final = 140
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
        _estimate(axes, place, point, point["label"], *looks[point["kind"]])
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


def _estimate(axes: Any, place: int, point: Mapping[str, Any], label: str, colour: str, marker: str) -> None:
    """Draw an estimate with its interval in a row of a forest plot; nothing where it is not estimable."""
    if point["estimate"] is None:
        return
    if point["low"] is not None and point["high"] is not None:
        axes.plot([point["low"], point["high"]], [place, place], color=colour, linewidth=1.7)
    axes.plot([point["estimate"]], [place], marker, color=colour, markersize=5.5)
    axes.add_artist(Tips([point["estimate"]], [place], [tip(label, point)]))


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
    estimate, low, high = (floats([point[key] for point in points]) for key in ("estimate", "low", "high"))
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
MOST_TICKS: Final = 12
"""Names of batches or groups that fit below a picture."""
RISKS: Final = (
    0.0005, 0.001, 0.002, 0.005, 0.01, 0.015, 0.02, 0.025, 0.03, 0.04, 0.05, 0.07, 0.1, 0.15, 0.2, 0.3, 0.5, 0.7, 0.9,
)  # fmt: skip


def amounts(data: Mapping[str, Any]) -> Figure:
    """Draw amounts with intervals, a bar each; those that are `marked` stand out by colour."""
    bars = data["bars"]
    picture, axes = canvas(7.2, 1.1 + ROW * len(bars))
    labels = [legible(bar["label"], longest=FOREST_LABEL) for bar in bars]
    panels.bars(axes, bars, "estimate", labels, [bar["marked"] for bar in bars])
    axes.set_xlabel(legible(data["x_label"], longest=FOREST_LABEL), loc="right")
    keys = [
        Line2D([], [], color=colour, linewidth=7, label=legible(data[key]))
        for colour, key in ((ORANGE, "marked"), (BLUE, "others"))
    ]
    axes.legend(handles=keys, loc="lower right")
    return picture


def swarm(data: Mapping[str, Any]) -> Figure:
    """Draw contributions person by person, a row for each feature, coloured by the feature's value."""
    strips = data["strips"]
    picture, axes = canvas(7.2, 1.1 + 0.46 * len(strips))
    axes.axvline(0, color=SOFT, linewidth=1)
    for place, strip in enumerate(strips):
        x = floats(strip["contribution"])
        y = len(strips) - 1 - place + _spread(x)
        shade = floats(strip["shade"])
        step = np.where(np.isnan(shade), -1, np.clip(shade * SHADES, 0, SHADES - 1)).astype(int)
        for level in np.unique(step):
            here = step == level
            dots(axes, x[here], y[here], GREY if level < 0 else SHADE_COLOURS[level], size=3.4)
    extent = [value for strip in strips for value in strip["contribution"]] or [0.0]
    margin = 0.04 * (max(extent) - min(extent) + 1e-9)
    axes.set_xlim(min(extent) - margin, max(extent) + margin)
    axes.set_ylim(-0.7, len(strips) - 0.3)
    axes.set_yticks(np.arange(len(strips))[::-1], [legible(strip["label"]) for strip in strips])
    axes.tick_params(axis="y", length=0)
    axes.set_xlabel("SHAP value, log-odds")
    axes.grid(True, axis="x")
    named = ((SHADE_COLOURS[0], "lowest value"), (SHADE_COLOURS[3], "middle"), (SHADE_COLOURS[-1], "highest value"))
    keys = [
        Line2D([], [], marker="o", color="none", markerfacecolor=c, markeredgecolor="none", label=t) for c, t in named
    ]
    picture.legend(handles=keys, loc="outside upper center", ncols=3)
    return picture


def waterfall(data: Mapping[str, Any]) -> Figure:
    """Draw one person's way from the base value to the reported log-odds; the scale above is the risk."""
    steps = data["steps"]
    picture, axes = canvas(7.4, 1.7 + ROW * (len(steps) + 2))
    top = len(steps) + 1
    at = float(data["base"])
    reached = at + np.concatenate(([0.0], np.cumsum(floats([step["contribution"] for step in steps]))))
    low, high = min(float(reached.min()), data["low"]), max(float(reached.max()), data["high"])
    axes.set_xlim(low - 0.06 * (high - low), high + 0.06 * (high - low))
    axes.plot([at, at], [top - 0.31, top + 0.31], color=SOFT, linewidth=2.4)
    for place, step in enumerate(steps):
        y, size = top - 1 - place, float(step["contribution"])
        axes.barh(y, size, left=at, height=0.62, color=VERMILION if size > 0 else BLUE)
        axes.plot([at, at], [y - 0.31, y + 1.31], color=SOFT, linewidth=0.7)
        axes.text(1.02, y, number(size, digits=2, signed=True), transform=axes.get_yaxis_transform(), va="center")
        at += size
    axes.plot([at, at], [0, 1.31], color=SOFT, linewidth=0.7)
    axes.errorbar(
        [at], [0], xerr=[[max(at - data["low"], 0.0)], [max(data["high"] - at, 0.0)]], fmt="D", color=INK,
        markersize=6, elinewidth=1.4, capsize=3,
    )  # fmt: skip
    named = [legible(step["label"], longest=46) for step in steps]
    axes.set_yticks(
        np.arange(top, -1, -1), ["Base value (development population)", *named, "Reported risk, 90 % interval"]
    )
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
    above.set_xlabel("Risk", labelpad=8)
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
    for place in np.unique(column):
        here = np.flatnonzero(column == place)
        rank = np.arange(len(here))
        offset[here] = np.where(rank % 2 == 0, 1, -1) * ((rank + 1) // 2) * step
    return offset


def _rug(axes: Any, x: Floats) -> None:
    """Draw a short line below the axes for each value."""
    if len(x) == 0:
        return
    ends = np.column_stack([np.repeat(x, 2), np.tile([0.0, 0.12], len(x))])
    path = Path(ends, np.tile([Path.MOVETO, Path.LINETO], len(x)))
    path.should_simplify = False
    across = axes.get_xaxis_transform()  # x in data, y as a share of the axes
    axes.add_patch(PathPatch(path, edgecolor=INK, fill=False, linewidth=0.5, alpha=0.45, transform=across))


def roc(data: Mapping[str, Any]) -> Figure:
    """Draw ROC curves; `curves` holds label, chosen, x and y of each."""
    picture, axes = canvas(6.2, 5.4)
    panels.roc(axes, data)
    return picture


def precision_recall(data: Mapping[str, Any]) -> Figure:
    """Draw precision-recall curves; `curves` holds label, chosen, x and y of each, `chance` the share of cases."""
    picture, axes = canvas(6.2, 5.4)
    panels.precision_recall(axes, data)
    return picture


def metrics_by_row(data: Mapping[str, Any]) -> Figure:
    """Draw metrics side by side with the same rows: estimates with intervals; everybody and the ideal as lines."""
    rows = data["rows"]
    picture, each_axes = canvas(8.6, 1.0 + 0.26 * len(rows), ncols=len(data["panels"]), sharey=True, squeeze=False)
    places = np.arange(len(rows))[::-1]
    for axes, panel in zip(each_axes[0], data["panels"], strict=True):
        if panel["ideal"] is not None:
            axes.axvline(panel["ideal"], color=SOFT, linewidth=1, linestyle=(0, (4, 3)))
        if panel["everybody"] is not None:
            axes.axvline(panel["everybody"], color=BLUE, linewidth=1, linestyle=(0, (1, 2)))
        for place, label, point in zip(places, rows, panel["points"], strict=True):
            _estimate(axes, place, point, f"{label}, {panel['title']}", BLUE, "o")
        # One group of few people must not squeeze all the others.
        reach = [value for point in panel["points"] for value in (point["low"], point["high"]) if value is not None]
        if panel["ideal"] is not None and reach:
            axes.set_xlim(max(min(reach), -WIDEST), min(max(reach) + 0.05, WIDEST))
        for edge in data["breaks"]:
            axes.axhline(len(rows) - edge - 0.5, color=GRID, linewidth=0.8)
        axes.set_xlabel(legible(panel["title"]))
        axes.tick_params(axis="y", length=0)
        axes.grid(True, axis="x")
    each_axes[0][0].set_yticks(places, [legible(label, longest=FOREST_LABEL) for label in rows])
    each_axes[0][0].set_ylim(-0.7, len(rows) - 0.3)
    return picture


def calibration(data: Mapping[str, Any]) -> Figure:
    """Draw a calibration curve with its band, groups as points, and where cases and others are."""
    picture, (axes, below) = canvas(6.2, 6.6, nrows=2, sharex=True, height_ratios=(4.2, 1))
    histogram = data["histogram"]
    edges = floats(histogram["edges"])
    below.stairs(floats(histogram["others"]), edges, color=GREY, fill=True, alpha=0.45, linewidth=0, label="Others")
    below.stairs(floats(histogram["cases"]), edges, color=VERMILION, linewidth=1.6, label="Cases")
    below.set_yticks([])
    below.spines["left"].set_visible(False)
    below.set_ylabel("Share")
    below.set_xlabel("Predicted risk")
    below.legend(loc="upper left", ncols=1, borderpad=0)
    panels.calibration(axes, data)
    axes.set_xlabel("")
    return picture


def decision(data: Mapping[str, Any]) -> Figure:
    """Draw decision curves of models beside treat all and treat none."""
    picture, axes = canvas(6.2, 4.4)
    panels.decision(axes, data)
    return picture


def importance(data: Mapping[str, Any]) -> Figure:
    """Draw mean absolute contributions with intervals; magnesium stands out by colour and by a star."""
    picture, axes = canvas(7.2, 1.1 + ROW * len(data["bars"]))
    panels.importance(axes, data)
    return picture


def dependence(data: Mapping[str, Any]) -> Figure:
    """Draw contribution against a feature: dots, mean line, and where the people are."""
    picture, (axes, below) = canvas(6.6, 5.0, nrows=2, sharex=True, height_ratios=(4, 1))
    panels.dependence(axes, data)
    axes.set_xlabel("")
    edges, share = floats(data["density"]["edges"]), floats(data["density"]["share"])
    if len(edges):
        below.stairs(share, edges, fill=True, color=BLUE, alpha=0.35, linewidth=0)
        if data["density"]["before"]:
            below.stairs(floats(data["density"]["before"]), edges, color=VERMILION, linewidth=1.0)
    # The rug shows single people where the bars are too low to be seen.
    _rug(below, floats(data["x"]))
    below.set_yticks([])
    below.spines["left"].set_visible(False)
    below.set_ylabel("People")
    below.set_xlabel(legible(data["x_label"]))
    lines = axes.get_legend_handles_labels()[0][::-1]
    picture.legend(handles=lines, loc="outside upper center", ncols=len(lines))
    return picture


def trend(data: Mapping[str, Any]) -> Figure:
    """Draw numbers of batches over the batches: lines, points with intervals, and perhaps a line at `level`."""
    picture, axes = canvas(7.2, 3.6)
    x = np.arange(len(data["batches"]))
    if data["level"] is not None:
        axes.axhline(data["level"], color=SOFT, linewidth=1, linestyle=(0, (4, 3)))
    for place, line in enumerate(data["lines"]):
        colour, style = panels.LINES[place % len(panels.LINES)]
        axes.plot(
            x, floats(line["y"]), style, color=colour, linewidth=1.8, marker="o", markersize=3.5, label=line["label"]
        )
    for place, each in enumerate(data["points"]):
        y, low, high = (floats(each[name]) for name in ("y", "low", "high"))
        reach = np.nan_to_num(np.abs(np.vstack([y - low, high - y])))
        colour = (VERMILION, ORANGE)[place % 2]
        axes.errorbar(x, y, yerr=reach, fmt="D", color=colour, markersize=5, capsize=3, label=each["label"])
    _name_columns(axes, data["batches"])
    axes.set_xlim(-0.5, len(x) - 0.5)
    axes.set_ylabel(legible(data["y_label"]))
    axes.grid(True, axis="y")
    if len(data["lines"]) + len(data["points"]) > 1:
        picture.legend(loc="outside upper center", ncols=4)
    return picture


def _name_columns(axes: Any, names: Sequence[str]) -> None:
    """Put as many names below a picture as can be read beside each other, the last one always."""
    ticks = np.arange(len(names))[:: -max(1, math.ceil(len(names) / MOST_TICKS))][::-1]
    axes.set_xticks(ticks, [legible(names[place], longest=20) for place in ticks], rotation=30, ha="right")


HEAT_STEPS: Final = (0.1, 0.25, 1.0)
HEAT_WORDS: Final = ("below 0.1", "0.1 to 0.25", "0.25 to 1", "1 and more")
HEAT_COLOURS: Final = (GRID, BLUE, ORANGE, VERMILION)


def heat(data: Mapping[str, Any]) -> Figure:
    """Draw a table of indexes as coloured squares: below the first limit, between them, and beyond."""
    values = floats(data["values"])
    n_rows, n_columns = values.shape
    picture, axes = canvas(7.2, 1.5 + 0.27 * n_rows)
    for level, colour in enumerate(HEAT_COLOURS):
        low = -np.inf if level == 0 else HEAT_STEPS[level - 1]
        high = np.inf if level == len(HEAT_STEPS) else HEAT_STEPS[level]
        there = np.argwhere((values >= low) & (values < high))
        for place, at in there:
            axes.add_patch(Rectangle((at - 0.46, place - 0.42), 0.92, 0.84, facecolor=colour, edgecolor="none"))
    axes.set_xlim(-0.5, n_columns - 0.5)
    axes.set_ylim(n_rows - 0.5, -0.5)
    _name_columns(axes, data["columns"])
    axes.set_yticks(range(n_rows), [legible(label) for label in data["rows"]], fontsize=9)
    axes.tick_params(axis="both", length=0)
    keys = [
        PathPatch(Path([(0, 0)]), facecolor=colour, edgecolor="none", label=f"PSI {word}")
        for colour, word in zip(HEAT_COLOURS, HEAT_WORDS, strict=True)
    ]
    picture.legend(handles=keys, loc="outside upper center", ncols=4)
    return picture


def risks(data: Mapping[str, Any]) -> Figure:
    """Draw the shares of people by predicted risk, on a logarithmic axis; `edges` and `share` are of the bars."""
    picture, axes = canvas(6.6, 3.2)
    edges, share = floats(data["edges"]), 100.0 * floats(data["share"])
    axes.stairs(share, edges, fill=True, color=BLUE, alpha=0.6, linewidth=0)
    panels.risk_ticks(axes, low=float(edges[0]), high=float(edges[-1]))
    axes.set(xlabel="Predicted risk", ylabel="Share of people, %", ylim=(0.0, 1.05 * float(share.max())))
    axes.grid(True, axis="y")
    said = [
        f"risk {100 * low:.2g} to {100 * high:.2g} %: {each:.1f} % of people"
        for low, high, each in zip(edges[:-1], edges[1:], share, strict=True)
    ]
    axes.add_artist(Tips(np.sqrt(edges[:-1] * edges[1:]), share, said))
    return picture


Draw = Callable[[Mapping[str, Any]], Figure]
DRAWINGS: Final[Mapping[str, Draw]] = {
    "roc": roc,
    "precision_recall": precision_recall,
    "panels": metrics_by_row,
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
    "trend": trend,
    "heat": heat,
    "risks": risks,
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
    return _clean(written.getvalue(), prefix=str(block["id"])).replace("</svg>", f"{_tips(picture)}</svg>")


def _tips(picture: Figure) -> str:
    """Return a circle that cannot be seen for each place that answers when pointed at, in points of the drawing."""
    scale, height = 72.0 / picture.dpi, 72.0 * picture.get_figheight()
    found = []
    for axes in picture.axes:
        for artist in axes.artists:
            if isinstance(artist, Tips):
                at = scale * axes.transData.transform(artist.places)
                found += [
                    f'<circle class="tip" cx="{x:.1f}" cy="{height - y:.1f}" r="7" fill="none" pointer-events="all" '
                    f'data-tip="{html.escape(legible(said, longest=TIP))}"/>'
                    for (x, y), said in zip(at, artist.texts, strict=True)
                    if np.isfinite(x + y)
                ]
    return "".join(found)


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

"""Drawings of evidence: a forest of estimates with intervals, and a curve with its band."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import numpy as np
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from mgrisk.report.canvas import BLUE, GREEN, GREY, ORANGE, SOFT, VERMILION, canvas, legible

ROW, THIN = 0.3, 0.055  # inches for an estimate, and for one of many
LABEL: Final = 64
LINE: Final = 75  # signs of a legend in one line
LOOKS: Final = ((GREY, "s"), (BLUE, "o"), (VERMILION, "D"), (GREEN, "^"), (ORANGE, "v"))


def forest(data: Mapping[str, Any]) -> Figure:
    """Draw estimates of ratios with intervals, a row each, coloured by kind; `null` is the line of no association."""
    points = data["points"]
    kinds = list(dict.fromkeys(point["kind"] for point in points))
    looks = dict(zip(kinds, (LOOKS[place % len(LOOKS)] for place in range(len(kinds))), strict=True))
    dense = bool(data.get("dense"))
    picture, axes = canvas(7.4, 1.2 + (THIN if dense else ROW) * len(points))
    axes.axvline(data["null"], color=SOFT, linewidth=1, linestyle=(0, (4, 3)))
    places = np.arange(len(points))[::-1]
    for place, point in zip(places, points, strict=True):
        if point["estimate"] is None:
            continue
        colour, marker = looks[point["kind"]]
        if point["low"] is not None and point["high"] is not None:
            axes.plot([point["low"], point["high"]], [place, place], color=colour, linewidth=0.9 if dense else 1.8)
        axes.plot([point["estimate"]], [place], marker, color=colour, markersize=2.5 if dense else 6)
    axes.set_xscale("log")
    axes.minorticks_off()
    reach = [value for point in points for value in (point["low"], point["high"]) if value is not None]
    ticks = _ticks(min([*reach, data["null"]]), max([*reach, data["null"]]))
    axes.set_xticks(ticks, [f"{tick:g}" for tick in ticks])
    axes.set_yticks(places, [legible(point["label"], longest=LABEL) for point in points])
    axes.set_ylim(-0.7, len(points) - 0.3)
    axes.tick_params(axis="y", length=0)
    axes.set_xlabel(legible(data["x_label"], longest=LABEL))
    axes.grid(True, axis="x")
    keys = [
        Line2D([], [], color=colour, marker=marker, label=legible(kind, longest=LABEL))
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

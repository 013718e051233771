"""Drawings of evidence: a forest of estimates with intervals."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import numpy as np
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from mgrisk.report.canvas import BLUE, GREEN, GREY, ORANGE, SOFT, VERMILION, canvas, legible

ROW: Final = 0.3  # inches for an estimate
LABEL: Final = 64
LOOKS: Final = ((GREY, "s"), (BLUE, "o"), (VERMILION, "D"), (GREEN, "^"), (ORANGE, "v"))


def forest(data: Mapping[str, Any]) -> Figure:
    """Draw estimates of ratios with intervals, a row each, coloured by kind; `null` is the line of no association."""
    points = data["points"]
    kinds = list(dict.fromkeys(point["kind"] for point in points))
    looks = dict(zip(kinds, (LOOKS[place % len(LOOKS)] for place in range(len(kinds))), strict=True))
    picture, axes = canvas(7.4, 1.2 + ROW * len(points))
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
    axes.set_yticks(places, [legible(point["label"], longest=LABEL) for point in points])
    axes.set_ylim(-0.7, len(points) - 0.3)
    axes.tick_params(axis="y", length=0)
    axes.set_xlabel(legible(data["x_label"], longest=LABEL))
    axes.grid(True, axis="x")
    keys = [
        Line2D([], [], color=colour, marker=marker, label=legible(kind, longest=LABEL))
        for kind, (colour, marker) in looks.items()
    ]
    picture.legend(handles=keys, loc="outside upper center", ncols=min(len(keys), 3))
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

"""Drawings of performance: ROC curves, calibration with the people below it, decision curves."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

from mgrisk.report.canvas import BLUE, GREY, INK, LINES, SOFT, VERMILION, canvas, legible, risk_ticks

LOWEST, HIGHEST = 0.001, 0.5
LABEL: Final = 70  # longest label of a legend


def roc(data: Mapping[str, Any]) -> Figure:
    """Draw ROC curves; `curves` holds label, chosen, x and y of each."""
    picture, axes = canvas(6.2, 5.4)
    axes.plot([0, 1], [0, 1], color=GREY, linewidth=1, linestyle=(0, (2, 3)))
    for place, curve in enumerate(data["curves"]):
        colour, style = LINES[place % len(LINES)]
        width = 2.4 if curve["chosen"] else 1.6
        label = legible(curve["label"], longest=LABEL)
        axes.plot(_floats(curve["x"]), _floats(curve["y"]), color=colour, linestyle=style, linewidth=width, label=label)
    axes.set(xlim=(0, 1), ylim=(0, 1.005), xlabel="False positive rate", ylabel="Sensitivity", aspect="equal")
    axes.grid(True)
    axes.legend(loc="lower right", title="AUROC (95 % interval)", title_fontsize=9.5, alignment="left")
    return picture


def calibration(data: Mapping[str, Any]) -> Figure:
    """Draw a calibration curve with its band, groups as points, and where cases and others are."""
    picture, (axes, below) = canvas(6.2, 6.6, nrows=2, sharex=True, height_ratios=(4.2, 1))
    smooth, groups = data["smooth"], data["groups"]
    axes.plot([LOWEST, HIGHEST], [LOWEST, HIGHEST], color=SOFT, linewidth=1, linestyle=(0, (4, 3)), label="Perfect")
    risk = _floats(smooth["risk"])
    low, high = (_floats(smooth[key]).clip(LOWEST / 10, 1) for key in ("low", "high"))
    axes.fill_between(risk, low, high, color=BLUE, alpha=0.16, linewidth=0, label="95 % band")
    axes.plot(risk, _floats(smooth["observed"]), color=BLUE, linewidth=2.2, label="Smooth curve")
    _groups(axes, groups)
    axes.set_ylabel("Observed risk")
    axes.grid(True)
    axes.legend(loc="lower right")
    histogram = data["histogram"]
    edges = _floats(histogram["edges"])
    below.stairs(_floats(histogram["others"]), edges, color=GREY, fill=True, alpha=0.45, linewidth=0, label="Others")
    below.stairs(_floats(histogram["cases"]), edges, color=VERMILION, linewidth=1.6, label="Cases")
    below.set_yticks([])
    below.spines["left"].set_visible(False)
    below.set_ylabel("Share")
    below.set_xlabel("Predicted risk")
    below.legend(loc="upper left", ncols=1, borderpad=0)
    risk_ticks(axes, low=LOWEST, high=HIGHEST, both=True)
    return picture


def _groups(axes: Any, groups: Mapping[str, Any]) -> None:
    predicted, observed = _floats(groups["predicted"]), _floats(groups["observed"])
    low, high = _floats(groups["low"]), _floats(groups["high"])
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
    """Draw decision curves of models beside calling in everybody and nobody."""
    picture, axes = canvas(6.2, 4.4)
    threshold = 100 * _floats(data["threshold"])
    everybody = 1000 * _floats(data["all"])
    axes.axhline(0, color=SOFT, linewidth=1, linestyle=(0, (4, 3)), label="Nobody")
    axes.plot(threshold, everybody, color=GREY, linewidth=1.6, linestyle="-.", label="Everybody")
    top = float(np.nanmax(everybody))
    bottom = 0.0
    for place, model in enumerate(data["models"]):
        colour, style = LINES[place % len(LINES)]
        low, high = 1000 * _floats(model["low"]), 1000 * _floats(model["high"])
        top = max(top, float(np.nanmax(high)))
        if model["chosen"]:
            axes.fill_between(threshold, low, high, color=colour, alpha=0.16, linewidth=0)
            bottom = min(bottom, float(np.nanmin(low)))
        label = legible(model["label"])
        width = 2.2 if model["chosen"] else 1.6
        axes.plot(
            threshold, 1000 * _floats(model["model"]), color=colour, linestyle=style, linewidth=width, label=label
        )
    axes.set_ylim(bottom - 0.05 * (top - bottom), top * 1.05)
    axes.set_xlim(float(threshold.min()), float(threshold.max()))
    axes.set_xlabel("Threshold of predicted risk, %")
    axes.set_ylabel("Net benefit per 1,000 people")
    axes.grid(True)
    axes.legend(loc="upper right")
    return picture


def _floats(values: Any) -> NDArray[np.float64]:
    # None, JSON's undefined, becomes NaN, which leaves a gap in a line.
    return np.array(values, dtype=np.float64)

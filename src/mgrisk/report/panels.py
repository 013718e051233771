"""Drawing onto one pair of axes, for the report's figures and for the plots of a run in a notebook.

ROC, precision-recall, calibration and decision curve, importance and dependence, in one style: colours that
colour-blind people can tell apart, and labels as plain text. `Tips` are places that answer when pointed at.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Mapping, Sequence
from typing import Any, Final

import numpy as np
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.backend_bases import RendererBase
from matplotlib.lines import Line2D
from matplotlib.patches import PathPatch
from matplotlib.path import Path

from mgrisk.evaluate.records import Interval
from mgrisk.report.formats import interval, number, percent
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


def floats(values: Any) -> Floats:
    """Return numbers of JSON as an array; None, JSON's undefined, is NaN, which leaves a gap in a line."""
    return np.array(values, dtype=np.float64)


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


def dots(axes: Axes, x: Floats, y: Floats, colour: str, *, size: float, name: str | None = None) -> None:
    """Draw many dots as one path of round caps, perhaps with an id: a tenth of the bytes of a marker for each."""
    if len(x) == 0:
        return
    ends = np.repeat(np.column_stack([x, y]), 2, axis=0)
    path = Path(ends, np.tile([Path.MOVETO, Path.LINETO], len(x)))
    path.should_simplify = False  # simplifying takes a line of no length for nothing
    axes.add_patch(
        PathPatch(path, edgecolor=colour, fill=False, linewidth=size, capstyle="round", alpha=0.75, gid=name)
    )


def stamp(axes: Axes, mark: str) -> None:
    """Write a word large and pale across the axes, where no crop can lose it."""
    axes.text(
        0.5, 0.5, legible(mark), transform=axes.transAxes, ha="center", va="center", color=MARK, fontsize=36,
        alpha=0.13, rotation=18, zorder=10,
    )  # fmt: skip


class Tips(Artist):
    """Places of a drawing that answer with a text when pointed at; nothing of them is drawn.

    Attributes
    ----------
    places, texts
        x and y in the data of the axes, shape (n, 2), and what each says.
    """

    def __init__(self, x: Any, y: Any, texts: Sequence[str]) -> None:
        super().__init__()
        self.places = np.column_stack([floats(x), floats(y)])
        self.texts = list(texts)
        self.set_in_layout(False)

    def draw(self, renderer: RendererBase) -> None:
        """Draw nothing."""


def tip(label: str, point: Mapping[str, Any], *, digits: int = 2) -> str:
    """Return what a place says: its label, and the estimate with its interval where there is one."""
    shown = Interval(point["estimate"], point["low"], point["high"])
    return f"{label}: {interval(shown, digits=digits)}"


LOWEST, HIGHEST = 0.001, 0.5
LEGEND_LABEL: Final = 70  # longest label of a legend
CURVE_TIPS: Final = 25


def roc(axes: Axes, data: Mapping[str, Any]) -> None:
    """Draw ROC curves; `curves` holds label, chosen, x and y of each."""
    axes.plot([0, 1], [0, 1], color=GREY, linewidth=1, linestyle=(0, (2, 3)))
    _draw_curves(axes, data["curves"])
    axes.set(xlim=(0, 1), ylim=(0, 1.005), xlabel="False positive rate", ylabel="Sensitivity", aspect="equal")
    axes.grid(True)
    axes.legend(loc="lower right", title="AUROC (95 % interval)", title_fontsize=9.5, alignment="left")
    _curve_tips(axes, data["curves"], "false positive rate", "sensitivity")


def precision_recall(axes: Axes, data: Mapping[str, Any]) -> None:
    """Draw precision-recall curves; `curves` as for `roc`, and `chance`, the share of cases."""
    axes.axhline(data["chance"], color=GREY, linewidth=1, linestyle=(0, (2, 3)))
    _draw_curves(axes, data["curves"])
    # Where few are screen-positive precision jumps from case to case: these people do not set the scale.
    top = max((float(np.nanmax(y[x >= 0.1])) for x, y in _xy(data["curves"]) if (x >= 0.1).any()), default=1.0)
    axes.set(xlim=(0, 1), ylim=(0, min(1.0, 1.3 * top)))
    axes.set(xlabel="Sensitivity (recall)", ylabel="Positive predictive value (precision)")
    axes.grid(True)
    axes.legend(loc="upper right", title="Average precision (95 % interval)", title_fontsize=9.5, alignment="left")
    _curve_tips(axes, data["curves"], "sensitivity", "precision")


def _draw_curves(axes: Axes, curves: Sequence[Mapping[str, Any]]) -> None:
    for place, (curve, (x, y)) in enumerate(zip(curves, _xy(curves), strict=True)):
        colour, style = LINES[place % len(LINES)]
        width = 2.4 if curve["chosen"] else 1.6
        label = legible(curve["label"], longest=LEGEND_LABEL)
        axes.plot(x, y, color=colour, linestyle=style, linewidth=width, label=label)


def _xy(curves: Sequence[Mapping[str, Any]]) -> list[tuple[Floats, Floats]]:
    return [(floats(curve["x"]), floats(curve["y"])) for curve in curves]


def _curve_tips(axes: Axes, curves: Sequence[Mapping[str, Any]], x_word: str, y_word: str) -> None:
    """Let some points of the chosen model's curve say where they are."""
    for curve, (x, y) in zip(curves, _xy(curves), strict=True):
        if curve["chosen"]:
            at = np.unique(np.linspace(0, len(x) - 1, CURVE_TIPS).astype(int))
            said = [f"{x_word} {percent(float(x[k]))}, {y_word} {percent(float(y[k]))}" for k in at]
            axes.add_artist(Tips(x[at], y[at], said))


def calibration(axes: Axes, data: Mapping[str, Any]) -> None:
    """Draw a calibration curve with its band, and groups of people as points, on logarithmic axes of risk."""
    smooth, groups = data["smooth"], data["groups"]
    axes.plot([LOWEST, HIGHEST], [LOWEST, HIGHEST], color=SOFT, linewidth=1, linestyle=(0, (4, 3)), label="Perfect")
    risk = floats(smooth["risk"])
    low, high = (floats(smooth[key]).clip(LOWEST / 10, 1) for key in ("low", "high"))
    axes.fill_between(risk, low, high, color=BLUE, alpha=0.16, linewidth=0, label="95 % band")
    axes.plot(risk, floats(smooth["observed"]), color=BLUE, linewidth=2.2, label="Smooth curve")
    _groups(axes, groups)
    axes.set_xlabel("Predicted risk")
    axes.set_ylabel("Observed risk")
    axes.grid(True)
    axes.legend(loc="lower right")
    risk_ticks(axes, low=LOWEST, high=HIGHEST, both=True)


def _groups(axes: Axes, groups: Mapping[str, Any]) -> None:
    predicted, observed = floats(groups["predicted"]), floats(groups["observed"])
    low, high = floats(groups["low"]), floats(groups["high"])
    none = ~(observed > LOWEST)
    some = ~none
    reach = np.abs(np.vstack([observed - low, high - observed]))[:, some]
    axes.errorbar(
        predicted[some], observed[some], yerr=np.nan_to_num(reach), fmt="o", color=INK, markersize=5, linewidth=1.1,
        label="Deciles of the population",
    )  # fmt: skip
    said = [
        f"decile {place + 1}: predicted {percent(float(p), digits=2)}, observed {percent(float(o), digits=2)} "
        f"({percent(float(a), digits=2)} to {percent(float(b), digits=2)})"
        for place, (p, o, a, b) in enumerate(zip(predicted, observed, low, high, strict=True))
    ]
    axes.add_artist(Tips(predicted, np.maximum(np.nan_to_num(observed), LOWEST * 1.12), said))
    if none.any():
        axes.plot(
            predicted[none], np.full(int(none.sum()), LOWEST * 1.12), "v", color=INK, markersize=6,
            markerfacecolor="none", label="Decile without cases",
        )  # fmt: skip


def decision(axes: Axes, data: Mapping[str, Any]) -> None:
    """Draw decision curves of models beside treat all and treat none."""
    threshold = 100 * floats(data["threshold"])
    everybody = 1000 * floats(data["all"])
    axes.axhline(0, color=SOFT, linewidth=1, linestyle=(0, (4, 3)), label="Treat none")
    axes.plot(threshold, everybody, color=GREY, linewidth=1.6, linestyle="-.", label="Treat all")
    top = float(np.nanmax(everybody))
    bottom = 0.0
    for place, model in enumerate(data["models"]):
        colour, style = LINES[place % len(LINES)]
        low, high = 1000 * floats(model["low"]), 1000 * floats(model["high"])
        top = max(top, float(np.nanmax(high)))
        if model["chosen"]:
            axes.fill_between(threshold, low, high, color=colour, alpha=0.16, linewidth=0)
            bottom = min(bottom, float(np.nanmin(low)))
        label = legible(model["label"])
        width = 2.2 if model["chosen"] else 1.6
        axes.plot(threshold, 1000 * floats(model["model"]), color=colour, linestyle=style, linewidth=width, label=label)
        if model["chosen"]:
            benefit = 1000 * floats(model["model"])
            said = [
                f"threshold {t:.0f} %: net benefit {number(float(b), digits=1)} ({number(float(i), digits=1)} to "
                f"{number(float(j), digits=1)}), treat all {number(float(e), digits=1)}"
                for t, b, i, j, e in zip(threshold, benefit, low, high, everybody, strict=True)
            ]
            axes.add_artist(Tips(threshold, benefit, said))
    axes.set_ylim(bottom - 0.05 * (top - bottom), top * 1.05)
    axes.set_xlim(float(threshold.min()), float(threshold.max()))
    axes.set_xlabel("Threshold of predicted risk, %")
    axes.set_ylabel("Net benefit per 1,000 people")
    axes.grid(True)
    axes.legend(loc="upper right")


def importance(axes: Axes, data: Mapping[str, Any]) -> None:
    """Draw mean absolute contributions with intervals; magnesium stands out by colour and by a star."""
    rows = data["bars"]
    marked = [bar["group"] == "magnesium" for bar in rows]
    bars(axes, rows, "importance", [_bar_label(bar) for bar in rows], marked)
    axes.set_xlabel("Mean |SHAP value|, log-odds (95 % interval)", loc="right")
    keys = [
        Line2D([], [], color=ORANGE, linewidth=7, label="Magnesium ★"),
        Line2D([], [], color=BLUE, linewidth=7, label="Other features"),
    ]
    if any(bar["direction"] is not None for bar in rows):
        keys.append(Line2D([], [], color="none", label="↑ higher value, higher risk; ↓ lower risk"))
    axes.legend(handles=keys, loc="lower right")


def bars(
    axes: Axes, rows: Sequence[Mapping[str, Any]], size: str, labels: Sequence[str], marked: Sequence[bool]
) -> None:
    """Draw a horizontal bar for each of some estimates, with its interval."""
    places = np.arange(len(rows))[::-1]
    sizes = floats([bar[size] for bar in rows])
    reach = np.abs(np.vstack([sizes - floats([b["low"] for b in rows]), floats([b["high"] for b in rows]) - sizes]))
    axes.barh(places, sizes, height=0.66, color=[ORANGE if each else BLUE for each in marked])
    axes.errorbar(sizes, places, xerr=np.nan_to_num(reach), fmt="none", ecolor=INK, elinewidth=1.1, capsize=2)
    axes.set_yticks(places, labels)
    said = [tip(str(bar["label"]), {**bar, "estimate": bar[size]}, digits=3) for bar in rows]
    axes.add_artist(Tips(sizes, places, said))
    axes.set_ylim(-0.7, len(rows) - 0.3)
    axes.tick_params(axis="y", length=0)
    axes.grid(True, axis="x")


def _bar_label(bar: Mapping[str, Any]) -> str:
    direction = bar["direction"]
    arrow = "" if direction is None or abs(direction) <= 0.5 else (" ↑" if direction > 0 else " ↓")
    return f"{'★ ' if bar['group'] == 'magnesium' else ''}{legible(bar['label'])}{arrow}"


def dependence(axes: Axes, data: Mapping[str, Any]) -> None:
    """Draw contribution against a feature: dots of held-out people, their mean with its band, that of development."""
    axes.axhline(0, color=SOFT, linewidth=1, linestyle=(0, (4, 3)))
    edges = floats(data["density"]["edges"])
    x, y = floats(data["x"]), floats(data["y"])
    dots(axes, x, y, GREY, size=3.2, name="dots")
    before = data["before"]
    axes.plot(
        floats(before["x"]), floats(before["y"]), color=VERMILION, linewidth=1.6, linestyle=(0, (5, 2)),
        label="development",
    )  # fmt: skip
    line_x, line_y = floats(data["line"]["x"]), floats(data["line"]["y"])
    low, high = floats(data["band"]["low"]), floats(data["band"]["high"])
    if np.isfinite(low).any():
        axes.fill_between(line_x, low, high, color=BLUE, alpha=0.16, linewidth=0, label="95 % band over refits")
    axes.plot(line_x, line_y, color=BLUE, linewidth=2.4, label="held-out")
    unit = data["x_label"]
    said = [
        f"{unit} {x:.4g}: {number(float(m), signed=True)}"
        + (f" ({number(float(a), signed=True)} to {number(float(b), signed=True)})" if np.isfinite(a) else "")
        for x, m, a, b in zip(line_x, line_y, low, high, strict=True)
    ]
    axes.add_artist(Tips(line_x, line_y, said))
    if len(y):
        reached = np.concatenate([y, low[np.isfinite(low)], high[np.isfinite(high)]])
        room = 0.06 * (float(np.ptp(reached)) + 1e-9)
        axes.set_ylim(float(reached.min()) - room, float(reached.max()) + room)
    if len(edges):
        axes.set_xlim(edges[0], edges[-1])
    axes.set_xlabel(legible(data["x_label"]))
    axes.set_ylabel(legible(data["y_label"]))
    axes.grid(True)

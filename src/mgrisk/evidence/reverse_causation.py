"""Reverse causation: whether people who were told of diabetes eat otherwise, and how long after."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

import numpy as np
from numpy.typing import NDArray

from mgrisk.evidence.ladder import MAIN, Rung
from mgrisk.evidence.people import Panel
from mgrisk.evidence.record import FOOD, Record, on_scale, record_of
from mgrisk.evidence.regression import NONE, Adjusted
from mgrisk.survey.linear import fit_linear

Floats = NDArray[np.float64]

GROUPS: Final = {
    "undiagnosed": "undiagnosed diabetes against none",
    "0-4": "told of diabetes less than 5 years ago against none",
    "5-9": "told of diabetes 5 to 9 years ago against none",
    "10+": "told of diabetes 10 years ago or more against none",
}


def intake_after_diagnosis(panel: Panel, *, rung: Rung = MAIN) -> Iterator[Record]:
    """Yield how much more or less magnesium people with diabetes tell of, by whether and when they were told of it.

    Parameters
    ----------
    panel
        Of people told of diabetes and others (`build_panel` with `told`), with ``undiagnosed`` among its outcomes; its
        frame has ``told_years``, years since being told, NaN for who was never told.
    rung
        What to adjust for; energy is that of the recalled days.

    Yields
    ------
    Record
        Differences in mg a day of the mean of the recalled days, which needs no correction where intake is the outcome.
    """
    adjusted = Adjusted.of(panel, rung)
    inside = panel.inside
    years = panel.frame["told_years"].to_numpy(dtype=np.float64)[inside]
    never = np.isnan(years)
    columns = [
        never & (panel.outcomes["undiagnosed"][inside] == 1.0), years < 5, (years >= 5) & (years < 10), years >= 10,
    ]  # fmt: skip
    X = np.zeros((len(panel.design), len(columns) + adjusted.known.shape[1] + len(rung.all_nutrients) - 1))
    X[inside] = np.column_stack([*columns, adjusted.known, adjusted.naive[:, 1:] / 1000.0])
    y = np.zeros(len(panel.design))
    y[inside] = adjusted.naive[:, 0]
    fit = fit_linear(X, y, panel.design)
    for at, contrast in enumerate(GROUPS.values()):
        yield record_of(
            panel,
            analysis="reverse causation",
            exposure="diabetes",
            outcome=FOOD,
            model=rung.name,
            contrast=contrast,
            scale="difference",
            correction=NONE,
            n=int(np.sum(columns[at])),
            values=on_scale(float(fit.coefficients[at]), float(fit.se[at]), fit.df, "difference"),
        )

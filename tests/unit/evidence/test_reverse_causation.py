from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np

from mgrisk.evidence.record import Evidence
from mgrisk.evidence.reverse_causation import GROUPS, intake_after_diagnosis


def test_people_who_eat_otherwise_since_they_were_told_are_found(draw_eaters: Callable[..., Any]) -> None:
    eaters = draw_eaters(np.random.default_rng(51), n=4000)
    years = np.where(np.arange(4000) % 5 == 0, np.arange(4000) % 15, np.nan)
    more = np.where(np.isnan(years), 0.0, 40.0)[:, None]
    amounts = {**eaters.panel.amounts, "magnesium": eaters.panel.amounts["magnesium"] + more}
    frame = eaters.panel.frame.assign(told_years=years)
    panel = replace(eaters.panel, amounts=amounts, frame=frame)
    table = Evidence(tuple(intake_after_diagnosis(panel, rung=eaters.rung))).frame().set_index("contrast")
    assert list(table.index) == list(GROUPS.values())
    told = table[table.index.str.startswith("told")]
    assert ((told["low"] < 40.0) & (told["high"] > 40.0)).all()
    assert (told["low"] > 0).all()
    assert told["n"].sum() == np.isfinite(years).sum()
    assert table["scale"].unique().tolist() == ["difference"]
    # Whoever eats less has more undiagnosed diabetes here.
    assert table.loc[GROUPS["undiagnosed"], "estimate"] < 0

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pytest

from mgrisk.evidence.dose_response import dose_response, intake_distribution
from mgrisk.evidence.record import Evidence


@pytest.fixture(scope="module")
def straight(draw_eaters: Callable[..., Any]) -> Any:
    return draw_eaters(np.random.default_rng(21), n=4000)


def curve(eaters: Any) -> pd.DataFrame:
    return Evidence(tuple(dose_response(eaters.panel, ["homa_ir"], rung=eaters.rung))).frame()


def test_a_straight_truth_gives_a_straight_curve(straight: Any) -> None:
    table = curve(straight)
    points = table[table["contrast"].str.contains("against")]
    amount = points["contrast"].str.split(" ").str[0].astype(float)
    reference = float(points["contrast"].iloc[0].split(" ")[2])
    expected = np.exp(-0.3 * (amount - reference) / 100.0)
    assert ((points["low"] <= expected) & (expected <= points["high"])).mean() > 0.9
    assert table.loc[table["contrast"] == "non-linearity", "p"].item() > 0.05


def test_a_bent_truth_is_found(draw_eaters: Callable[..., Any]) -> None:
    table = curve(draw_eaters(np.random.default_rng(22), n=4000, curve=0.15))
    assert table.loc[table["contrast"] == "non-linearity", "p"].item() < 0.01


def test_the_curve_is_1_at_its_reference_and_stays_where_people_are(straight: Any) -> None:
    points = curve(straight)
    points = points[points["contrast"].str.contains("against")]
    amounts = points["contrast"].str.split(" ").str[0].astype(float).to_numpy()
    at_reference = points[points["contrast"].str.split(" ").str[0] == points["contrast"].str.split(" ").str[2]]
    assert at_reference["estimate"].item() == 1.0
    assert np.unique(np.diff(amounts)).tolist() == [20.0]
    assert amounts.min() > np.quantile(straight.usual[:, 0], 0.005)
    assert amounts.max() < np.quantile(straight.usual[:, 0], 0.995)


def test_where_people_are_is_the_distribution_of_usual_intake(straight: Any) -> None:
    table = Evidence(tuple(intake_distribution(straight.panel))).frame()
    half = table.loc[table["contrast"] == "50 % eat less", "estimate"].item()
    weight = straight.panel.design.analysis_weight
    order = np.argsort(straight.usual[:, 0])
    reached = np.cumsum(weight[order]) / weight.sum()
    assert half == pytest.approx(straight.usual[order, 0][np.searchsorted(reached, 0.5)], rel=0.02)

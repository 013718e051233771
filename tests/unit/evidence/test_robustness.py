from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from mgrisk.evidence.association import associate
from mgrisk.evidence.e_value import e_value
from mgrisk.evidence.record import Evidence
from mgrisk.evidence.regression import CALIBRATED, NONE
from mgrisk.evidence.robustness import cycles_left_out, e_values, exclusions, negative_controls


@pytest.fixture(scope="module")
def eaters(draw_eaters: Callable[..., Any]) -> Any:
    found = draw_eaters(np.random.default_rng(41), n=3000)
    random = np.random.default_rng(42)
    frame = found.panel.frame.assign(
        cycle=np.where(found.panel.design.stratum < 8, "2015-2016", "2017-2018"),
        energy_report=random.choice(["plausible", "under"], 3000),
        weight_change_1y_kg=np.where(random.random(3000) < 0.1, np.nan, random.normal(0, 4, 3000)),
        family_history_diabetes=random.choice(["no", "yes"], 3000),
        height_cm=random.normal(170, 9, 3000) + 0.03 * found.usual[:, 0],
    )
    return replace(found, panel=replace(found.panel, frame=frame, cycles=("2015-2016", "2017-2018")))


def test_exclusions_are_fewer_people_on_the_same_rungs(eaters: Any) -> None:
    table = Evidence(tuple(exclusions(eaters.panel, ["homa_ir"], rungs=[eaters.rung]))).frame()
    assert set(table["model"]) == {
        "toy, energy told is plausible", "toy, no magnesium from supplements", "toy, no weight lost in the past year",
    }  # fmt: skip
    assert set(table["correction"]) == {NONE, CALIBRATED}
    assert (table["problem"] == "").all()
    kept = (eaters.panel.frame["weight_change_1y_kg"] > -3.0).sum()
    assert (table.loc[table["model"].str.contains("weight"), "n"] == kept).all()
    plausible = (eaters.panel.frame["energy_report"] == "plausible").sum()
    assert (table.loc[table["model"].str.contains("plausible"), "n"] == plausible).all()


def test_each_cycle_is_left_out_once(eaters: Any) -> None:
    table = Evidence(tuple(cycles_left_out(eaters.panel, ["homa_ir"], rung=eaters.rung))).frame()
    assert table["model"].tolist() == ["toy, without 2015-2016", "toy, without 2017-2018"]
    assert table["n"].sum() == 3000


def test_a_negative_control_tells_confounding_from_none(eaters: Any) -> None:
    table = Evidence(tuple(negative_controls(eaters.panel, rung=eaters.rung))).frame().set_index("outcome")
    # Height rises with intake in these people; relatives do not.
    assert table.loc["height", "p"] < 0.01
    assert table.loc["height", "scale"] == "difference"
    assert table.loc["relatives", "p"] > 0.05
    assert table.loc["relatives", "events"] > 0


def test_what_cannot_be_fitted_is_a_record(eaters: Any) -> None:
    nobody = replace(eaters.panel, outcomes={"undiagnosed": np.zeros(3000)})
    found = list(cycles_left_out(nobody, ["undiagnosed"], rung=eaters.rung))
    assert [each.problem for each in found] == ["logistic.not_converged"] * 2


def test_e_values_are_of_odds_ratios_of_food(eaters: Any) -> None:
    ladder = list(associate(eaters.panel, rungs=[eaters.rung]))
    found = list(e_values(ladder))
    assert {each.outcome for each in found} == {"undiagnosed"}
    assert len(found) == 2
    first = next(each for each in ladder if each.outcome == "undiagnosed" and each.contrast == "per 100 mg/d")
    assert first.estimate is not None
    assert found[0].estimate == pytest.approx(e_value(np.sqrt(first.estimate)))

"""A run in which nothing is wrong, as the checks and the reporting items see it."""

from __future__ import annotations

from typing import Any

import pandas as pd
import pytest

from mgrisk.evaluate.added_value import COMPARISONS
from mgrisk.evaluate.checks import RunEvidence

HELD_OUT = "2017-2018"
ESTIMATES = {
    "prevalence": (0.05, 0.04, 0.06, 0.002),
    "auroc": (0.80, 0.75, 0.84, 0.02),
    "log_loss": (0.16, 0.15, 0.17, 0.005),
    "brier_scaled": (0.06, 0.03, 0.09, 0.015),
    "calibration_slope": (0.95, 0.7, 1.2, 0.1),
    "observed_expected": (0.97, 0.8, 1.2, 0.1),
    "ici": (0.008, 0.0, 0.015, 0.004),
    "net_benefit@0.05": (0.02, 0.01, 0.03, 0.004),
}


def _record(metric: str, set_name: str, group: str = "all", level: str = "all") -> dict[str, Any]:
    estimate, low, high, se = ESTIMATES[metric]
    return {
        "model": "m", "set": set_name, "group": group, "level": level, "metric": metric, "estimate": estimate,
        "low": low, "high": high, "se": se, "n": 10_000, "events": 500, "problem": "", "presentation": "present",
    }  # fmt: skip


@pytest.fixture
def sound_run() -> RunEvidence:
    people = pd.DataFrame({"SEQN": [1, 2, 3, 4], "stratum": [1, 1, 1, 1], "psu": [1, 1, 2, 2]})
    sets = ["development"] * 3 + ["held-out"]
    evaluation = [_record(metric, name) for name in ("cross-validated", HELD_OUT) for metric in ESTIMATES]
    evaluation += [_record(m, HELD_OUT, "sex", "female") for m in ("prevalence", "auroc", "observed_expected")]
    gains = [
        {"question": each.question, "metric": "auroc", "set": HELD_OUT, "estimate": 0.002, "low": -0.001, "high": 0.005}
        for each in COMPARISONS
    ]
    leak = {"feature": "waist_cm", "auroc": 0.72, "limit": 0.8, "likelihood_ratio": 2.0, "ratio_limit": 10.0}
    outcome = {"label": "Undiagnosed diabetes", "definition": "HbA1c of 6.5 % and more.", "warning": "One visit."}
    better = {"model": "beta", "metric": "log_loss", "estimate": -0.0001, "low": -0.001, "high": 0.001}
    return RunEvidence(
        cohort=people.assign(set=sets, cycle=["2015-2016"] * 3 + [HELD_OUT], weight=[1.0] * 4, analysis=[True] * 4),
        folds=people.iloc[:3].assign(fold=[0, 0, 1]),
        oof=people.iloc[:3][["SEQN"]].assign(fold=[0, 0, 1], outcome=[20, 20, 20]),
        evaluation=evaluation,
        differences=[_record("net_benefit@0.05", HELD_OUT) | {"reference": "everybody"}],
        table_one=[
            {"set": name, "group": "all", "variable": "waist_cm", "missing": 0.05}
            for name in ("development", "held-out")
        ],
        known_answers=[{"name": "obesity-2017", "passed": True}],
        about={"data": "NHANES", "outcome": outcome, "weight": "WTSAF2YR", "breaks": []},
        tuning={
            "winner": "m",
            "models": {"m": {"parts": [{"part": "m", "params": {"c": 0.1}}]}},
            "candidates": [{"part": "m", "params": {"c": c}} for c in (0.01, 0.1, 1.0)],
        },
        leaks={
            "alone": [leak],
            "permuted": {"auroc": 0.5, "low": 0.48, "high": 0.52, "finding": False},
            "timing": [{"feature": "waist_cm", "finding": False}],
        },
        calibration={"differences": [better]},
        added_value={"reason": "", "limit": 0.01, "records": gains},
        explanation={"largest_additivity_error": 1e-9},
        features=6,
        columns=8,
        minimum_age=20,
    )

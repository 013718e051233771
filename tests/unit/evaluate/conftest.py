"""A run without findings, as the input of checks and reporting items."""

from __future__ import annotations

from typing import Any

import pandas as pd
import pytest

from mgrisk.cohort.leaks import Timing
from mgrisk.cohort.outcomes import outcome
from mgrisk.evaluate.added_value import COMPARISONS
from mgrisk.evaluate.checks import RunEvidence
from mgrisk.evaluate.records import (
    AddedValue,
    CalibratorMetric,
    CalibratorRecord,
    Calibrators,
    CohortRecord,
    DifferenceRecord,
    Gain,
    KnownAnswerRecord,
    LeakRecord,
    Leaks,
    MetricRecord,
    ModelRecord,
    PartRecord,
    PermutedRecord,
    Records,
    TableOneRecord,
    Tuning,
)
from mgrisk.model.learners import Candidate

HELD_OUT = "2017-2018"
IDENTITY = CalibratorRecord(0.0, 1.0, ((0.0, 0.0), (0.0, 0.0)), 30)
ESTIMATES = {
    "prevalence": (0.05, 0.04, 0.06, 0.002),
    "auroc": (0.80, 0.75, 0.84, 0.02),
    "log_loss": (0.16, 0.15, 0.17, 0.005),
    "brier_scaled": (0.06, 0.03, 0.09, 0.015),
    "calibration_slope": (0.98, 0.82, 1.15, 0.08),
    "observed_expected": (0.97, 0.8, 1.2, 0.1),
    "ici": (0.008, 0.0, 0.015, 0.004),
    "net_benefit@0.05": (0.02, 0.01, 0.03, 0.004),
}


def metric_record(metric: str, set_name: str, group: str = "all", level: str = "all", **more: Any) -> dict[str, Any]:
    estimate, low, high, se = ESTIMATES[metric]
    return {
        "outcome": "undiagnosed", "model": "m", "set": set_name, "group": group, "level": level, "metric": metric,
        "estimate": estimate, "low": low, "high": high, "se": se, "n": 10_000, "events": 500, "problem": "",
        "presentation": "present", "data": "NHANES", **more,
    }  # fmt: skip


@pytest.fixture
def sound_run() -> RunEvidence:
    people = pd.DataFrame({"SEQN": [1, 2, 3, 4], "stratum": [1, 1, 1, 1], "psu": [1, 1, 2, 2]})
    sets = ["development"] * 3 + ["held-out"]
    evaluation = [metric_record(metric, name) for name in ("cross-validated", HELD_OUT) for metric in ESTIMATES]
    for group in (("sex", "female"), ("bmi", "30 to below 35")):
        evaluation += [metric_record(m, HELD_OUT, *group) for m in ("prevalence", "auroc", "observed_expected")]
    gain = metric_record("net_benefit@0.05", HELD_OUT, reference="everybody")
    nothing_wrong = {"events": 500, "problem": ""}
    about_table = {"label": "Waist", "unit": "cm", "level": None, "statistic": "mean", "n": 100, "estimate": 90.0}
    about_answer = {"kind": "published", "population": "adults", "published": 0.4, "tolerance": 0.01, "source": "CDC"}
    none = {"estimate": None, "low": None, "high": None}
    return RunEvidence(
        cohort=people.assign(set=sets, cycle=["2015-2016"] * 3 + [HELD_OUT], weight=[1.0] * 4, analysis=[True] * 4),
        folds=people.iloc[:3].assign(fold=[0, 0, 1]),
        oof=people.iloc[:3][["SEQN"]].assign(fold=[0, 0, 1], outcome=[20, 20, 20]),
        evaluation=Records(tuple(MetricRecord(**each) for each in evaluation), "evaluation.json"),
        differences=Records((DifferenceRecord(**gain),), "differences.json"),
        table_one=Records(
            tuple(
                TableOneRecord(
                    set=name, group="all", variable="waist_cm", missing=0.05, se=1.0, low=88.0, high=92.0, **about_table
                )
                for name in ("development", "held-out")
            ),
            "table_one.json",
        ),
        known_answers=Records(
            (KnownAnswerRecord(name="obesity-2017", passed=True, note="", **about_answer, **none),),
            "known_answers.json",
        ),
        about=CohortRecord("NHANES", "fasting", "LBXGLU", "WTSAF2YR", (), (), outcome("undiagnosed")),
        tuning=Tuning(
            "m",
            {"m": ModelRecord(0.16, (0.15, 0.17), None, IDENTITY, (PartRecord("m", 1.0, {"c": 0.1}),))},
            tuple(Candidate("m", {"c": c}, "log_loss", 0.16, (0.16,)) for c in (0.01, 0.1, 1.0)),
        ),
        leaks=Leaks(
            (LeakRecord("waist_cm", auroc=0.72, limit=0.8, likelihood_ratio=2.0, ratio_limit=10.0),),
            PermutedRecord(auroc=0.5, low=0.48, high=0.52, finding=False),
            (Timing("waist_cm", "BMXWAIST", "examination", "examination", finding=False),),
        ),
        calibrators=Calibrators(
            "m",
            (),
            (
                CalibratorMetric(
                    model="beta", metric="log_loss", estimate=-0.0001, low=-0.001, high=0.001, **nothing_wrong
                ),
            ),
            {},
        ),
        added_value=AddedValue(
            "m",
            0.01,
            "",
            tuple(
                Gain(
                    question=each.question, set=HELD_OUT, metric="auroc", estimate=0.002, low=-0.001, high=0.005,
                    **nothing_wrong,
                )
                for each in COMPARISONS
            ),
        ),
        additivity_error=1e-9,
        features=6,
        columns=8,
        minimum_age=20,
    )  # fmt: skip

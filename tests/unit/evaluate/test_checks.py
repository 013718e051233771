"""Coded checks find what was broken on purpose, and list what passed."""

from __future__ import annotations

from typing import Any

import pandas as pd
import pytest

from mgrisk.errors import MgRiskError
from mgrisk.evaluate.checks import Finding, check_run, stop_at_errors


def record(metric: str, set_name: str, estimate: float, low: float | None, high: float | None) -> dict[str, Any]:
    return {
        "model": "m",
        "set": set_name,
        "group": "all",
        "metric": metric,
        "estimate": estimate,
        "low": low,
        "high": high,
    }


def difference(model: str, metric: str, low: float | None, high: float | None) -> dict[str, Any]:
    return {"model": model, "metric": metric, "estimate": low, "low": low, "high": high}


def good() -> dict[str, Any]:
    people = pd.DataFrame({"SEQN": [1, 2, 3, 4], "stratum": [1, 1, 1, 1], "psu": [1, 1, 2, 2]})
    return {
        "cohort": people.assign(set=["development"] * 3 + ["held-out"]),
        "folds": people.iloc[:3].assign(fold=[0, 0, 1]),
        "oof": people.iloc[:3][["SEQN"]],
        "evaluation": [
            record("auroc", "cross-validated", 0.80, 0.78, 0.82),
            record("auroc", "2017-2018", 0.79, 0.70, 0.86),
            record("calibration_slope", "2017-2018", 0.95, 0.65, 1.24),
        ],
        "winner": "m",
        "leaks": {
            "alone": [
                {"feature": "waist_cm", "auroc": 0.72, "limit": 0.8, "likelihood_ratio": 2.0, "ratio_limit": 10.0},
                {"feature": "sex", "auroc": 0.55, "limit": 0.8, "likelihood_ratio": 3.0, "ratio_limit": 10.0},
            ],
            "permuted": {"auroc": 0.5, "low": 0.48, "high": 0.52, "finding": False},
            "timing": [{"feature": "waist_cm", "finding": False}],
        },
        "calibration": {
            "differences": [difference("beta", "log_loss", -0.001, 0.0004), difference("beta", "ici", -1, -1)]
        },
        "additivity_error": 1e-9,
    }


def failures(run: dict[str, Any]) -> list[str]:
    return [finding.id for finding in check_run(**run) if not finding.passed]


def test_a_sound_run_passes_and_every_check_is_listed() -> None:
    assert failures(good()) == []
    assert [finding.id for finding in check_run(**good())] == [
        "MGR101", "MGR102", "MGR201", "MGR202", "MGR203", "MGR204", "MGR205", "MGR301", "MGR302", "MGR401",
    ]  # fmt: skip


def test_a_psu_in_two_folds_is_found() -> None:
    run = good()
    run["folds"] = run["folds"].assign(fold=[0, 1, 1])
    assert failures(run) == ["MGR101"]


@pytest.mark.parametrize("place", ["folds", "oof"])
def test_a_held_out_person_in_tuning_or_calibration_is_found(place: str) -> None:
    run = good()
    run[place] = pd.concat([run[place], run["folds"].iloc[[2]].assign(SEQN=4)], ignore_index=True)
    assert failures(run) == ["MGR102"]


def test_an_auroc_too_good_to_be_true_is_found() -> None:
    run = good()
    run["evaluation"][1]["estimate"] = 0.91
    assert failures(run) == ["MGR201"]


def test_a_feature_that_tells_the_outcome_alone_stops_the_run_by_its_name() -> None:
    run = good()
    run["leaks"]["alone"][1]["auroc"] = 0.81
    findings = [finding for finding in check_run(**run) if not finding.passed]
    assert [finding.id for finding in findings] == ["MGR202"]
    assert "sex" in findings[0].finding
    with pytest.raises(MgRiskError, match="MGR202"):
        stop_at_errors(findings)


@pytest.mark.parametrize(
    ("place", "found", "expected"),
    [
        (("alone", 0), {"likelihood_ratio": 10.5}, "MGR203"),
        (("permuted",), {"finding": True, "low": 0.53}, "MGR204"),
        (("timing", 0), {"finding": True}, "MGR205"),
    ],
)
def test_what_else_may_leak_is_a_warning(place: tuple[Any, ...], found: dict[str, Any], expected: str) -> None:
    run = good()
    part = run["leaks"]
    for key in place:
        part = part[key]
    part.update(found)
    findings = [finding for finding in check_run(**run) if not finding.passed]
    assert [finding.id for finding in findings] == [expected]
    stop_at_errors(findings)


@pytest.mark.parametrize("bounds", [(0.5, 0.9), (1.1, 1.5), (None, None)])
def test_a_slope_whose_interval_leaves_one_out_is_found(bounds: tuple[float | None, float | None]) -> None:
    run = good()
    run["evaluation"][2]["low"], run["evaluation"][2]["high"] = bounds
    assert failures(run) == ["MGR301"]


def test_a_calibrator_better_than_the_shipped_one_beyond_its_interval_is_a_warning() -> None:
    run = good()
    run["calibration"]["differences"] += [
        difference("venn_abers", "log_loss", None, None),
        difference("isotonic", "log_loss", -0.002, -0.0001),
    ]
    (finding,) = [finding for finding in check_run(**run) if not finding.passed]
    assert (finding.id, finding.severity) == ("MGR302", "warning")
    assert finding.finding == "isotonic by 0.00200 nats (0.00010 to 0.00200)"


def test_contributions_that_do_not_add_up_stop_the_run() -> None:
    findings = check_run(**{**good(), "additivity_error": 2e-5})
    with pytest.raises(MgRiskError, match="MGR401") as caught:
        stop_at_errors(findings)
    assert caught.value.code == "checks.failed"


def test_a_warning_does_not_stop_the_run() -> None:
    stop_at_errors([Finding("MGR201", "a title", "warning", False, "0.91")])

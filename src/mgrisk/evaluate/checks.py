"""Coded checks of a run: id, title, severity, finding. All are listed, passed or not; an error stops the run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Final, Literal

import pandas as pd

from mgrisk.cohort.select import DEVELOPMENT
from mgrisk.errors import bad_input
from mgrisk.evaluate.assess import CROSS_VALIDATED
from mgrisk.evaluate.calibrators import better_than_shipped
from mgrisk.nhanes.codebook import KEY

SUSPICIOUS_AUROC: Final = 0.85
ADDITIVE: Final = 1e-5


@dataclass(frozen=True)
class Finding:
    """What one check found.

    Attributes
    ----------
    id, title, severity
        Stable code, what ought to be true, and whether the run stops where it is not.
    passed, finding
        Whether it is true, and the number that says so.
    """

    id: str
    title: str
    severity: Literal["error", "warning"]
    passed: bool
    finding: str

    def to_dict(self) -> dict[str, Any]:
        """Return the record as written to checks.json."""
        return asdict(self)


def check_run(
    *,
    cohort: pd.DataFrame,
    folds: pd.DataFrame,
    oof: pd.DataFrame,
    evaluation: Sequence[Mapping[str, Any]],
    winner: str,
    leaks: Mapping[str, Any],
    calibration: Mapping[str, Any],
    additivity_error: float,
) -> list[Finding]:
    """Check folds, separation, discrimination, calibration and additivity of a run.

    Parameters
    ----------
    cohort, folds, oof
        Frames of the run folder.
    evaluation
        Records of evaluation.json.
    winner
        The learner whose bundle leaves the run.
    leaks
        Content of leaks.json: what `leak_audit` and `cohort.audit` found.
    calibration
        Content of calibration.json: the calibrators side by side.
    additivity_error
        Largest difference of base plus contributions from the calibrated log-odds.
    """
    return [
        _folds(folds),
        _separation(cohort, folds, oof),
        _discrimination(evaluation, winner),
        *_leaks(leaks),
        _slope(evaluation, winner),
        _calibrator(calibration),
        Finding(
            "MGR401",
            "Contributions add up to the calibrated log-odds",
            "error",
            additivity_error <= ADDITIVE,
            f"largest error {additivity_error:.1e}, limit {ADDITIVE:.0e}",
        ),
    ]


def stop_at_errors(findings: Sequence[Finding]) -> None:
    """Stop the run where a check of severity error did not pass.

    Raises
    ------
    MgRiskError
        `checks.failed`, with the first such finding.
    """
    for finding in findings:
        if finding.severity == "error" and not finding.passed:
            raise bad_input(
                "checks.failed",
                f"{finding.id} {finding.title}: {finding.finding}",
                where="checks.json",
                hint="no report is made of such a run; find the cause, or report it as a bug",
            )


def _folds(folds: pd.DataFrame) -> Finding:
    spread = int((folds.groupby(["stratum", "psu"])["fold"].nunique() > 1).sum())
    return Finding("MGR101", "No PSU stands in two folds", "error", spread == 0, f"{spread} PSUs do")


def _separation(cohort: pd.DataFrame, folds: pd.DataFrame, oof: pd.DataFrame) -> Finding:
    held_out = set(cohort.loc[cohort["set"] != DEVELOPMENT, KEY])
    shared = len(held_out & (set(oof[KEY]) | set(folds[KEY])))
    return Finding("MGR102", "No held-out person in tuning or calibration", "error", shared == 0, f"{shared} are")


def _discrimination(evaluation: Sequence[Mapping[str, Any]], winner: str) -> Finding:
    # Evidence: 0.75-0.76 without laboratory values (De Silva 2021); much more is a leak until shown otherwise.
    mine = [r for r in evaluation if (r["model"], r["metric"], r["group"]) == (winner, "auroc", "all")]
    found = {r["set"]: r["estimate"] for r in mine}
    return Finding(
        "MGR201",
        "Discrimination is not too good to be true",
        "warning",
        max(found.values()) <= SUSPICIOUS_AUROC,
        f"AUROC {', '.join(f'{name} {value:.3f}' for name, value in found.items())}; limit {SUSPICIOUS_AUROC}",
    )


def _leaks(leaks: Mapping[str, Any]) -> list[Finding]:
    alone, permuted = leaks["alone"], leaks["permuted"]
    best = max(alone, key=lambda each: each["auroc"])
    rarest = max(alone, key=lambda each: each["likelihood_ratio"])
    late = [each["feature"] for each in leaks["timing"] if each["finding"]]
    return [
        Finding(
            "MGR202",
            "No feature alone tells the outcome",
            "error",
            best["auroc"] <= best["limit"],
            f"best alone: {best['feature']}, AUROC {best['auroc']:.3f}, limit {best['limit']}",
        ),
        Finding(
            "MGR203",
            "No value of a feature gives cases away",
            "warning",
            rarest["likelihood_ratio"] <= rarest["ratio_limit"],
            f"largest likelihood ratio: {rarest['feature']}, at least {rarest['likelihood_ratio']:.1f} times, "
            f"limit {rarest['ratio_limit']:g}",
        ),
        Finding(
            "MGR204",
            "A permuted outcome cannot be told",
            "warning",
            not permuted["finding"],
            f"AUROC {permuted['auroc']:.3f} ({permuted['low']:.3f} to {permuted['high']:.3f})",
        ),
        Finding(
            "MGR205",
            "Nothing was asked or measured after the cases knew",
            "warning",
            not late,
            f"{len(late)} features may follow from the outcome" + (f": {', '.join(late)}" if late else ""),
        ),
    ]


def _slope(evaluation: Sequence[Mapping[str, Any]], winner: str) -> Finding:
    row = next(
        r
        for r in evaluation
        if r["model"] == winner and r["metric"] == "calibration_slope" and r["set"] != CROSS_VALIDATED
    )
    known = row["low"] is not None and row["high"] is not None
    return Finding(
        "MGR301",
        "The interval of the held-out calibration slope holds 1",
        "warning",
        known and row["low"] <= 1 <= row["high"],
        f"slope {row['estimate']:.3f} ({row['low']:.3f} to {row['high']:.3f})" if known else "it has no interval",
    )


def _calibrator(calibration: Mapping[str, Any]) -> Finding:
    # Logistic stays whatever is found: it alone keeps contributions exact. A warning says what that costs.
    better = [
        f"{record['model']} by {-record['estimate']:.5f} nats ({-record['high']:.5f} to {-record['low']:.5f})"
        for record in better_than_shipped(calibration)
    ]
    return Finding(
        "MGR302",
        "No other calibrator has a lower log loss than the logistic one",
        "warning",
        not better,
        "; ".join(better) or "none whose interval of the difference lies below 0",
    )

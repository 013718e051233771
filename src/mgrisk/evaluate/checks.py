"""Coded checks of a run: all of checks.toml are listed, whatever came of them; an error stops the run."""

from __future__ import annotations

from collections.abc import Sequence

from mgrisk.errors import bad_input
from mgrisk.evaluate import check_model, check_people
from mgrisk.evaluate.finding import Finding, RunEvidence
from mgrisk.facts import rows

CHECKS = {**check_people.CHECKS, **check_model.CHECKS}


def check_run(run: RunEvidence) -> list[Finding]:
    """Check data, splits, leaks, calibration, explanation, fit and fairness of a run.

    Parameters
    ----------
    run
        Files of the run folder.

    Returns
    -------
    list of Finding
        One for each row of checks.toml, in its order.
    """
    findings = []
    for row in rows("mgrisk.evaluate", "checks.toml", "check"):
        passed, finding = CHECKS[row["id"]](run)
        findings.append(Finding(**row, passed=passed, finding=finding))
    return findings


def stop_at_errors(findings: Sequence[Finding]) -> None:
    """Stop the run where a check of severity error did not pass.

    Raises
    ------
    MgRiskError
        `checks.failed`, with the first such finding.
    """
    for finding in findings:
        if finding.severity == "error" and finding.passed is False:
            raise bad_input(
                "checks.failed",
                f"{finding.id} {finding.title}: {finding.finding}",
                where="checks.json",
                hint="no report is made of such a run; find the cause, or report it as a bug",
            )

"""The run looks back at itself: coded checks, and the items of TRIPOD+AI and PROBAST+AI."""

from __future__ import annotations

from collections import Counter
from typing import Final

import pandas as pd

from mgrisk import __version__
from mgrisk.evaluate.checks import check_run, stop_at_errors
from mgrisk.evaluate.finding import RunEvidence
from mgrisk.evaluate.reporting import probast, run_facts, tripod
from mgrisk.model.encode import Encoder
from mgrisk.report.blocks import MADE, walk
from mgrisk.report.content import report_content
from mgrisk.steps.workspace import Workspace

REPORTING: Final = "reporting"
LATER: Final = {"card.md", "bundle"}
"""What the steps after this one write; a run that cannot write them stops."""


def check(workspace: Workspace) -> str:
    """Run the coded checks; write all of them with their findings; stop where one of severity error did not pass."""
    findings = check_run(_evidence(workspace))
    workspace.write_records("checks.json", [finding.to_dict() for finding in findings])
    stop_at_errors(findings)
    failed = [finding.id for finding in findings if finding.passed is False]
    return f"{len(findings)} checks, {len(failed)} with findings{': ' + ', '.join(failed) if failed else ''}"


def answer_items(workspace: Workspace) -> str:
    """Answer every item of TRIPOD+AI and PROBAST+AI from what the run folder holds; write tripod.json, probast.json."""
    checks = workspace.read_json("checks.json")
    facts = run_facts(_evidence(workspace), checks, title=workspace.pipeline.title, mgrisk=__version__)
    # The report shows the answers, so that it is written after them: what it will hold is asked of its content.
    there = {part["id"] for part in walk(report_content(workspace.folder)["sections"]) if part["status"] == MADE}
    there.add(REPORTING)

    def exists(evidence: str) -> bool:
        name, _, section = evidence.partition("#")
        if name == "report.html":
            return not section or section in there
        return name in LATER or workspace.path(name).exists()

    items, questions = tripod(facts, exists), probast(facts, checks, exists)
    workspace.write_records("tripod.json", items)
    workspace.write_records("probast.json", questions)
    done = Counter(item["status"] for item in items)
    return (
        ", ".join(f"{count} {status}" for status, count in done.items()) + f"; {len(questions)} questions of PROBAST+AI"
    )


def _evidence(workspace: Workspace) -> RunEvidence:
    features = workspace.model_features
    return RunEvidence(
        cohort=pd.read_parquet(workspace.path("cohort.parquet")),
        folds=pd.read_parquet(workspace.path("folds.parquet")),
        oof=pd.read_parquet(workspace.path("oof.parquet")),
        evaluation=workspace.read_json("evaluation.json"),
        differences=workspace.read_json("differences.json"),
        table_one=workspace.read_json("table_one.json"),
        known_answers=workspace.read_json("known_answers.json"),
        about=workspace.read_json("cohort.json"),
        tuning=workspace.read_json("tuning.json"),
        leaks=workspace.read_json("leaks.json"),
        calibration=workspace.read_json("calibration.json"),
        added_value=workspace.read_json("added_value.json"),
        explanation=workspace.read_json("explanation_summary.json"),
        features=len(features),
        columns=len(Encoder(features).columns),
        minimum_age=workspace.pipeline.cohort.minimum_age,
    )

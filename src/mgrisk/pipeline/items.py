"""Step `items`: answer every item of TRIPOD+AI and PROBAST+AI from the files of the run folder."""

from __future__ import annotations

from collections import Counter
from typing import Final

from mgrisk import __version__
from mgrisk.evaluate.reporting import probast, run_facts, tripod
from mgrisk.pipeline.checks import run_evidence
from mgrisk.pipeline.engine import DESCRIBED, Step
from mgrisk.pipeline.workspace import Workspace
from mgrisk.report.blocks import MADE, walk
from mgrisk.report.content import report_content
from mgrisk.report.sections.checks import REPORTING
from mgrisk.run_folder import names


def answer_items(workspace: Workspace) -> str:
    """Answer every item of TRIPOD+AI and PROBAST+AI from the run folder; write tripod.json and probast.json."""
    checks = workspace.run.checks.rows
    facts = run_facts(run_evidence(workspace), checks, title=workspace.pipeline.title, mgrisk=__version__)
    # The report is written after the answers that it shows, so its content is used to check what it will have.
    there = {part["id"] for part in walk(report_content(workspace.folder)["sections"]) if part["status"] == MADE}
    there.add(REPORTING.name)

    def exists(evidence: str) -> bool:
        name, _, section = evidence.partition("#")
        if name == names.REPORT:
            return not section or section in there
        return name in LATER or workspace.run.path(name).exists()

    items, questions = tripod(facts, exists), probast(facts, checks, exists)
    workspace.run.write_records(names.TRIPOD, items)
    workspace.run.write_records(names.PROBAST, questions)
    done = Counter(item["status"] for item in items)
    return (
        ", ".join(f"{count} {status}" for status, count in done.items()) + f"; {len(questions)} questions of PROBAST+AI"
    )


LATER: Final = {names.CARD, names.BUNDLE}
"""Files of later steps; a run that cannot write them stops."""


STEP = Step(
    "items",
    "answer TRIPOD+AI and PROBAST+AI",
    inputs=(*names.TOLD, *names.AUDITED, names.FOLDS, names.OUT_OF_FOLD, names.CHECKS),
    optional=names.OPTIONAL,
    outputs=(names.TRIPOD, names.PROBAST),
    logged=(names.TRIPOD, names.PROBAST),
    settings=DESCRIBED,
    action=answer_items,
)

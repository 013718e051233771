"""Step `items`: every item of TRIPOD+AI and PROBAST+AI, answered from what the run folder holds."""

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
from mgrisk.run_folder.names import AUDITED, OPTIONAL, TOLD


def answer_items(workspace: Workspace) -> str:
    """Answer every item of TRIPOD+AI and PROBAST+AI from what the run folder holds; write tripod.json, probast.json."""
    checks = workspace.read_json("checks.json")
    facts = run_facts(run_evidence(workspace), checks, title=workspace.pipeline.title, mgrisk=__version__)
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


REPORTING: Final = "reporting"


LATER: Final = {"card.md", "bundle"}
"""What the steps after this one write; a run that cannot write them stops."""


STEP = Step(
    "items",
    inputs=(*TOLD, *AUDITED, "folds.parquet", "oof.parquet", "checks.json"),
    optional=OPTIONAL,
    outputs=("tripod.json", "probast.json"),
    settings=DESCRIBED,
    action=answer_items,
)

"""Step `report`: write the report, its figures and the model card."""

from __future__ import annotations

from mgrisk.pipeline.engine import DESCRIBED, Step
from mgrisk.pipeline.workspace import Workspace
from mgrisk.report.content import report_content
from mgrisk.report.model_card import model_card
from mgrisk.report.render import write_report
from mgrisk.run_folder import names
from mgrisk.storage.files import write_text


def report(workspace: Workspace) -> str:
    """Write the report, its figures and the model card."""
    written = write_report(workspace.folder)
    write_text(workspace.run.path(names.CARD), model_card(report_content(workspace.folder)))
    failed = f"; could not be made: {', '.join(written.failed_sections)}" if written.failed_sections else ""
    return f"{written.path} ({written.size / 2**20:.1f} MB){failed}"


STEP = Step(
    "report",
    "write the report",
    inputs=(*names.TOLD, *names.AUDITED, names.CHECKS, names.TRIPOD, names.PROBAST),
    optional=names.OPTIONAL,
    outputs=(names.REPORT, names.FIGURES, names.CARD),
    logged=(names.REPORT, names.FIGURES, names.CARD),
    settings=DESCRIBED,
    action=report,
)

"""Sections on what was checked: published figures replicated from the run's own tables, coded checks, reporting items.

The answers to TRIPOD+AI and PROBAST+AI each link to their evidence.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Final

from mgrisk.evaluate.records import OPEN, Records
from mgrisk.report.blocks import Section, callout, column, row, table, text
from mgrisk.report.formats import interval, number
from mgrisk.report.sections import ReportSection
from mgrisk.run_folder import names
from mgrisk.run_folder.folder import RunFolder
from mgrisk.run_folder.records import ItemRecord, QuestionRecord


def known_answers(run: RunFolder) -> Section:
    """Describe the published estimates that the run replicated from its own tables before it trained."""
    records = run.known_answers
    asked = [record for record in records if record.passed is not None]
    if not asked:
        reason = records.rows[0].note if len(records) else f"{names.KNOWN_ANSWERS} is empty"
        return KNOWN.absent(reason)
    rows = [
        row(
            [
                record.name.replace("-", " "),
                record.population,
                f"{number(record.published)} ± {number(record.tolerance, digits=4)}",
                interval(record),
            ],
            vars(record),
        )
        for record in asked
    ]
    columns = [
        column("Figure", numeric=False),
        column("Population", numeric=False),
        column("Published"),
        column("Here (95 % interval)"),
    ]
    recomputed = sum(record.kind == "recomputed" for record in asked)
    said = (
        f"Before training, {len(asked) - recomputed} published estimates and {recomputed} computed with the R "
        "package survey were replicated from the tables of this run, each within its stated tolerance: half a unit "
        "of the last printed digit, or for usual intake what the row says. A run stops where one is not replicated."
    )
    sources = "; ".join(dict.fromkeys(record.source for record in asked))
    known = table("known-table", KNOWN.heading, columns, rows, notes=[f"Sources: {sources}."], folded=True)
    return KNOWN.of([text(said), known])


def checks(run: RunFolder) -> Section:
    """Describe the coded checks of the run, passed or not."""
    records = run.checks
    found = [record for record in records if record.passed is False]
    rows = [
        row(
            [
                record.id,
                record.title,
                record.severity if record.passed is False else record.status,
                record.finding,
            ],
            vars(record),
        )
        for record in sorted(records, key=lambda record: (record.passed is not False, record.status != OPEN))
    ]
    columns = [column(label, numeric=False) for label in ("Check", "What must hold", "Result", "Finding")]
    untold = sum(record.status == OPEN for record in records)
    said = f"{len(records)} checks: {len(found)} failed, {untold} that these data cannot decide."
    notes = [callout(f"Failed: {record.title}. {record.finding}", tone="warning") for record in found]
    return CHECKS.of([text(said), *notes, table("checks-table", "Checks of this run", columns, rows)])


REPOSITORY: Final = "docs/"
PAGE: Final = f"{names.REPORT}#"


def reporting(run: RunFolder) -> Section:
    """Describe the answers of the run to both lists."""
    items, questions = run.tripod, run.probast
    done = Counter(item.status for item in items)
    answers = Counter(question.answer for question in questions)
    said = text(
        f"TRIPOD+AI: {_counted(done)} of {len(items)} items. PROBAST+AI: {_counted(answers)} of {len(questions)} questions.",
        "Answers are filled in from the results of this run; an item without evidence counts as not done. The "
        "answers to PROBAST+AI are those of the developers, whereas the tool asks for an independent assessor. "
        "Evidence is a section of this page or a file of the run folder.",
    )
    blank = {"id": "", "topic": "", "status": "", "answer": ""}
    of_items = [
        row(
            [item.item, item.topic, item.status, item.answer, ""],
            {**blank, **vars(item)},
            pale=item.status != "done",
            links=_links(item.evidence),
        )
        for item in items
    ]
    of_questions = [
        row(
            [each.id, each.topic, each.answer, each.reason, ""],
            vars(each),
            links=_links(each.evidence),
        )
        for each in questions
    ]
    words = ("Item", "What is asked", "Status", "Answer", "Evidence")
    tables = [
        table("tripod", "TRIPOD+AI", [column(word, numeric=False) for word in words], of_items, notes=_sources(items)),
        table(
            "probast",
            "PROBAST+AI",
            [column(word, numeric=False) for word in ("Question", "What is asked", "Answer", "Why", "Evidence")],
            of_questions,
            notes=_sources(questions),
        ),
    ]
    return REPORTING.of([said, *({**each, "folded": True} for each in tables)])


def _counted(counts: Counter[str]) -> str:
    return ", ".join(f"{count} {name}" for name, count in counts.most_common())


def _links(evidence: Sequence[str]) -> list[dict[str, str]]:
    """Return {text, href} of each: a place on this page, a file beside it, or a page of the repository without link."""
    links = []
    for path in evidence:
        if path.startswith(PAGE):
            links.append({"text": f"#{path.removeprefix(PAGE)}", "href": f"#{path.removeprefix(PAGE)}"})
        else:
            links.append({"text": path, "href": "" if path.startswith(REPOSITORY) else path})
    return links


def _sources(records: Records[ItemRecord] | Records[QuestionRecord]) -> list[str]:
    sources = "; ".join(dict.fromkeys(record.source for record in records))
    return [f"{sources}."]


KNOWN = ReportSection("known", "Replication of published estimates", known_answers, folded=True)
CHECKS = ReportSection("checks", "Checks", checks, folded=True)
REPORTING = ReportSection("reporting", "TRIPOD+AI and PROBAST+AI", reporting, folded=True)

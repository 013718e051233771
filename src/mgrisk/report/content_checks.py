"""What was checked: published figures reproduced from the run's own tables, and the coded checks of the run."""

from __future__ import annotations

from typing import Final

from mgrisk.report.blocks import ABSENT, Section, callout, column, missing, row, section, table, text
from mgrisk.report.formats import interval, number
from mgrisk.report.run_files import RunFiles

KNOWN_HEADING: Final = "Known answers reproduced"


def known_answers(files: RunFiles) -> Section:
    """Describe the known answers that the run reproduced from its own tables before it trained."""
    records = files.records("known_answers.json")
    asked = [record for record in records if record["passed"] is not None]
    if not asked:
        reason = str(records[0]["note"]) if records else "known_answers.json is empty"
        return missing("known", KNOWN_HEADING, reason, status=ABSENT)
    rows = [
        row(
            [
                str(record["name"]).replace("-", " "),
                str(record["population"]),
                f"{number(record['published'])} ± {number(record['tolerance'], digits=4)}",
                interval(record),
            ],
            record,
        )
        for record in asked
    ]
    columns = [
        column("Figure", numeric=False),
        column("Population", numeric=False),
        column("Published"),
        column("Here (95 % interval)"),
    ]
    recomputed = sum(record["kind"] == "recomputed" for record in asked)
    said = (
        f"Before anything was trained, {len(asked) - recomputed} published figures, and {recomputed} computed by the R "
        "package survey, were computed from the tables of this run and came out within the tolerance stated for "
        "each: half of the last printed digit, or for figures of usual intake what the row says; a miss stops the run."
    )
    sources = "; ".join(dict.fromkeys(str(record["source"]) for record in asked))
    known = table("known-table", KNOWN_HEADING, columns, rows, notes=[f"Sources: {sources}."], folded=True)
    return section("known", KNOWN_HEADING, [text(said), known])


def checks(files: RunFiles) -> Section:
    """Describe the coded checks of the run, passed or not."""
    records = files.records("checks.json")
    found = [record for record in records if record["passed"] is False]
    rows = [
        row(
            [
                str(record["id"]),
                str(record["title"]),
                str(record["severity"]) if record["passed"] is False else str(record["status"]),
                str(record["finding"]),
            ],
            record,
        )
        for record in sorted(records, key=lambda record: record["passed"] is not False)
    ]
    columns = [column(label, numeric=False) for label in ("Check", "What must hold", "Result", "Finding")]
    said = f"{len(records)} checks, {len(found)} with a finding."
    notes = [callout(f"{record['title']}: does not hold. {record['finding']}", tone="warning") for record in found]
    return section("checks", "Checks", [text(said), *notes, table("checks-table", "Checks of this run", columns, rows)])

"""Performance of the chosen model by subgroup: a figure of discrimination and calibration, and the table behind."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from mgrisk.evaluate.assess import MISSING
from mgrisk.evaluate.records import MetricRecord
from mgrisk.report.blocks import Block, callout, column, figure, raw_records, row, table
from mgrisk.report.formats import count, interval, level_label, model_label, unit_label
from mgrisk.run_folder import names
from mgrisk.run_folder.folder import RunFolder

UNASKED: Final = "subgroup.absent"
IN_GROUPS: Final = (
    ("prevalence", "Share of cases", 1, True),
    ("auroc", "AUROC", 2, False),
    ("observed_expected", "Observed / expected", 2, False),
    ("calibration_intercept", "Calibration intercept", 2, False),
    ("calibration_slope", "Calibration slope", 2, False),
    ("flagged@0.05", "Screen-positive at 5 %", 1, True),
    ("sensitivity@0.05", "Sensitivity at 5 %", 1, True),
)
DRAWN: Final = (("auroc", None), ("observed_expected", 1.0), ("calibration_slope", 1.0))
"""Metrics of the figure, each with its ideal value."""
GROUPS: Final = {
    "sex": "Sex",
    "age": "Age",
    "race_ethnicity": "Race/ethnicity",
    "income": "Family income",
    "bmi": "Body mass index",
}
SUPPRESSED: Final = "suppress"


def groups_figure(run: RunFolder, name: str, set_name: str, label: str) -> Block:
    """Return AUROC, observed / expected cases and calibration slope of the chosen model in each group, with the table."""
    behind = groups_table(run, name, set_name, label)
    if behind["kind"] != "table":
        return behind
    of_model = run.evaluation.where(set=set_name, model=run.winner)
    titles = {metric: title for metric, title, _, _ in IN_GROUPS}
    records = [record for record in of_model if record.group in GROUPS and record.n]
    rows: list[dict[str, Any]] = [{"label": "All", "group": "all", "level": "all"}]
    for group, level in dict.fromkeys((record.group, record.level) for record in records):
        rows.append({"label": f"{GROUPS[group]}: {_level(level)}", "group": group, "level": level})
    panels = []
    for metric, ideal in DRAWN:
        found = {(record.group, record.level): record for record in of_model if record.metric == metric}
        points = [_point(found.get((line["group"], line["level"]))) for line in rows]
        everybody = points[0]["estimate"]
        panels.append({"title": titles[metric], "ideal": ideal, "everybody": everybody, "points": points})
    return figure(
        f"{name}-groups-figure",
        "panels",
        f"{model_label(run.winner)} by group of people, {label}",
        caption=(
            "Estimates with 95 % intervals; each group is a domain of the whole survey design. Dotted line: all "
            "people; dashed line: the ideal value, 1. Estimates that the data presentation standards of NCHS "
            "suppress are not drawn. An interval that does not include the dashed line is evidence of "
            "miscalibration in that group; among many groups a few miss it by chance."
        ),
        alt=f"Forest plot of AUROC, observed / expected cases and calibration slope in {len(rows) - 1} groups",
        data={"rows": [line["label"] for line in rows], "breaks": _breaks(rows), "panels": panels},
        behind=behind,
    )


def _point(record: MetricRecord | None) -> dict[str, float | None]:
    """Return what is drawn of an estimate: nothing where the standards keep it back."""
    if record is None or _suppressed(record):
        return dict.fromkeys(("estimate", "low", "high"))
    return record.bounds


def _level(level: str) -> str:
    return "not known" if level == MISSING else unit_label(level_label(level))


def _breaks(rows: Sequence[dict[str, Any]]) -> list[int]:
    """Return before which rows another group begins."""
    return [place for place in range(1, len(rows)) if rows[place]["group"] != rows[place - 1]["group"]]


def groups_table(run: RunFolder, name: str, set_name: str, label: str, *, folded: bool = False) -> Block:
    """Return the chosen model in each group; a group that NCHS would not print is greyed and says so."""
    of_model = run.evaluation.where(set=set_name, model=run.winner)
    records = [record for record in of_model if record.group in GROUPS]
    if not records:
        return callout(f"{names.EVALUATION} has no groups for this set.", tone="warning")
    rows = []
    for group in dict.fromkeys(record.group for record in records):
        mine = [record for record in records if record.group == group]
        rows.append(row([GROUPS.get(group, level_label(group)), *("" for _ in range(2 + len(IN_GROUPS)))]))
        rows += [_group_row(mine, level) for level in dict.fromkeys(record.level for record in mine)]
    columns = [column(title) for title in ("People", "Cases", *(title for _, title, _, _ in IN_GROUPS))]
    return table(
        f"{name}-groups",
        f"{model_label(run.winner)} by group of people, {label} (95 % intervals)",
        [column("Group", numeric=False), *columns],
        rows,
        notes=[
            "Each group is a domain of the whole survey design. Grey rows: the data presentation standards of NCHS "
            "(Parker et al. 2017) would suppress the share of cases, so the rest of the row is unreliable too. An "
            "asterisk marks single numbers that the standards would suppress.",
        ],
        folded=folded,
    )


def _group_row(records: Sequence[MetricRecord], level: str) -> dict[str, Any]:
    by_metric = {record.metric: record for record in records if record.level == level}
    first = next(iter(by_metric.values()))
    shown, pale = _level(level), True
    if first.problem == UNASKED:
        # As race may be in a file of one's own.
        cells = ["not asked", *("" for _ in range(1 + len(IN_GROUPS)))]
    elif not first.n:
        cells = [count(0), count(0), *(first.problem for _ in IN_GROUPS)]
    else:
        cells = [count(first.n), count(first.events)]
        cells += [
            interval(by_metric[key], digits=digits, share=share) + ("*" if _suppressed(by_metric[key]) else "")
            for key, _, digits, share in IN_GROUPS
        ]
        pale = _suppressed(by_metric["prevalence"])
        shown += " (too few to judge)" if pale else ""
    return row([shown, *cells], {"level": level, "metrics": raw_records(by_metric)}, level=1, pale=pale)


def _suppressed(record: MetricRecord) -> bool:
    return record.presentation.startswith(SUPPRESSED)

"""Who is in the analysis: attrition rule by rule, and Table 1."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from mgrisk.cohort.select import DEVELOPMENT, HELD_OUT
from mgrisk.errors import MgRiskError
from mgrisk.evaluate.records import TableOneRecord
from mgrisk.report.blocks import Block, Section, column, row, table, text
from mgrisk.report.formats import count, interval, labelled, level_label, number, percent, span
from mgrisk.report.population import population
from mgrisk.report.sections import ReportSection
from mgrisk.run_folder.folder import RunFolder

GROUPS: Final = {"all": "All", "case": "Cases", "other": "Others"}


def attrition(run: RunFolder) -> Section:
    """Describe how many people each eligibility rule excludes, in both sets."""
    records = run.attrition
    blocks: list[Block] = []
    sentences = []
    for set_name in (DEVELOPMENT, HELD_OUT):
        steps = records.where(set=set_name).rows
        if not steps:
            continue
        first, last = steps[0], steps[-1]
        sentences.append(
            f"{_set_label(run, set_name).capitalize()}: {count(last.n)} of {count(first.n)} participants are "
            "in the "
            f"analysis, {count(last.events)} of them cases."
        )
        blocks.append(
            table(
                f"attrition-{set_name}",
                f"Attrition, {_set_label(run, set_name)}",
                [
                    column("Rule", numeric=False),
                    column("Remaining"),
                    column("Excluded"),
                    column("Cases remaining"),
                ],
                [
                    row(
                        [
                            step.rule,
                            count(step.n),
                            count(step.excluded) if step.excluded else "–",
                            count(step.events),
                        ],
                        {"n": step.n, "excluded": step.excluded, "events": step.events},
                    )
                    for step in steps
                ],
                notes=[population(run).case_counts],
            )
        )
    why = text(
        population(run).weights,
        "Variances use the whole survey design: people outside the analysis stay in it with a weight of 0.",
    )
    return ATTRITION.of([text(*sentences), *blocks, why])


def table_one(run: RunFolder) -> Section:
    """Describe the people of both sets: weighted means and shares."""
    records = run.table_one
    blocks: list[Block] = [
        text(
            population(run).weighting,
            "Numbers: mean (standard error). Categories: share of those whose value is known, with its 95 % "
            "interval. Standard errors and intervals follow the survey design. “Missing” is the weighted share of "
            "all people of the set whose value is not known.",
        )
    ]
    for set_name in (DEVELOPMENT, HELD_OUT):
        of_set = records.where(set=set_name).rows
        if of_set:
            blocks.append(_table_one(run, set_name, of_set))
    return TABLE_ONE.of(blocks)


def _table_one(run: RunFolder, set_name: str, records: Sequence[TableOneRecord]) -> Block:
    cells: dict[tuple[str, str | None], dict[str, TableOneRecord]] = {}
    for record in records:
        cells.setdefault((record.variable, record.level), {})[record.group] = record
    size = {group: max((record.n for record in records if record.group == group), default=0) for group in GROUPS}
    rows = []
    seen: set[str] = set()
    for (variable, level), by_group in cells.items():
        whole = by_group["all"]
        label = labelled(whole.label, whole.unit)
        if level is not None and variable not in seen:
            rows.append(row([label, "", "", "", percent(whole.missing)], {"variable": variable}))
        seen.add(variable)
        shown = [_cell(by_group.get(group)) for group in GROUPS]
        raw: dict[str, Any] = {
            "variable": variable,
            "level": level,
            **{name: vars(each) for name, each in by_group.items()},
        }
        if level is None:
            rows.append(row([label, *shown, percent(whole.missing)], raw))
        else:
            rows.append(row([level_label(level), *shown, ""], raw, level=1))
    return table(
        f"table-one-{set_name}",
        f"Table 1, {_set_label(run, set_name)}",
        [
            column("", numeric=False),
            *(column(f"{name} (n = {count(size[group])})") for group, name in GROUPS.items()),
            column("Missing"),
        ],
        rows,
        folded=set_name == DEVELOPMENT,
    )


def _cell(record: TableOneRecord | None) -> str:
    if record is None:
        return "none"
    if record.statistic == "proportion":
        if record.low is None and record.estimate is not None:
            return percent(record.estimate)  # nobody or everybody: no interval on the logit
        return interval(record, digits=1, share=True)
    mean = record.estimate
    digits = 1 if mean is None else 0 if abs(mean) >= 1000 else 1 if abs(mean) >= 10 else 2
    return f"{number(mean, digits=digits)} ({number(record.se, digits=digits if digits == 0 else 2)})"


def _set_label(run: RunFolder, set_name: str) -> str:
    try:
        cycles = run.about["cycles" if set_name == DEVELOPMENT else "held_out"]
    except MgRiskError:
        return f"{set_name} set"  # the people are known even where the training failed
    return f"{set_name} set, {span(cycles)}"


ATTRITION = ReportSection("attrition", "Participants: eligibility and attrition", attrition, folded=True)
TABLE_ONE = ReportSection("table-one", "Table 1: characteristics of the participants", table_one, folded=True)

"""Two tables of performance: what a threshold comes to, and how the chosen model does in each group of people."""

from __future__ import annotations

from typing import Any, Final

from mgrisk.evaluate.subgroups import MISSING
from mgrisk.report.blocks import Block, callout, column, row, table
from mgrisk.report.formats import count, interval, level_label, model_label, number, percent
from mgrisk.report.run_files import Record, RunFiles

ACTED: Final = (
    ("flagged", "Flagged", 1, True),
    ("sensitivity", "Sensitivity", 1, True),
    ("specificity", "Specificity", 1, True),
    ("ppv", "Positive predictive value", 1, True),
    ("npv", "Negative predictive value", 1, True),
    ("number_to_test", "Flagged people for each case found", 1, False),
)
UNASKED: Final = "subgroup.absent"
IN_GROUPS: Final = (
    ("prevalence", "Share of cases", 1, True),
    ("auroc", "AUROC", 2, False),
    ("observed_expected", "Observed / expected", 2, False),
    ("calibration_intercept", "Intercept", 2, False),
    ("calibration_slope", "Slope", 2, False),
    ("flagged@0.05", "Flagged at 5 %", 1, True),
    ("sensitivity@0.05", "Sensitivity at 5 %", 1, True),
)
GROUPS: Final = {
    "sex": "Sex",
    "age": "Age",
    "race_ethnicity": "Race/ethnicity",
    "income": "Family income",
    "bmi": "Body mass index",
}
SUPPRESSED: Final = "suppress"


def thresholds_table(files: RunFiles, name: str, set_name: str, label: str) -> Block:
    """Return what calling people in comes to: the chosen model, and each published score."""
    records = [record for record in files.thresholds if record["set"] == set_name]
    models = dict.fromkeys(record["model"] for record in records)
    scores = [model for model in models if not any(_is_risk(record, model) for record in records)]
    rows = []
    for model in (files.winner, *scores):
        rows.append(row([model_label(model), *("" for _ in ACTED)], {"model": model}))
        mine = [record for record in records if record["model"] == model]
        for rule in dict.fromkeys(record["rule"] for record in mine):
            by_metric = {record["metric"]: record for record in mine if record["rule"] == rule}
            cells = [interval(by_metric[key], digits=digits, share=share) for key, _, digits, share in ACTED]
            first = _rule_label(next(iter(by_metric.values())), points=model in scores)
            rows.append(row([first, *cells], {"rule": rule, "metrics": by_metric}, level=1))
    return table(
        f"{name}-thresholds",
        f"Acting from a threshold, {label} (95 % intervals)",
        [column("Who is flagged", numeric=False), *(column(title) for _, title, _, _ in ACTED)],
        rows,
        notes=[
            "Thresholds are examples, not advice: who is called in is a decision about costs and benefits.",
            "Thresholds that reach a sensitivity were chosen on the development people. Flagged people for each case found "
            "is 1 over the positive predictive value: how many who are called in must be tested to find one case.",
        ],
    )


def groups_table(files: RunFiles, name: str, set_name: str, label: str) -> Block:
    """Return the chosen model in each group; a group that NCHS would not print is greyed and says so."""
    records = [
        record
        for record in files.evaluation
        if record["set"] == set_name and record["group"] != "all" and record["model"] == files.winner
    ]
    if not records:
        return callout("evaluation.json has no groups for this set.", tone="warning")
    rows = []
    for group in dict.fromkeys(record["group"] for record in records):
        mine = [record for record in records if record["group"] == group]
        rows.append(row([GROUPS.get(group, level_label(group)), *("" for _ in range(2 + len(IN_GROUPS)))]))
        rows += [_group_row(mine, level) for level in dict.fromkeys(record["level"] for record in mine)]
    columns = [column(title) for title in ("People", "Cases", *(title for _, title, _, _ in IN_GROUPS))]
    return table(
        f"{name}-groups",
        f"{model_label(files.winner)} in groups of people, {label} (95 % intervals)",
        [column("Group", numeric=False), *columns],
        rows,
        notes=[
            "Each group is a domain of the whole design. Greyed: by the data presentation standards of NCHS (Parker et "
            "al. 2017) the share of cases in the group would not be printed; read the rest of its row likewise. An asterisk "
            "marks single numbers that the standards keep back.",
        ],
    )


def _group_row(records: list[Record], level: str) -> dict[str, Any]:
    by_metric = {record["metric"]: record for record in records if record["level"] == level}
    first = next(iter(by_metric.values()))
    title = "Not known" if level == MISSING else level_label(level)
    problem = str(first["problem"])
    if problem == UNASKED:
        # As race may be in a file of one's own.
        cells = ["not asked", *("" for _ in range(1 + len(IN_GROUPS)))]
        return row([title, *cells], {"level": level, "metrics": by_metric}, level=1, pale=True)
    if not first["n"]:
        cells = [count(0), count(0), *(problem for _ in IN_GROUPS)]
        return row([title, *cells], {"level": level, "metrics": by_metric}, level=1, pale=True)
    cells = [
        interval(by_metric[key], digits=digits, share=share) + ("*" if _suppressed(by_metric[key]) else "")
        for key, _, digits, share in IN_GROUPS
    ]
    pale = _suppressed(by_metric["prevalence"])
    shown = f"{title} (too few to judge)" if pale else title
    people = [count(first["n"]), count(first["events"])]
    return row([shown, *people, *cells], {"level": level, "metrics": by_metric}, level=1, pale=pale)


def _suppressed(record: Record) -> bool:
    return str(record["presentation"]).startswith(SUPPRESSED)


def _is_risk(record: Record, model: str) -> bool:
    return bool(record["model"] == model and record["metric"] == "net_benefit")


def _rule_label(record: Record, *, points: bool) -> str:
    kind, _, value = str(record["rule"]).partition(" ")
    at = f"{number(record['threshold'], digits=0)} points" if points else f"a risk of {percent(record['threshold'])}"
    if kind == "sensitivity":
        return f"From {at}: sensitivity {percent(float(value), digits=0)} in development"
    return f"From {at}" + (", the published cut" if points else "")

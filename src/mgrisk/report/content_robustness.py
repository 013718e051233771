"""Whether the association stands: specification curve, cycles left out, negative controls, E-values, reverse causation."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from mgrisk.evidence.ladder import CONTROLS, MAIN, OUTCOMES
from mgrisk.evidence.record import FOOD
from mgrisk.evidence.regression import CALIBRATED, NONE
from mgrisk.report.blocks import Block, column, figure, row, table, text
from mgrisk.report.formats import count, interval, number, percent
from mgrisk.report.run_files import Record

PER_100: Final = "per 100 mg/d"
SHOWN: Final = "undiagnosed"


def robustness_blocks(records: Sequence[Record]) -> list[Block]:
    """Return what was tried to make the association go away, as far as the run has it."""
    return [
        *_specification_curve(records),
        *_cycles(records),
        *_e_values(records),
        *_controls(records),
        *_reverse(records),
    ]


def _of(records: Sequence[Record], analysis: str) -> list[Record]:
    return [record for record in records if record["analysis"] == analysis]


def _specification_curve(records: Sequence[Record]) -> list[Block]:
    tried = [
        record
        for record in (*_of(records, "association"), *_of(records, "specification"))
        if record["contrast"] == PER_100 and record["exposure"] == FOOD and record["scale"] == "odds ratio"
    ]
    if not _of(tried, "specification"):
        return []
    known = sorted((r for r in tried if r["estimate"] is not None), key=lambda record: record["estimate"])
    below = sum(record["estimate"] < 1.0 for record in known)
    clear = sum(record["high"] is not None and record["high"] < 1.0 for record in known)
    points = [
        {
            "label": "",
            "kind": OUTCOMES[record["outcome"]].label,
            **{key: record[key] for key in ("estimate", "low", "high")},
        }
        for record in known
    ]
    rows = [
        row([OUTCOMES[r["outcome"]].label, r["model"], r["correction"], count(r["n"]), interval(r, digits=2)], r)
        for r in known
    ]
    columns = [
        column("Outcome", numeric=False), column("Rung and people", numeric=False), column("Correction", numeric=False),
        column("People"), column("Odds ratio (95 % interval)"),
    ]  # fmt: skip
    said = (
        f"{len(known)} specifications (three outcomes, five rungs, naive and corrected, all people and three exclusions), "
        f"sorted: {below} lie below 1, and {clear} with their whole interval; they range from "
        f"{number(known[0]['estimate'], digits=2)} to {number(known[-1]['estimate'], digits=2)}"
    )
    lacking = len(tried) - len(known)
    return [
        figure(
            "specification-curve",
            "forest",
            "Specification curve: odds ratio per 100 mg a day of magnesium from food, every choice made",
            caption=f"An association, not an effect. {said}. {lacking} could not be estimated. The specifications are of "
            "the same people and are not independent: their number is no evidence.",
            alt=said,
            data={"x_label": "Odds ratio (95 % interval), per 100 mg/d", "null": 1.0, "points": points, "dense": True},
            behind=table("specification-curve-table", "All specifications, sorted", columns, rows, folded=True),
        )
    ]


def _cycles(records: Sequence[Record]) -> list[Block]:
    found = _of(records, "cycle left out")
    if not found:
        return []
    said = []
    for name in dict.fromkeys(record["outcome"] for record in found):
        values = [r["estimate"] for r in found if r["outcome"] == name and r["estimate"] is not None]
        if values:
            label = OUTCOMES[name].label
            said.append(f"{label} from {number(min(values), digits=2)} to {number(max(values), digits=2)}")
    rows = [row([OUTCOMES[r["outcome"]].label, r["model"].split(", ")[-1], interval(r, digits=3)], r) for r in found]
    return [
        text(f"With each cycle left out in turn, the corrected estimate of the main rung ranges: {'; '.join(said)}."),
        table(
            "cycles-left-out",
            "Per 100 mg a day, corrected, main rung, each cycle left out",
            [column("Outcome", numeric=False), column("Cycle", numeric=False), column("Estimate (95 % interval)")],
            rows,
            folded=True,
        ),
    ]


def _e_values(records: Sequence[Record]) -> list[Block]:
    found = {
        (record["correction"], record["outcome"]): record
        for record in _of(records, "e-value")
        if record["model"] == MAIN.name
    }
    said = [
        f"{OUTCOMES[outcome].label} {number(record['estimate'], digits=2)} (of the limit {number(record['low'], digits=2)})"
        for (correction, outcome), record in found.items()
        if correction == CALIBRATED
    ]
    if not said:
        return []
    return [
        text(
            "E-values, main rung, corrected: to explain the estimate away, something not adjusted for would have to go along "
            "with 100 mg of magnesium and with the outcome by a risk ratio of at least this much each: "
            f"{'; '.join(said)}. A healthier diet as a whole may well do that."
        )
    ]


def _controls(records: Sequence[Record]) -> list[Block]:
    found = _of(records, "negative control")
    if not found:
        return []
    said = []
    for record in found:
        control = CONTROLS[record["outcome"]]
        found_one = "" if record["p"] is None else ", an association" if record["p"] < 0.05 else ", none to be seen"
        said.append(f"{control.label}, {control.scale} {interval(record, digits=2)}{found_one}")
    return [
        text(
            "Negative controls, outcomes that magnesium eaten now cannot move, main rung, corrected, per 100 mg a day: "
            f"{'; '.join(said)}. An association here is confounding that the adjustment has left; none does not prove that "
            "there is none elsewhere."
        )
    ]


def _reverse(records: Sequence[Record]) -> list[Block]:
    found = _of(records, "reverse causation")
    if not found:
        return []
    said = "; ".join(
        f"{record['contrast'].removesuffix(' against none')} {interval(record, digits=0, signed=True)} mg/d "
        f"({count(record['n'])} people)"
        for record in found
    )
    naive = next((r for r in _of(records, "association") if r["outcome"] == SHOWN and r["correction"] == NONE), None)
    share = "" if naive is None or not naive["events"] else f" ({percent(naive['events'] / naive['n'])} of the people)"
    return [
        text(
            "Reverse causation: people told of diabetes are left out of all of the above, because they may eat otherwise since. "
            f"Against people without diabetes, the same energy and the main rung's terms, magnesium from food is: {said}. "
            f"The undiagnosed{share} did not know, but glucose that has been high for years changes thirst, weight and the "
            "kidneys' loss of magnesium all the same; one visit cannot rule that out."
        )
    ]

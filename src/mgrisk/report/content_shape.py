"""The shape of the association, in whom it differs, and through what it may run."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from mgrisk.evidence.interactions import MODIFIERS
from mgrisk.evidence.ladder import OUTCOMES
from mgrisk.evidence.mediation import ASSUMPTIONS
from mgrisk.report.blocks import Block, bullets, column, figure, row, table, text
from mgrisk.report.formats import interval, number, percent
from mgrisk.report.run_files import Record

AGAINST: Final = " against "


def curves(records: Sequence[Record]) -> list[Block]:
    """Return a figure for each outcome that has a curve."""
    drawn = [record for record in records if record["analysis"] == "dose-response"]
    eaten = [record for record in records if record["analysis"] == "intake"]
    names = dict.fromkeys(record["outcome"] for record in drawn if AGAINST in record["contrast"])
    return [_curve([record for record in drawn if record["outcome"] == name], name, eaten) for name in names]


def _curve(records: Sequence[Record], name: str, eaten: Sequence[Record]) -> Block:
    points = [record for record in records if AGAINST in record["contrast"]]
    (bend,) = (record for record in records if record["contrast"] == "non-linearity")
    amount = [float(record["contrast"].split(AGAINST)[0]) for record in points]
    reference = points[0]["contrast"].split(AGAINST)[1]
    label, scale = OUTCOMES[name].label, OUTCOMES[name].scale
    quantiles = [{"label": record["contrast"], "mg": record["estimate"]} for record in eaten]
    said = ", ".join(f"{each['label']} than {number(each['mg'], digits=0)} mg" for each in quantiles[::2])
    rows = [row([f"{at:.0f}", interval(record, digits=2)], record) for at, record in zip(amount, points, strict=True)]
    columns = [column("Usual magnesium from food, mg/d"), column(f"{scale.capitalize()} (95 % interval)")]
    return figure(
        f"curve-{name}",
        "curve",
        f"{label}: {scale} along usual magnesium from food, against {reference}",
        caption="An association, not an effect. Restricted cubic spline with four knots on expected usual intake, with its "
        "95 % band (design, recall error and correction together), adjusted for all but body size and other minerals. Test "
        f"of non-linearity: F = {number(bend['estimate'], digits=2)}, p = {number(bend['p'], digits=2)}. Where Americans "
        f"are: {said}. Bends are drawn somewhat too shallow, because expected intake spreads less than intake.",
        alt=f"{scale.capitalize()} {number(points[0]['estimate'], digits=2)} at {amount[0]:.0f} mg and "
        f"{number(points[-1]['estimate'], digits=2)} at {amount[-1]:.0f} mg",
        data={
            "x_label": "Usual magnesium from food, mg/d",
            "y_label": f"{scale} against {reference}",
            "x": amount,
            **{key: [record[key] for record in points] for key in ("estimate", "low", "high")},
            "quantiles": quantiles,
        },
        behind=table(f"curve-{name}-table", f"{label}: {scale} against {reference}", columns, rows),
    )


def interaction_table(records: Sequence[Record]) -> list[Block]:
    """Return the table of groups, where interactions were looked at."""
    found = [record for record in records if record["analysis"] == "interaction"]
    if not found:
        return []
    tests = sum(record["p_adjusted"] is not None for record in found)
    rows = [
        row(
            [
                OUTCOMES[record["outcome"]].label,
                record["contrast"],
                interval(record, digits=2),
                number(record["p"], digits=3) if record["p_adjusted"] is not None else "",
                number(record["p_adjusted"], digits=2) if record["p_adjusted"] is not None else "",
            ],
            record,
        )
        for record in found
    ]
    low = [r for r in found if r["p_adjusted"] is not None and r["p_adjusted"] < 0.05]
    said = f"Of {tests} tests, {len(low)} stay below 0.05 after Holm's correction for their number" + (
        f": {'; '.join(_named(record) for record in low)}." if low else ": no group is told apart from another."
    )
    sources = [f"{each.label}: {each.source}." for each in MODIFIERS.values()]
    return [
        table(
            "interactions",
            "Per 100 mg a day of magnesium from food, corrected, in groups of people",
            [
                column("Outcome", numeric=False),
                column("Group", numeric=False),
                column("Estimate (95 % interval)"),
                column("p of the difference"),
                column("p, corrected"),
            ],
            rows,
            notes=[
                said,
                "A group of few people may differ without being seen to. Asked because reported: " + " ".join(sources),
            ],
            folded=True,
        ),
        text(said),
    ]


def _named(record: Record) -> str:
    return f"{OUTCOMES[record['outcome']].label}, {record['contrast']}"


def mediation_blocks(records: Sequence[Record]) -> list[Block]:
    """Return the parts of the association by path, their assumptions, and what cannot be told."""
    found = [record for record in records if record["analysis"] == "mediation"]
    if not found or found[0]["problem"]:
        return []
    outcome = OUTCOMES[found[0]["outcome"]]
    rows = [row([record["contrast"], record["scale"], _part(record)], record) for record in found]
    shares = [record for record in found if record["scale"] == "share"]
    said = "; ".join(
        f"{record['contrast'].removeprefix('share through ')} {percent(record['estimate'], digits=0)} "
        f"({percent(record['low'], digits=0)} to {percent(record['high'], digits=0)})"
        for record in shares
    )
    return [
        text(
            f"Through what: of the association of magnesium with {outcome.label.lower()}, one path after the other takes: "
            f"{said}. These are parts of an association. They are shares of an effect only if all of this holds:"
        ),
        bullets(*ASSUMPTIONS),
        text(
            "Whether magnesium acts on insulin secretion cannot be told from this: HOMA-B of one fasting sample rises with "
            "insulin resistance as long as beta cells compensate, and falls when they fail, so that one number stands for two "
            "opposite things; a clamp or a glucose tolerance test with insulin would tell. Nor can it be told whether body "
            "size lies on the way or comes before the diet."
        ),
        table(
            "mediation",
            f"{outcome.label}: the association per 100 mg a day, corrected, and its parts",
            [column("Part", numeric=False), column("Scale", numeric=False), column("Estimate (95 % interval)")],
            rows,
            notes=[
                "Sensitivity: the correlation between unmeasured causes of the marker and of the outcome at which this part "
                "would be nothing; the smaller, the less it takes."
            ],
            folded=True,
        ),
    ]


def _part(record: Any) -> str:
    if record["scale"] == "share":
        return interval(record, digits=0, share=True)
    if record["scale"] == "correlation":
        return number(record["estimate"], digits=2, signed=True)
    return interval(record, digits=3)

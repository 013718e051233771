"""Association: how magnesium and glucose go together in these people, adjusted rung by rung, naive beside corrected."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from mgrisk.evidence.ladder import MAIN, OUTCOMES, RUNGS
from mgrisk.evidence.record import FOOD, SUPPLEMENT
from mgrisk.evidence.regression import CALIBRATED, NONE
from mgrisk.report.blocks import (
    ABSENT,
    Block,
    Section,
    bullets,
    callout,
    column,
    figure,
    missing,
    row,
    section,
    table,
    text,
)
from mgrisk.report.content_robustness import robustness_blocks
from mgrisk.report.content_shape import curves, interaction_table, mediation_blocks
from mgrisk.report.formats import count, interval, span
from mgrisk.report.run_files import Record, RunFiles, pick

FILE: Final = "evidence.json"
PER_100: Final = "per 100 mg/d"
SHOWN: Final = ("undiagnosed", "homa_ir")
CORRECTIONS: Final = {NONE: "naive", CALIBRATED: "corrected"}
SUBSAMPLES: Final = {
    "fasting": "of the fasting subsample",
    "ogtt": "of the glucose tolerance test",
    "recall1": "of the first recall",
}
HEADING: Final = "Association: magnesium and diabetes in these people"


def association(files: RunFiles) -> Section:
    """Describe the associations that the evidence step estimated."""
    if not files.has(FILE):
        return missing(
            "magnesium-association",
            HEADING,
            "no association between magnesium and the outcome was estimated: the pipeline file has no section "
            "[evidence] and the run folder no evidence.json. The pictures under Prediction do not stand in for it.",
            status=ABSENT,
        )
    everything = files.records(FILE)
    records = [record for record in everything if record["analysis"] == "association"]
    names = list(dict.fromkeys(record["outcome"] for record in records))
    blocks: list[Block] = [
        _people(records),
        callout(
            "An association is no effect. Diet, glucose and insulin were measured at one visit, people who eat more "
            "magnesium differ from others in more than a questionnaire holds, and one day's recall says little about a "
            "habit. Nothing here says that magnesium prevents diabetes.",
            tone="warning",
        ),
        *(_figure(records, name) for name in SHOWN if name in names),
        _ladder(records, names, FOOD, CALIBRATED, folded=False),
        _ladder(records, names, FOOD, NONE, folded=True),
        _fifths(records, names),
        _ladder(records, names, SUPPLEMENT, CALIBRATED, folded=True),
        text("What each rung adjusts for, and why:"),
        bullets(*(f"{rung.label[0].upper()}{rung.label[1:]}. {rung.reason}" for rung in RUNGS)),
        *curves(everything),
        *interaction_table(everything),
        *mediation_blocks(everything),
        *robustness_blocks(everything),
    ]
    return section("magnesium-association", HEADING, blocks)


def _people(records: Sequence[Record]) -> Block:
    said = []
    for name in dict.fromkeys(record["weight_level"] for record in records):
        first = next(record for record in records if record["weight_level"] == name)
        outcomes = dict.fromkeys(OUTCOMES[r["outcome"]].label for r in records if r["weight_level"] == name)
        said.append(
            f"{', '.join(outcomes)}: {count(first['n'])} people with the weights {SUBSAMPLES[name]}, NHANES "
            f"{span(str(first['cycles']).split(', '))}."
        )
    return text(
        "Adults never told of diabetes, not pregnant, with a reliable first recall and every adjustment known; all "
        "rungs are of the same people.",
        *said,
        "Naive is the mean of the recalled days; corrected is the usual intake expected from recalls and all "
        "adjustments (regression calibration), and its intervals hold the error of that correction.",
    )


def _estimate(records: Sequence[Record], outcome: str, model: str, exposure: str, correction: str) -> Any:
    return pick(records, FILE, outcome=outcome, model=model, exposure=exposure, correction=correction, contrast=PER_100)


def _shown(record: Any) -> str:
    digits = {"odds ratio": 2, "ratio": 3, "difference": 4}[record["scale"]]
    return interval(record, digits=digits, signed=record["scale"] == "difference")


def _ladder(records: Sequence[Record], names: Sequence[str], exposure: str, correction: str, *, folded: bool) -> Block:
    rows = []
    for name in names:
        found = [_estimate(records, name, rung.name, exposure, correction) for rung in RUNGS]
        raw = {rung.name: record["estimate"] for rung, record in zip(RUNGS, found, strict=True)}
        label = f"{OUTCOMES[name].label}, {OUTCOMES[name].scale}"
        rows.append(row([label, *(_shown(record) for record in found)], raw))
    what = "food" if exposure == FOOD else "supplements"
    name = f"ladder-{what}-{CORRECTIONS[correction]}"
    return table(
        name,
        f"Per 100 mg a day of magnesium from {what}, {CORRECTIONS[correction]}: estimate (95 % interval) on each rung",
        [column("Outcome, scale", numeric=False), *(column(rung.label) for rung in RUNGS)],
        rows,
        notes=[
            "Odds ratios and ratios of geometric means: 1 is no association. Differences: 0 is none. Higher QUICKI "
            "is more sensitive to insulin.",
            "Each column adds to the one before it. The last two may adjust too much, the first two adjust too little.",
        ],
        folded=folded,
    )


def _fifths(records: Sequence[Record], names: Sequence[str]) -> Block:
    rows = []
    contrasts: list[str] = []
    for name in names:
        found = [
            record
            for record in records
            if record["outcome"] == name
            and record["correction"] == CALIBRATED
            and record["model"] == MAIN.name
            and record["contrast"] != PER_100
        ]
        contrasts = contrasts or [record["contrast"] for record in found]
        raw = {record["contrast"]: record["estimate"] for record in found}
        rows.append(row([OUTCOMES[name].label, *(_shown(record) for record in found)], raw))
    return table(
        "ladder-fifths",
        "By fifths of usual magnesium from food, corrected, adjusted for all but body size and other minerals",
        [column("Outcome", numeric=False), *(column(each) for each in contrasts)],
        rows,
        notes=[
            "Cuts in mg a day are those of the first outcome's people; other panels have their own, within a few mg."
        ],
        folded=True,
    )


def _figure(records: Sequence[Record], name: str) -> Block:
    outcome = OUTCOMES[name]
    points: list[dict[str, Any]] = []
    for rung in RUNGS:
        for correction, word in CORRECTIONS.items():
            record = _estimate(records, name, rung.name, FOOD, correction)
            points.append(
                {
                    "label": rung.label if correction == NONE else "",
                    "kind": word,
                    **{key: record[key] for key in ("estimate", "low", "high")},
                }
            )
    corrected = _estimate(records, name, MAIN.name, FOOD, CALIBRATED)
    behind = [
        row([rung.label, *(_shown(_estimate(records, name, rung.name, FOOD, each)) for each in CORRECTIONS)], {})
        for rung in RUNGS
    ]
    return figure(
        f"ladder-{name}",
        "forest",
        f"{outcome.label}: {outcome.scale} per 100 mg a day of magnesium from food",
        caption=f"An association, not an effect. {outcome.scale.capitalize()} with 95 % interval on each rung of "
        "adjustment, for the mean of the recalled days (naive) and for expected usual intake (corrected). Adjusted for "
        f"all but body size and other minerals, the corrected estimate is {_shown(corrected)}.",
        alt=f"Estimates on five rungs; on the third, corrected, {_shown(corrected)}",
        data={"x_label": f"{outcome.scale} (95 % interval), {PER_100}", "null": 1.0, "points": points},
        behind=table(
            f"ladder-{name}-table",
            f"{outcome.label}: {outcome.scale} per 100 mg a day of magnesium from food",
            [column("Rung", numeric=False), *(column(word.capitalize()) for word in CORRECTIONS.values())],
            behind,
        ),
    )

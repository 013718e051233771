"""The first screen: what was predicted, for whom, how well, what drives it, and what not to use it for."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from mgrisk.evidence.adjustment_set import MAIN
from mgrisk.evidence.regression import CALIBRATED, FOOD
from mgrisk.report.blocks import Block, Section, bullets, callout, facts, section, text
from mgrisk.report.formats import count, interval, model_label, number, percent, span
from mgrisk.report.population import horizon, made_on, population, predicted, weighting
from mgrisk.report.sections.association import FILE as EVIDENCE
from mgrisk.report.sections.association import PER_100
from mgrisk.report.sections.drivers import group_records, importance_records
from mgrisk.report.sections.importance import CLEAR
from mgrisk.report.sections.performance import SCORE, compare
from mgrisk.run_folder.reader import RunFiles, pick
from mgrisk.types import JsonRecord

MAGNESIUM: Final = "magnesium"
CAUTIONS: Final = (
    "It is a research tool and no medical device: it diagnoses nobody, and it replaces no blood test.",
    "It is no advice on diet or supplements. A Shapley value is no effect: it says what the model read, not "
    "what "
    "would happen if somebody ate differently.",
    "It speaks of the people it was made on: {made_on}, in the eligibility of the attrition table. Elsewhere it must "
    "first be evaluated, and most likely recalibrated.",
    "Answers to questionnaires and one or two days of remembered food are not measurements of habits.",
    "Race/ethnicity, where it is a feature, stands for unequal circumstances, not for biology.",
)


def summary(files: RunFiles) -> Section:
    """Describe the run so that ten seconds are enough."""
    about, name, winner = files.about, files.held_out_name, files.winner
    outcome = about["outcome"]
    mine = pick(files.evaluation, "evaluation.json", model=winner, set=name, metric="auroc")
    cases = f"{count(mine['events'])} cases"
    told = facts(
        {
            "label": "Predicted",
            "value": predicted(files),
            "detail": f"{outcome['definition']}. A calibrated probability.",
        },
        {
            "label": "For whom",
            "value": population(files),
            "detail": f"Made on {count(about['people'])} people of {span(about['cycles'])} ({count(about['cases'])} cases, "
            f"weighted share {percent(about['prevalence'])}); tested on {count(mine['n'])} people of "
            f"{span(about['held_out'])} ({cases}) that it had never seen. {weighting(files)}",
        },
        style="lead",
    )
    cards = [_ranking(files, mine), _calibration(files), _drivers(files), _magnesium(files), not_for()]
    blocks: list[Block] = [
        told,
        facts(*cards, style="cards"),
        text(horizon(files), "Brackets and bars hold 95 % intervals of the design."),
    ]
    return section("summary", "In short", blocks)


def limits(files: RunFiles) -> Section:
    """Describe what the run must not be used for."""
    outcome = files.cohort["outcome"]
    blocks: list[Block] = [
        callout(str(outcome["warning"]), tone="warning"),
        bullets(*(caution.format(made_on=made_on(files)) for caution in CAUTIONS)),
    ]
    return section("limits", "What not to use it for", blocks)


def _ranking(files: RunFiles, mine: Any) -> dict[str, Any]:
    lines = []
    detail = "Of a case and another person, how often the case has the higher risk."
    theirs = [
        r
        for r in files.evaluation
        if (r["set"], r["model"], r["metric"], r["group"]) == (mine["set"], SCORE, "auroc", "all")
    ]
    gap = [
        r
        for r in files.differences
        if r["set"] == mine["set"] and r["model"] == files.winner and r["metric"] == "auroc" and r["reference"] == SCORE
    ]
    if theirs:
        lines.append({"term": f"{model_label(SCORE)}, same people", "value": interval(theirs[0])})
    if gap:
        lines.append({"term": "Difference, paired", "value": interval(gap[0], signed=True)})
        detail = compare(gap[0])
    return {
        "label": f"How well it ranks: AUROC, {span(files.about['held_out'])}",
        "value": number(mine["estimate"]),
        "range": _range(mine, digits=3),
        "gauge": _gauge(mine, start=0.5, end=1.0, marks=[record["estimate"] for record in theirs]),
        "lines": lines,
        "detail": f"{model_label(files.winner)}. {detail}",
    }


def _calibration(files: RunFiles) -> dict[str, Any]:
    found = {
        metric: pick(files.evaluation, "evaluation.json", model=files.winner, set=files.held_out_name, metric=metric)
        for metric in ("observed_expected", "calibration_slope", "ici")
    }
    ratio = found["observed_expected"]
    return {
        "label": "How well calibrated: observed / expected cases",
        "value": number(ratio["estimate"], digits=2),
        "range": _range(ratio, digits=2),
        "gauge": _gauge(ratio, start=0.0, end=2.0, marks=[1.0]),
        "lines": [
            {"term": "Slope (1 is right)", "value": interval(found["calibration_slope"], digits=2)},
            {"term": "Mean error of a risk", "value": interval(found["ici"], digits=1, share=True)},
        ],
        "detail": _calibration_words(found["calibration_slope"], ratio),
    }


def _gauge(record: Any, *, start: float, end: float, marks: Sequence[float | None]) -> dict[str, Any] | None:
    """Return an estimate with its interval and marks to compare it with, as percent of a scale; None without them."""
    if record["low"] is None or record["high"] is None or record["estimate"] is None:
        return None

    def place(value: float) -> float:
        return round(100.0 * min(max((value - start) / (end - start), 0.0), 1.0), 2)

    return {
        **{key: place(record[key]) for key in ("low", "estimate", "high")},
        "marks": [place(mark) for mark in marks if mark is not None],
    }


def _calibration_words(slope: Any, ratio: Any) -> str:
    wrong = [
        word
        for word, record in (("slope", slope), ("total", ratio))
        if record["low"] is None or record["high"] is None or not record["low"] <= 1.0 <= record["high"]
    ]
    if wrong:
        return f"The {' and the '.join(wrong)} of the risks cannot be called right: the interval does not hold 1."
    return "Neither the total nor the slope is shown to be wrong; the intervals say how far off they may be."


def _drivers(files: RunFiles) -> dict[str, Any]:
    records = importance_records(files)
    return {
        "label": f"What drives it: the largest of {len(records)} features",
        "value": ", ".join(record["label"] for record in records[:2]),
        "lines": [
            {
                "term": f"{record['label']} {_arrow(record)}".strip(),
                "value": number(record["importance"], digits=2),
                "bar": round(100.0 * record["importance"] / records[0]["importance"]),
            }
            for record in records[:5]
        ],
        "detail": "Mean |contribution| to the log-odds: what the model reads, not what causes diabetes.",
    }


def _arrow(record: JsonRecord) -> str:
    direction = record["direction"]
    return "" if direction is None or abs(direction) <= CLEAR else "↑" if direction > 0 else "↓"


def _magnesium(files: RunFiles) -> dict[str, Any]:
    """Return what magnesium does: in prediction by this model, and beside it in association, where that was estimated."""
    places = [(place, record) for place, record in enumerate(group_records(files), start=1)]
    mine = next(((place, record) for place, record in places if record["group"] == MAGNESIUM), None)
    lines = [{"term": "Prediction: all its features", "value": interval(_size(mine[1]), digits=2)}] if mine else []
    lines += [
        {
            "term": f"Prediction: {record['label']} {_arrow(record)}".strip(),
            "value": number(record["importance"], digits=2),
        }
        for record in importance_records(files)
        if record["group"] == MAGNESIUM
    ]
    lines += _association(files)
    studied = "an association" if files.has(EVIDENCE) else "no association"
    return {
        "label": "What magnesium does here",
        "value": f"Group {mine[0]} of {len(places)} in prediction" if mine else "Not in this model",
        "lines": lines,
        "detail": f"Prediction: mean |contribution| to the log-odds; {studied} was estimated. Neither says what "
        "more magnesium would do: no effect was estimated in this run.",
    }


def _association(files: RunFiles) -> list[dict[str, Any]]:
    """Return the adjusted association of magnesium from food with this outcome, corrected for recall error."""
    if not files.has(EVIDENCE):
        return []
    wanted = {
        "analysis": "association", "outcome": files.about["outcome"]["name"], "model": MAIN.name, "exposure": FOOD,
        "correction": CALIBRATED, "contrast": PER_100,
    }  # fmt: skip
    found = [record for record in files.records(EVIDENCE) if all(record[key] == wanted[key] for key in wanted)]
    return [
        {
            "term": f"Association: {record['scale']} per 100 mg/d from food, adjusted",
            "value": interval(record, digits=2),
        }
        for record in found
    ]


def _size(record: JsonRecord) -> JsonRecord:
    return {**record, "estimate": record["importance"]}


def not_for() -> dict[str, Any]:
    """Return the card of the first screen that says what not to do."""
    return {
        "label": "What not to use it for",
        "value": "Research only",
        "tone": "warning",
        "lines": [],
        "items": [
            "Diagnosis: it is no medical device and replaces no blood test.",
            "Advice on diet or supplements: a contribution is no effect.",
            "People unlike those it was made on: evaluate and recalibrate first.",
        ],
    }


def _range(record: Any, *, digits: int) -> str:
    if record["low"] is None or record["high"] is None:
        return f"no interval: {record.get('problem') or 'not given'}"
    return f"{number(record['low'], digits=digits)} to {number(record['high'], digits=digits)}"

"""The first screen: what was predicted, for whom, how well, what drives it, and what not to use it for."""

from __future__ import annotations

from typing import Any, Final

from mgrisk.report.blocks import Block, Section, bullets, callout, facts, section, text
from mgrisk.report.content_drivers import direction_words, importance_records
from mgrisk.report.content_performance import compare
from mgrisk.report.formats import count, interval, model_label, number, percent, span
from mgrisk.report.run_files import Record, RunFiles, pick

SCORE: Final = "ada"


def summary(files: RunFiles) -> Section:
    """Describe the run so that ten seconds are enough."""
    about, name, winner = files.about, files.held_out_name, files.winner
    outcome = about["outcome"]
    mine = pick(files.evaluation, "evaluation.json", model=winner, set=name, metric="auroc")
    what = text(
        f"{outcome['label']}: {outcome['definition']}.",
        f"People aged {about['minimum_age']} and older, weighted to the population. Model made on "
        f"{count(about['people'])} people of {span(about['cycles'])} ({count(about['cases'])} cases, weighted share "
        f"{percent(about['prevalence'])}) and tested on {count(mine['n'])} people of {span(about['held_out'])} "
        f"({count(mine['events'])} cases), of whom it knew nothing.",
    )
    cards = [_ranking(files, mine), _calibration(files), _drivers(files), _magnesium(files)]
    blocks: list[Block] = [
        what,
        facts(*cards),
        text(
            "Brackets hold 95 % intervals from the survey design. This is a research tool: not a medical device, not a "
            "diagnosis and not advice."
        ),
    ]
    return section("summary", "In short", blocks)


def limits(files: RunFiles) -> Section:
    """Describe what the run must not be used for."""
    outcome = files.cohort["outcome"]
    blocks: list[Block] = [
        callout(str(outcome["warning"]), tone="warning"),
        bullets(
            "It is a research tool and no medical device: it diagnoses nobody, and it replaces no blood test.",
            "It is no advice on diet or supplements. A Shapley value is no effect: it says what the model read, not "
            "what "
            "would happen if somebody ate differently.",
            "It speaks of the people it was made on: adults of the United States, not pregnant, in the eligibility of "
            "the "
            "attrition table. Elsewhere it must first be evaluated, and most likely recalibrated.",
            "Answers to questionnaires and one or two days of remembered food are not measurements of habits.",
            "Race/ethnicity, where it is a feature, stands for unequal circumstances, not for biology.",
        ),
    ]
    return section("limits", "What not to use it for", blocks)


def _ranking(files: RunFiles, mine: Any) -> dict[str, Any]:
    lines = []
    detail = "Of a case and another person, how often the case has the higher risk."
    theirs = [r for r in files.evaluation if r["set"] == mine["set"] and r["model"] == SCORE and r["metric"] == "auroc"]
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
        "label": f"Ranking: AUROC of {model_label(files.winner)}, held-out {span(files.about['held_out'])}",
        "value": number(mine["estimate"]),
        "range": _range(mine, digits=3),
        "detail": detail,
        "lines": lines,
    }


def _calibration(files: RunFiles) -> dict[str, Any]:
    found = {
        metric: pick(files.evaluation, "evaluation.json", model=files.winner, set=files.held_out_name, metric=metric)
        for metric in ("observed_expected", "calibration_slope", "calibration_intercept", "ici")
    }
    ratio = found["observed_expected"]
    return {
        "label": "Calibration: observed / expected cases, held-out",
        "value": number(ratio["estimate"], digits=2),
        "range": _range(ratio, digits=2),
        "detail": _calibration_words(found["calibration_slope"], ratio),
        "lines": [
            {"term": "Slope", "value": interval(found["calibration_slope"], digits=2)},
            {"term": "Intercept", "value": interval(found["calibration_intercept"], digits=2)},
            {"term": "Mean error (ICI)", "value": interval(found["ici"], digits=1, share=True)},
        ],
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
        "label": "What drives it: the three largest",
        "value": ", ".join(record["label"] for record in records[:3]),
        "range": "",
        "detail": "Mean absolute contribution to the log-odds. What the model reads, not what causes diabetes.",
        "lines": [
            {"term": f"{r['label']} ({direction_words(r['direction'])})", "value": interval(_size(r), digits=2)}
            for r in records[:3]
        ],
    }


def _magnesium(files: RunFiles) -> dict[str, Any]:
    records = importance_records(files)
    ranked = [(place, record) for place, record in enumerate(records, start=1) if record["group"] == "magnesium"]
    if not ranked:
        return {"label": "Magnesium", "value": "not in this model", "range": "", "detail": "", "lines": []}
    place = ranked[0][0]
    return {
        "label": "Magnesium among the features",
        "value": f"place {place} of {len(records)}",
        "range": "",
        "detail": "By mean absolute contribution. A use in prediction; no effect of magnesium was estimated in this "
        "run.",
        "lines": [
            {"term": f"{r['label']} ({direction_words(r['direction'])})", "value": interval(_size(r), digits=2)}
            for _, r in ranked
        ],
    }


def _size(record: Record) -> Record:
    return {**record, "estimate": record["importance"]}


def _range(record: Any, *, digits: int) -> str:
    if record["low"] is None or record["high"] is None:
        return f"no interval: {record.get('problem') or 'not given'}"
    return f"{number(record['low'], digits=digits)} to {number(record['high'], digits=digits)}"

"""The first screen: what was predicted, for whom, how well, what drives it, and what not to use it for."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from mgrisk.evaluate.records import Estimated, MetricRecord
from mgrisk.report.blocks import Block, Section, bullets, callout, facts, text
from mgrisk.report.formats import NBSP, count, interval, model_label, number, percent, span
from mgrisk.report.headline import headline
from mgrisk.report.population import population
from mgrisk.report.sections import ReportSection
from mgrisk.report.sections.added_value import held_out_gain
from mgrisk.report.sections.drivers import group_records, importance_records
from mgrisk.report.sections.importance import CLEAR
from mgrisk.report.sections.performance import SCORE, compare, compare_net_benefit, net_benefits
from mgrisk.run_folder import names
from mgrisk.run_folder.folder import RunFolder
from mgrisk.run_folder.records import Importance

MAGNESIUM: Final = "magnesium"
NAMED: Final = 3  # checks on the first screen
GAUGE: Final = (
    "In each gauge the dot is the estimate, the thick line its 95 % interval, and the upright mark the comparator: "
    "the published score, or the ideal value 1. The documentation has a page on how to read a report."
)
_CAUTIONS: Final = (
    "It is a research tool, not a medical device. It does not diagnose anybody and does not replace a blood test.",
    "It is not advice on diet or supplements. A SHAP value is not an effect: it describes how the model uses an "
    "input, not what would happen if somebody ate differently.",
    "It applies to people like those it was developed on: {developed_on}. For other people it must first be validated and, most likely, recalibrated.",
    "Questionnaires and one or two 24-hour dietary recalls do not measure habits.",
    "Race/ethnicity, where it is a feature, is a marker of unequal circumstances, not of biology.",
)


def cautions(developed_on: str) -> Block:
    """Return what nobody may use a model for that was developed on these people."""
    return bullets(*(caution.format(developed_on=developed_on) for caution in _CAUTIONS))


def summary(run: RunFolder) -> Section:
    """Describe the run so that ten seconds are enough."""
    about, name, winner = run.about, run.held_out_name, run.winner
    outcome, people = about["outcome"], population(run)
    mine = run.evaluation.one(model=winner, set=name, metric="auroc")
    cases = f"{count(mine.events)} cases"
    told = facts(
        {
            "label": "Predicted",
            "value": people.predicted,
            "detail": f"{outcome['definition']}. A calibrated probability.",
        },
        {
            "label": "For whom",
            "value": people.who,
            "detail": f"Developed on {count(about['people'])} people of {span(about['cycles'])} ({count(about['cases'])} cases, "
            f"weighted share {percent(about['prevalence'])}); tested on {count(mine.n)} people of "
            f"{span(about['held_out'])} ({cases}) who had no part in development. {people.weighting}",
        },
        style="lead",
    )
    cards = [_discrimination(run, mine), _calibration(run), _drivers(run), _magnesium(run), *_checks(run), not_for()]
    blocks: list[Block] = [
        told,
        facts(*cards, style="cards"),
        text(
            people.horizon,
            "Unless another level is stated, intervals are 95 % confidence intervals that follow the survey design.",
        ),
        text(GAUGE),
    ]
    return SUMMARY.of(blocks)


def limits(run: RunFolder) -> Section:
    """Describe what the run must not be used for."""
    outcome = run.cohort.outcome
    blocks: list[Block] = [
        callout(outcome.warning, tone="warning"),
        cautions(f"{population(run).made_on}, in the eligibility of the attrition table"),
    ]
    return LIMITS.of(blocks)


def _discrimination(run: RunFolder, mine: MetricRecord) -> dict[str, Any]:
    lines = []
    detail = f"{model_label(run.winner)}. AUROC is the probability that a person with the outcome has a higher predicted risk than a person without it."
    theirs = run.evaluation.where(set=mine.set, model=SCORE, metric="auroc", group="all").rows
    gap = run.differences.where(set=mine.set, model=run.winner, metric="auroc", reference=SCORE).rows
    if theirs:
        lines.append({"term": f"{model_label(SCORE)}, same people", "value": interval(theirs[0])})
    if gap:
        lines.append({"term": "Difference, paired", "value": interval(gap[0], signed=True)})
        detail = f"{compare(gap[0])} {compare_net_benefit(net_benefits(run, mine.set))}".strip()
    return {
        "label": f"Discrimination: AUROC, {span(run.about['held_out'])}",
        "value": number(mine.estimate),
        "range": _range(mine, digits=3),
        "gauge": _gauge(mine, start=0.5, end=1.0, marks=[record.estimate for record in theirs]),
        "lines": lines,
        "detail": detail,
    }


def _calibration(run: RunFolder) -> dict[str, Any]:
    found = {
        metric: run.evaluation.one(model=run.winner, set=run.held_out_name, metric=metric)
        for metric in ("observed_expected", "calibration_slope", "ici")
    }
    ratio = found["observed_expected"]
    return {
        "label": "Calibration: observed / expected cases",
        "value": number(ratio.estimate, digits=2),
        "range": _range(ratio, digits=2),
        "gauge": _gauge(ratio, start=0.0, end=2.0, marks=[1.0]),
        "lines": [
            {"term": "Calibration slope (ideal 1)", "value": interval(found["calibration_slope"], digits=2)},
            {"term": "Integrated calibration index", "value": interval(found["ici"], digits=1, share=True)},
        ],
        "detail": _calibration_words(found["calibration_slope"], ratio),
    }


def _gauge(record: Estimated, *, start: float, end: float, marks: Sequence[float | None]) -> dict[str, Any] | None:
    """Return an estimate with its interval and marks to compare it with, as percent of a scale; None without them."""
    if record.low is None or record.high is None or record.estimate is None:
        return None

    def place(value: float) -> float:
        return round(100.0 * min(max((value - start) / (end - start), 0.0), 1.0), 2)

    return {
        "low": place(record.low),
        "estimate": place(record.estimate),
        "high": place(record.high),
        "marks": [place(mark) for mark in marks if mark is not None],
    }


def _calibration_words(slope: Estimated, ratio: Estimated) -> str:
    wrong = [word for word, record in (("slope", slope), ("ratio", ratio)) if not record.holds(1.0)]
    if wrong:
        return f"Evidence of miscalibration: the interval of the {' and that of the '.join(wrong)} excludes 1."
    return "No evidence of miscalibration; the intervals show how large an error remains possible."


def _drivers(run: RunFolder) -> dict[str, Any]:
    records = importance_records(run)
    most = records[0].importance
    return {
        "label": f"Most important of {len(records)} features",
        "value": ", ".join(record.label for record in records[:2]) if most else "Nothing: everybody has the same risk",
        "lines": [
            {
                "term": f"{record.label}{_arrow(record)}",
                "value": number(record.importance, digits=2),
                "bar": round(100.0 * record.importance / (most or 1.0)),
            }
            for record in records[:5]
        ],
        "detail": "Mean |SHAP value|, log-odds: how the model uses its inputs, not what causes diabetes.",
    }


def _arrow(record: Importance) -> str:
    direction = record.direction
    return "" if direction is None or abs(direction) <= CLEAR else f"{NBSP}{'↑' if direction > 0 else '↓'}"


def _magnesium(run: RunFolder) -> dict[str, Any]:
    """Return what magnesium does: in prediction by this model, and beside it in association, where that was estimated."""
    places = [(place, record) for place, record in enumerate(group_records(run), start=1)]
    mine = next(((place, record) for place, record in places if record.group == MAGNESIUM), None)
    lines = []
    if mine:
        term = "Prediction: mean |SHAP value| of all magnesium features, log-odds"
        lines.append({"term": term, "value": number(mine[1].importance, digits=2)})
    lines += [
        {
            "term": "Prediction: AUROC with magnesium minus without, held-out",
            "value": interval(gain, digits=4, signed=True),
        }
        for gain in held_out_gain(run)
    ]
    told = headline(run)
    lines += told.lines if told else []
    controls = f"{told.of_controls} " if told and told.of_controls else ""
    no_effect = (
        "Neither the prediction nor the association is the effect of eating more magnesium; no effect was estimated."
        if told
        else "The prediction is not the effect of eating more magnesium; neither an association nor an effect was estimated."
    )
    return {
        "label": "Magnesium in prediction and association",
        "value": f"Rank {mine[0]} of {len(places)} groups of features" if mine else "Not in this model",
        "lines": lines,
        "detail": f"{controls}{no_effect}",
    }


def _checks(run: RunFolder) -> list[dict[str, Any]]:
    """Return the card of the checks that have findings; nothing where the run has no checks yet."""
    if not run.has(names.CHECKS):
        return []
    records = run.checks
    found = [record for record in records if record.passed is False]
    return [
        {
            "label": "Failed checks",
            "value": f"{len(found)} of {len(records)}",
            "tone": "warning" if found else "",
            "items": [f"{record.title} ({record.id})" for record in found[:NAMED]],
            "detail": f"{f'And {len(found) - NAMED} more. ' if len(found) > NAMED else ''}Findings are under Checks.",
        }
    ]


def not_for() -> dict[str, Any]:
    """Return the card of the first screen that says what not to do."""
    return {
        "label": "What not to use it for",
        "value": "Research only",
        "tone": "warning",
        "lines": [],
        "items": [
            "Diagnosis: it is not a medical device and does not replace a blood test.",
            "Advice on diet or supplements: a SHAP value is not an effect.",
            "People unlike the development cohort: validate and recalibrate first.",
        ],
    }


def _range(record: MetricRecord, *, digits: int) -> str:
    if record.low is None or record.high is None:
        return "interval not estimable"
    return f"{number(record.low, digits=digits)} to {number(record.high, digits=digits)}"


SUMMARY = ReportSection("summary", "In short", summary)
LIMITS = ReportSection("limits", "What not to use it for", limits, folded=True)

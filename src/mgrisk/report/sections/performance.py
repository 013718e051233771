"""Section on performance: every model on the held-out people, beside the same cross-validated in development.

Metrics and paired differences; curves; classification at risk thresholds; groups of people; published risk scores.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Final

from mgrisk.cohort.select import HELD_OUT
from mgrisk.evaluate.assess import CONTROLS, CROSS_VALIDATED, EVERYBODY
from mgrisk.evaluate.metrics import RANK_METRICS
from mgrisk.evaluate.records import DifferenceRecord, MetricRecord
from mgrisk.report.blocks import Block, Section, callout, column, grid, raw_records, row, section, table, text
from mgrisk.report.formats import count, interval, model_label, percent, span
from mgrisk.report.sections import ReportSection
from mgrisk.report.sections.candidates import not_bundled
from mgrisk.report.sections.performance_figures import (
    calibration_figure,
    decision_figure,
    no_calibration,
    precision_recall_figure,
    roc_figure,
    set_label,
)
from mgrisk.report.sections.risk_scores import HELD_OUT_AND_AGAIN, score_blocks
from mgrisk.report.sections.subgroups import groups_figure, groups_table
from mgrisk.report.sections.thresholds import threshold_slider, thresholds_table
from mgrisk.run_folder import names
from mgrisk.run_folder.folder import RunFolder

FAIR: Final = (
    "Discrimination of the published score is that of its points. Its other metrics use the risk that the points "
    "correspond to in the development set (recalibrated). Its published cut-off is another threshold than those of "
    "the model, and classification there looks worse for that reason alone."
)
AGAIN: Final = "cross-validated"
SCORE: Final = "ada"
RECALIBRATED: Final = f"{SCORE}:logistic"
# Metric, label, digits, shown as a percentage. What is better stands in the label where it is not obvious.
METRICS: Final[tuple[tuple[str, str, int, bool], ...]] = (
    ("auroc", "AUROC", 3, False),
    ("auprc", "Average precision (AUPRC)", 3, False),
    ("brier", "Brier score", 4, False),
    ("brier_scaled", "Scaled Brier score", 1, True),
    ("log_loss", "Log loss, nats", 4, False),
    ("calibration_intercept", "Calibration intercept (ideal 0)", 2, False),
    ("calibration_slope", "Calibration slope (ideal 1)", 2, False),
    ("observed_expected", "Observed / expected cases (ideal 1)", 2, False),
    ("ici", "Integrated calibration index (ICI)", 2, True),
    ("e50", "E50: median calibration error", 2, True),
    ("e90", "E90: 90th percentile of calibration error", 2, True),
)
DIFFERENCES: Final = {
    "auroc": ("AUROC", 3, 1),
    "auprc": ("Average precision (AUPRC)", 3, 1),
    "log_loss": ("Log loss, nats (below 0 is better)", 4, 1),
    "net_benefit@0.05": ("Net benefit at 5 %, true positives per 1,000 people", 1, 1000),
    "net_benefit@0.1": ("Net benefit at 10 %, true positives per 1,000 people", 1, 1000),
}


def performance(run: RunFolder) -> Section:
    """Describe performance on the held-out people, with what cross-validation says of the same beside it."""
    name = run.held_out_name
    first, again = (run.evaluation.one(model=run.winner, set=each, metric="auroc") for each in (name, CROSS_VALIDATED))
    df = [int(run.curves.sets[each][run.winner]["roc"]["df"]) for each in (name, CROSS_VALIDATED)]
    models = models_of(run, name)
    fewer = run.evaluation.where(set=name, group=CONTROLS, model=run.winner).rows
    notes = [
        *([FAIR] if RECALIBRATED in models else []),
        *(
            f"Without people with prediabetes among the controls {count(each.n)} people remain. This raises the "
            "AUROC of any model, because the controls most similar to cases are excluded. It is for comparison "
            "with publications that exclude them, not a measure of performance in practice."
            for each in fewer
        ),
        "ICI, E50 and E90 are distances between the predicted risk and the smooth calibration curve, in percentage "
        "points. They are above 0 even for a well-calibrated model, because the smooth curve has error too. Their "
        "intervals are valid for a miscalibrated model and too high for a calibrated one.",
    ]
    rows = [*_rows(run, models), *_without_prediabetes(run, models)]
    blocks: list[Block] = [
        text(
            f"Held-out: {count(first.n)} people of {span(run.about['held_out'])} with {count(first.events)} cases; "
            "none of them was used for fitting, tuning, calibration or imputation. Cross-validated: "
            f"{count(again.n)} development people with {count(again.events)} cases; the risk of each comes from a "
            "model and a calibrator fitted without their fold. The settings were chosen on the same folds, so "
            "cross-validated numbers are slightly optimistic. All models are evaluated on the same people.",
            "The 95 % intervals are from the jackknife: each metric is recomputed with one primary sampling unit "
            f"(PSU) left out at a time, and the t distribution has {df[0]} degrees of freedom ({df[1]} "
            "cross-validated). Those of E50 and E90, which are quantiles, are from a bootstrap of PSUs; single "
            "rows are never resampled.",
        ),
        *not_bundled(run),
        table(f"{SECTION.name}-metrics", f"Metrics, {HELD_OUT_AND_AGAIN}", _columns(run, models), rows, notes=notes),
        *_difference_blocks(run),
    ]
    label = set_label(name)
    parts = [
        section(f"{SECTION.name}-curves", "Discrimination, calibration and net benefit", [grid(_curves(run, models))]),
        section(
            f"{SECTION.name}-thresholds",
            "Classification at a risk threshold",
            [
                threshold_slider(run, name, label),
                thresholds_table(run, HELD_OUT, name, label),
                thresholds_table(run, AGAIN, CROSS_VALIDATED, set_label(CROSS_VALIDATED), folded=True),
            ],
        ),
        section(
            f"{SECTION.name}-groups",
            "Performance by subgroup",
            [
                groups_figure(run, HELD_OUT, name, label),
                groups_table(run, AGAIN, CROSS_VALIDATED, set_label(CROSS_VALIDATED), folded=True),
            ],
        ),
        section(f"{SECTION.name}-scores", "Published risk scores", score_blocks(run, f"{SECTION.name}-scores")),
    ]
    return SECTION.of(blocks, heading=f"{SECTION.heading}, held-out {span([name])}", sections=parts)


def _curves(run: RunFolder, models: list[str]) -> list[Block]:
    """Return the figures in pairs: held-out, and cross-validated beside it without saying it all again."""
    found = []
    ranking = [ranked_by(model) for model in models]
    kinds: tuple[Callable[[str, str], Block], ...] = (
        lambda name, of: roc_figure(run, name, of, ranking),
        lambda name, of: precision_recall_figure(run, name, of, ranking),
        lambda name, of: _calibration(run, name, of),
        lambda name, of: decision_figure(run, name, of, models),
    )
    for make in kinds:
        for name, of in ((HELD_OUT, run.held_out_name), (AGAIN, CROSS_VALIDATED)):
            drawn = make(name, of)
            if name == AGAIN and drawn["kind"] == "figure":
                drawn["caption"] = "The same for the development people, cross-validated."
            found.append(drawn)
    return found


def _calibration(run: RunFolder, name: str, set_name: str) -> Block:
    if problem := no_calibration(run, set_name, run.winner):
        return callout(f"No calibration curve, {set_label(set_name)}: failed, because {problem}.", tone="warning")
    return calibration_figure(run, name, set_name, run.winner)


def compare(record: DifferenceRecord) -> str:
    """Say in words what a paired difference with its interval shows, and no more."""
    mine, theirs = model_label(record.model), model_label(record.reference)
    low, high = record.low, record.high
    if low is None or high is None:
        return f"These data cannot tell whether {mine} discriminates better than the {theirs}."
    if low > 0:
        return f"{mine} discriminates better than the {theirs}."
    if high < 0:
        return f"{mine} discriminates worse than the {theirs}."
    return f"There is no evidence that {mine} discriminates better or worse than the {theirs}."


def net_benefits(run: RunFolder, set_name: str) -> list[DifferenceRecord]:
    """Return the net benefit of the chosen model minus that of the recalibrated score, by risk threshold."""
    found = run.differences.where(set=set_name, group="all", model=run.winner, reference=RECALIBRATED)
    return [record for record in found if record.metric in DIFFERENCES and record.metric.startswith("net_benefit")]


def compare_net_benefit(records: Sequence[DifferenceRecord]) -> str:
    """Say what the net benefit is beside that of the recalibrated score, and where no difference is shown."""
    said = []
    for record in records:
        _, digits, factor = DIFFERENCES[record.metric]
        at = percent(float(record.metric.partition("@")[2]), digits=0)
        unclear = "" if record.excludes(0.0) else ", no evidence of a difference"
        said.append(f"{interval(record.times(factor), digits=digits, signed=True)} at a threshold of {at}{unclear}")
    return f"Net benefit per 1,000 people minus that of the recalibrated score: {'; '.join(said)}." if said else ""


def _difference_blocks(run: RunFolder) -> list[Block]:
    held_out, again = (
        run.differences.where(set=each, group="all", model=run.winner) for each in (run.held_out_name, CROSS_VALIDATED)
    )
    if not len(held_out):
        return [callout(f"{names.DIFFERENCES} has no difference for the held-out people.", tone="warning")]
    beside = {(record.metric, record.reference): record for record in again}
    rows = []
    for metric, (label, digits, factor) in DIFFERENCES.items():
        for record in held_out.where(metric=metric):
            if metric in RANK_METRICS and record.reference == RECALIBRATED:
                continue
            other = beside.get((metric, record.reference))
            cells = [
                "–" if each is None else interval(each.times(factor), digits=digits, signed=True)
                for each in (record, other)
            ]
            first = f"{model_label(record.model)} minus {_reference(str(record.reference))}"
            rows.append(row([first, label, *cells], {**vars(record), AGAIN: vars(other) if other else None}))
    columns = [
        column("Difference", numeric=False),
        column("Metric", numeric=False),
        column("Held-out (95 % interval)"),
        column("Cross-validated"),
    ]
    found = held_out.where(metric="auroc", reference=SCORE).rows
    caption = "Paired differences on the same people and replicates"
    return [
        table(f"{SECTION.name}-differences", caption, columns, rows),
        *(text(compare(record), compare_net_benefit(net_benefits(run, run.held_out_name))) for record in found),
    ]


def _reference(name: str) -> str:
    return "treat all" if name == EVERYBODY else model_label(name)


def ranked_by(model: str) -> str:
    """Return whose ranking is a model's: the recalibrated score has that of its points, which no fold is left out of."""
    return SCORE if model == RECALIBRATED else model


def _with_curves(run: RunFolder, set_name: str) -> list[MetricRecord]:
    # Published scores other than the reference, which has curves too, stand in tables of their own.
    curves = run.curves.sets[set_name]
    return [record for record in run.evaluation.where(set=set_name, group="all") if record.model in curves]


def models_of(run: RunFolder, set_name: str) -> list[str]:
    """Return the models of a run that give risks, and the recalibrated score; the chosen one first."""
    found = dict.fromkeys(record.model for record in _with_curves(run, set_name) if record.metric == "brier")
    return sorted(found, key=lambda model: model != run.winner)


def _columns(run: RunFolder, models: list[str]) -> list[dict[str, Any]]:
    named = [
        column(
            f"{model_label(model)} (chosen)" if model == run.winner else model_label(model),
            marked=model == run.winner,
        )
        for model in models
    ]
    return [column("Metric", numeric=False), *named]


def _rows(run: RunFolder, models: list[str]) -> list[dict[str, Any]]:
    sets = [_with_curves(run, each) for each in (run.held_out_name, CROSS_VALIDATED)]
    found = []
    for metric, label, digits, share in METRICS:
        of = [ranked_by(model) if metric in RANK_METRICS else model for model in models]
        for place, records in enumerate(sets):
            by_model = {record.model: record for record in records if record.metric == metric}
            if by_model:
                cells = [
                    interval(by_model[model], digits=digits, share=share) if model in by_model else "–" for model in of
                ]
                raw = {"metric": metric, "set": records[0].set, "models": raw_records(by_model)}
                found.append(row([AGAIN if place else label, *cells], raw, level=place))
    return found


def _without_prediabetes(run: RunFolder, models: list[str]) -> list[dict[str, Any]]:
    """Return the rows of AUROC without prediabetes among the controls, where the outcome says what that is."""
    rows = []
    for place, set_name in enumerate((run.held_out_name, CROSS_VALIDATED)):
        found = {record.model: record for record in run.evaluation.where(set=set_name, group=CONTROLS)}
        if found:
            first = AGAIN if place else "AUROC without people with prediabetes among the controls"
            cells = [interval(found[ranked_by(model)]) for model in models]
            rows.append(row([first, *cells], {"models": raw_records(found)}, pale=True, level=place))
    return rows


SECTION = ReportSection("performance", "Performance", performance)

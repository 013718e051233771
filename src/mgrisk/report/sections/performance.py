"""Sections on performance: metrics, curves, thresholds and subgroups of the models, beside published scores.

For each set of people: ROC curve, calibration with groups and histogram, decision curve; the table of risk thresholds;
the chosen model in each group; and published risk scores with their discrimination, calibration as published and
recalibrated, and published cuts.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Final

import numpy as np

from mgrisk.cohort.select import DEVELOPMENT, HELD_OUT
from mgrisk.evaluate.assess import CONTROLS, CROSS_VALIDATED, EVERYBODY, MISSING
from mgrisk.evaluate.metrics import RANK_METRICS
from mgrisk.evaluate.records import DifferenceRecord, Interval, MetricRecord, ThresholdRecord
from mgrisk.report.blocks import Block, Section, bullets, callout, column, figure, row, table, text
from mgrisk.report.formats import count, interval, level_label, model_label, number, percent, span
from mgrisk.report.population import population
from mgrisk.report.sections import ReportSection
from mgrisk.run_folder import names
from mgrisk.run_folder.folder import RunFolder
from mgrisk.run_folder.records import PublishedFigures, ScoreRecord
from mgrisk.types import Floats, Integers, JsonRecord

ROC_POINTS: Final = 240
FAIR: Final = (
    "The published score ranks by its points. Whatever needs a risk is of the risk that its points stand for in the "
    "development set (recalibrated): acting at its published cut is acting at another threshold, and loses for that alone."
)
READ_AT: Final = (0.05, 0.1, 0.2, 0.3, 0.4, 0.5)
HISTOGRAM_EDGES: Final = np.geomspace(0.001, 0.5, 26)  # even on the logarithmic axis of the figure


def roc_figure(run: RunFolder, name: str, set_name: str, models: list[str]) -> Block:
    """Return the ROC curves of all models of a set."""
    curves, read = [], {}
    for model in models:
        found = run.curves.sets[set_name][model]["roc"]
        x = np.array(found["false_positive_rate"], dtype=np.float64)
        y = np.array(found["sensitivity"], dtype=np.float64)
        kept = _thin(x, y, ROC_POINTS)
        auroc = run.evaluation.one(model=model, set=set_name, metric="auroc")
        curves.append(
            {
                "model": model,
                "label": f"{model_label(model)} {interval(auroc)}",
                "chosen": model == run.winner,
                "x": x[kept].tolist(),
                "y": y[kept].tolist(),
            }
        )
        read[model] = np.interp(READ_AT, x, y)
    rows = [
        row(
            [percent(at, digits=0), *(percent(float(read[model][place])) for model in models)],
            {"false_positive_rate": at, **{model: float(read[model][place]) for model in models}},
        )
        for place, at in enumerate(READ_AT)
    ]
    columns = [column("False positives among the others"), *(column(model_label(model)) for model in models)]
    return figure(
        f"{name}-roc",
        "roc",
        f"ROC curves, {_set_label(set_name)}",
        caption="Weighted sensitivity against weighted false positive rate; AUROC with 95 % interval in the legend. "
        "The published score takes few values, so that its curve has corners.",
        alt=f"ROC curves of {', '.join(model_label(model) for model in models)}; "
        + "; ".join(f"AUROC {curve['label']}" for curve in curves),
        data={"curves": curves},
        behind=table(f"{name}-roc-table", "Sensitivity at false positive rates", columns, rows),
    )


def calibration_figure(run: RunFolder, name: str, set_name: str) -> Block:
    """Return the calibration of the chosen model: smooth curve with band, tenths, and who has which risk."""
    curves = run.curves.sets[set_name][run.winner]
    smooth, groups = curves["calibration"], curves["calibration_groups"]
    rows = []
    for place in range(len(groups["group"])):
        raw = {key: values[place] for key, values in groups.items() if isinstance(values, list)}
        observed = Interval(raw["observed"], raw["low"], raw["high"], "no cases")
        cells = [
            count(raw["group"]), count(raw["n"]), count(raw["events"]),
            percent(raw["predicted"], digits=2), interval(observed, digits=2, share=True),
        ]  # fmt: skip
        rows.append(row(cells, raw))
    columns = [
        column("Tenth"),
        column("People"),
        column("Cases"),
        column("Predicted"),
        column("Observed (95 % interval)"),
    ]
    picked = ("calibration_intercept", "calibration_slope", "observed_expected")
    shown = [run.evaluation.one(model=run.winner, set=set_name, metric=m) for m in picked]
    words = ("intercept", "slope", "observed/expected")
    said = ", ".join(f"{word} {interval(record, digits=2)}" for word, record in zip(words, shown, strict=True))
    return figure(
        f"{name}-calibration",
        "calibration",
        f"Calibration of {model_label(run.winner)}, {_set_label(set_name)}",
        caption="Observed against predicted risk, both on logarithmic axes; the dashed line is perfect calibration. "
        "Line: weighted logistic regression on a spline of the predicted log-odds, from the 1st to the 99th percentile "
        "of risk, with a pointwise 95 % band from the jackknife over PSUs. Points: tenths of the population with 95 % "
        "intervals; a triangle at the lower edge is a tenth without any case. Below: share of the cases and of the "
        f"others in each range of risk. {said[0].upper()}{said[1:]}.",
        alt=f"Calibration curve of {model_label(run.winner)}: {said}",
        data={
            "smooth": {key: smooth[key] for key in ("risk", "observed", "low", "high")},
            "groups": {key: groups[key] for key in ("predicted", "observed", "low", "high")},
            "histogram": _histogram(run, set_name),
        },
        behind=table(f"{name}-calibration-table", "Calibration in tenths of the population", columns, rows),
    )


def decision_figure(run: RunFolder, name: str, set_name: str, models: list[str]) -> Block:
    """Return the decision curves of the models and of the recalibrated score."""
    found = {model: run.curves.sets[set_name][model]["decision"] for model in models}
    chosen = found[run.winner]
    rows = []
    for place, threshold in enumerate(chosen["threshold"]):
        cells = [percent(threshold, digits=0)]
        for model in models:
            benefit = Interval(*(found[model][key][place] for key in ("model", "low", "high")))
            cells.append(interval(benefit.times(1000), digits=1))
        cells.append(number(1000 * chosen["all"][place], digits=1))
        raw = {model: {key: found[model][key][place] for key in ("model", "low", "high")} for model in models}
        rows.append(row(cells, {"threshold": threshold, "all": chosen["all"][place], **raw}))
    columns = [column("Threshold"), *(column(model_label(model)) for model in models), column("Treat all")]
    return figure(
        f"{name}-decision",
        "decision",
        f"Decision curve, {_set_label(set_name)}",
        caption="Net benefit of classification at a risk threshold, as true positives per 1,000 people after paying for "
        "false positives at the threshold's odds; beside treat all and treat none. Band: pointwise 95 % interval of the "
        f"chosen model. A model is of use where its curve lies above both lines. {FAIR}",
        alt=f"Decision curves of {', '.join(model_label(model) for model in models)} for thresholds of 1 to 20 %",
        data={
            "threshold": chosen["threshold"],
            "all": chosen["all"],
            "models": [
                {
                    "label": model_label(model),
                    "chosen": model == run.winner,
                    **{k: found[model][k] for k in ("model", "low", "high")},
                }
                for model in models
            ],
        },
        behind=table(
            f"{name}-decision-table", "Net benefit, true positives per 1,000 people (95 % interval)", columns, rows
        ),
    )


def _histogram(run: RunFolder, set_name: str) -> dict[str, Any]:
    people = run.predictions
    people = people[people["set"] == (DEVELOPMENT if set_name == CROSS_VALIDATED else HELD_OUT)]
    edges = HISTOGRAM_EDGES
    # What lies beyond the axis is counted at its edge: nobody vanishes from the picture.
    risk = people[run.winner].to_numpy(dtype=np.float64).clip(edges[0], edges[-1] * (1 - 1e-9))
    shares = {}
    for key, value in (("cases", 1.0), ("others", 0.0)):
        here = people["outcome"].to_numpy(dtype=np.float64) == value
        weight = people["weight"].to_numpy(dtype=np.float64)[here]
        counted = np.histogram(risk[here], bins=edges, weights=weight)[0]
        shares[key] = (counted / max(float(weight.sum()), 1e-300)).tolist()
    return {"edges": edges.tolist(), **shares}


def _thin(x: Floats, y: Floats, wanted: int) -> Integers:
    """Return positions of at most `wanted` points, evenly along the length of the curve, ends among them."""
    if len(x) <= wanted:
        return np.arange(len(x), dtype=np.int64)
    walked = np.concatenate(([0.0], np.cumsum(np.abs(np.diff(x)) + np.abs(np.diff(y)))))
    places = np.searchsorted(walked, np.linspace(0.0, walked[-1], wanted))
    return np.unique(np.concatenate(([0], places.clip(0, len(x) - 1), [len(x) - 1]))).astype(np.int64)


def _set_label(set_name: str) -> str:
    return "cross-validated" if set_name == CROSS_VALIDATED else f"held-out {span([set_name])}"


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


def thresholds_table(run: RunFolder, name: str, set_name: str, label: str) -> Block:
    """Return what classification at risk thresholds comes to: the chosen model, the score recalibrated and at its cut."""
    records = run.thresholds.where(set=set_name)
    scores = dict.fromkeys(record.model for record in records if record.model not in run.tuning.models)
    rows = []
    for model in (run.winner, *scores):
        mine = records.where(model=model)
        points = not mine.where(metric="net_benefit")
        rows.append(row([model_label(model), *("" for _ in ACTED)], {"model": model}))
        for rule in dict.fromkeys(record.rule for record in mine):
            by_metric = {record.metric: record for record in mine.where(rule=rule)}
            cells = [interval(by_metric[key], digits=digits, share=share) for key, _, digits, share in ACTED]
            first = _rule_label(next(iter(by_metric.values())), points=points)
            rows.append(row([first, *cells], {"rule": rule, "metrics": _raw(by_metric)}, level=1))
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


def groups_table(run: RunFolder, name: str, set_name: str, label: str) -> Block:
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
        f"{model_label(run.winner)} in groups of people, {label} (95 % intervals)",
        [column("Group", numeric=False), *columns],
        rows,
        notes=[
            "Each group is a domain of the whole design. Greyed: by the data presentation standards of NCHS (Parker et "
            "al. 2017) the share of cases in the group would not be printed; read the rest of its row likewise. An asterisk "
            "marks single numbers that the standards keep back.",
        ],
    )


def _group_row(records: Sequence[MetricRecord], level: str) -> dict[str, Any]:
    by_metric = {record.metric: record for record in records if record.level == level}
    first = next(iter(by_metric.values()))
    title = "Not known" if level == MISSING else level_label(level)
    problem = first.problem
    if problem == UNASKED:
        # As race may be in a file of one's own.
        cells = ["not asked", *("" for _ in range(1 + len(IN_GROUPS)))]
        return row([title, *cells], {"level": level, "metrics": _raw(by_metric)}, level=1, pale=True)
    if not first.n:
        cells = [count(0), count(0), *(problem for _ in IN_GROUPS)]
        return row([title, *cells], {"level": level, "metrics": _raw(by_metric)}, level=1, pale=True)
    cells = [
        interval(by_metric[key], digits=digits, share=share) + ("*" if _suppressed(by_metric[key]) else "")
        for key, _, digits, share in IN_GROUPS
    ]
    pale = _suppressed(by_metric["prevalence"])
    shown = f"{title} (too few to judge)" if pale else title
    people = [count(first.n), count(first.events)]
    return row([shown, *people, *cells], {"level": level, "metrics": _raw(by_metric)}, level=1, pale=pale)


def _raw(records: Mapping[str, MetricRecord | None]) -> JsonRecord:
    return {key: vars(record) if record else None for key, record in records.items()}


def _suppressed(record: MetricRecord) -> bool:
    return record.presentation.startswith(SUPPRESSED)


def _rule_label(record: ThresholdRecord, *, points: bool) -> str:
    kind, _, value = record.rule.partition(" ")
    at = f"{number(record.threshold, digits=0)} points" if points else f"a risk of {percent(record.threshold)}"
    if kind == "sensitivity":
        return f"From {at}: sensitivity {percent(float(value), digits=0)} in development"
    return f"From {at}" + (", the published cut" if points else "")


ByMetric = Mapping[tuple[str, str], MetricRecord]
"""Records of all people by model and metric."""
SETS: Final = {"held-out": "held-out", "cross-validated": "development"}
CALIBRATION: Final = (
    ("observed_expected", "Observed / expected", 2, False),
    ("calibration_slope", "Slope", 2, False),
    ("ici", "ICI", 2, True),
    ("brier_scaled", "Scaled Brier score", 1, True),
)


def score_blocks(run: RunFolder, name: str, set_name: str) -> list[Block]:
    """Return the tables of the published scores on one set, and why others are not in them.

    Parameters
    ----------
    files
        The run folder.
    name
        ``held-out`` or ``cross-validated``, as the section is called.
    set_name
        Name of the set in records.
    """
    scores = [score for score in run.scores if score.evaluated]
    records = {(record.model, record.metric): record for record in run.evaluation.where(set=set_name, group="all")}
    left_out = [f"{score.label}: {score.problem}." for score in run.scores if not score.evaluated]
    blocks = [_ranking(run, name, set_name, scores, records), _calibration(name, scores, records)]
    if cuts := list(_at_cuts(scores, records)):
        columns = ["Score", "Figure", "Here", "Published", "Published for"]
        blocks.append(
            table(
                f"{name}-score-cuts",
                "Published scores at their published cuts, here and in the people they were published for",
                [column(label, numeric=label == "Here") for label in columns],
                cuts,
                notes=["Other people, other outcomes and other years: they need not agree."],
            )
        )
    return [*blocks, *([bullets(*left_out)] if left_out else [])]


def _ranking(run: RunFolder, name: str, set_name: str, scores: list[ScoreRecord], records: ByMetric) -> Block:
    differences = {
        (record.model, record.reference): record
        for record in run.differences.where(set=set_name, group="all", metric="auroc")
    }
    rows = []
    for score in scores:
        found = records[score.name, "auroc"]
        less = differences.get((score.name, run.winner))
        published = "; ".join(f"{row.auroc} ({row.people})" for row in score.published if row.auroc)
        cells = [
            score.label,
            interval(found),
            interval(less, signed=True) if less else "",
            percent((score.sets or {})[SETS[name]].unanswered),
            published or "not found",
        ]
        rows.append(row(cells, {"auroc": vars(found), "difference": vars(less) if less else None}))
    columns = [
        column("Score", numeric=False),
        column("AUROC (95 % interval)"),
        column(f"Less {model_label(run.winner)}, paired"),
        column("With an unanswered item"),
        column("AUROC published", numeric=False),
    ]
    notes = [
        "An item without an answer counts nothing, as a blank on a paper form does. What each score asks, what NHANES "
        "does not ask of it and how its answers were matched is in "
        f"{names.SCORES}.",
        *population(run).scores_of_later,
    ]
    return table(f"{name}-scores", "Published risk scores on the same people: ranking", columns, rows, notes=notes)


def _calibration(name: str, scores: list[ScoreRecord], records: ByMetric) -> Block:
    rows = []
    for score in scores:
        variants = [score.name, *(f"{score.name}:{kind}" for kind in ("published", "intercept", "logistic"))]
        for model in variants:
            found = {metric: records.get((model, metric)) for metric, *_ in CALIBRATION}
            if any(found.values()):
                cells = [
                    interval(record, digits=digits, share=share) if (record := found[metric]) else ""
                    for metric, _, digits, share in CALIBRATION
                ]
                rows.append(row([model_label(model), *cells], {"model": model, **_raw(found)}))
    columns = [column("Score", numeric=False), *(column(label) for _, label, _, _ in CALIBRATION)]
    notes = [
        "As published, then recalibrated on the development set: by the intercept alone, and by intercept and slope. "
        "People of the development set have risks of which the recalibration had not seen their fold."
    ]
    caption = "Published risk scores on the same people: calibration"
    return table(f"{name}-score-calibration", caption, columns, rows, notes=notes, folded=True)


def _at_cuts(scores: list[ScoreRecord], records: ByMetric) -> Iterator[dict[str, Any]]:
    for score in scores:
        published = [each for each in score.published if each.cut is not None]
        if score.high is not None and score.high not in [each.cut for each in published]:
            published.insert(0, PublishedFigures("not found", "", score.high))
        for each in published:
            cut = number(each.cut, digits=0 if score.kind == "points" else 3)
            for metric, label in (("sensitivity", "sensitivity"), ("specificity", "specificity")):
                record = records.get((score.name, f"{metric}@{each.cut:g}"))
                if record:
                    whom = ", ".join(part for part in (each.people, each.outcome) if part)
                    cells = [
                        f"{score.label}, from {cut}", label, interval(record, digits=2), getattr(each, metric), whom,
                    ]  # fmt: skip
                    yield row(cells, {"record": vars(record), "published": vars(each)})


SCORE: Final = "ada"
RECALIBRATED: Final = f"{SCORE}:logistic"
# Metric, label, digits, shown as a percentage. What is better stands in the label where it is not obvious.
METRICS: Final[tuple[tuple[str, str, int, bool], ...]] = (
    ("auroc", "AUROC", 3, False),
    ("auprc", "Average precision (AUPRC)", 3, False),
    ("brier", "Brier score", 4, False),
    ("brier_scaled", "Scaled Brier score", 1, True),
    ("log_loss", "Log loss, nats", 4, False),
    ("calibration_intercept", "Calibration intercept (0 is right)", 2, False),
    ("calibration_slope", "Calibration slope (1 is right)", 2, False),
    ("observed_expected", "Observed / expected cases (1 is right)", 2, False),
    ("ici", "ICI: mean calibration error", 2, True),
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


def held_out(run: RunFolder) -> Section:
    """Describe performance on the held-out cycle, which nothing was fitted, tuned or calibrated on."""
    name = run.held_out_name
    intro = (
        f"Nobody of {span(run.about['held_out'])} was used for fitting, tuning, calibration or imputation. "
        "All models are evaluated on the same people."
    )
    return HELD_OUT_CYCLE.of(
        _performance(run, HELD_OUT_CYCLE.name, name, intro), heading=f"{HELD_OUT_CYCLE.heading} {span([name])}"
    )


def cross_validated(run: RunFolder) -> Section:
    """Describe cross-validated performance in the development set."""
    intro = (
        "Risks of development people from models and calibrations that had not seen them. The settings of the winner "
        "were chosen on these same folds, so that these numbers flatter slightly; the held-out cycle does not."
    )
    return DEVELOPMENT_CYCLES.of(_performance(run, DEVELOPMENT_CYCLES.name, CROSS_VALIDATED, intro))


def _performance(run: RunFolder, name: str, set_name: str, intro: str) -> list[Block]:
    curves = run.curves.sets[set_name]
    # Published scores other than the reference, which has curves too, stand in tables of their own.
    records = [
        record
        for record in run.evaluation
        if record.set == set_name and record.group == "all" and record.model in curves
    ]
    first = run.evaluation.one(model=run.winner, set=set_name, metric="auroc")
    df = int(curves[run.winner]["roc"]["df"])
    how = (
        f"Intervals are 95 %: every metric recomputed with each set of jackknife weights, leaving out one primary "
        f"sampling unit (PSU) at a time, on t with {df} degrees of freedom; E50 and E90, which are quantiles, with those "
        "of a bootstrap of PSUs. Never a bootstrap of rows."
    )
    models = _models(run, records)
    fewer = run.evaluation.where(set=set_name, group=CONTROLS, model=run.winner).rows
    notes = [
        *([FAIR] if RECALIBRATED in models else []),
        *(
            f"Without people with prediabetes among the controls {count(each.n)} people are left. That raises the AUROC of "
            "any model, because the controls nearest to cases are gone: a figure to compare with publications that leave "
            "them out, and no measure of use among people as they come."
            for each in fewer
        ),
        "ICI, E50 and E90 are distances between the predicted risk and the smooth calibration curve, in percentage "
        "points.",
        "Such a distance is never 0, not even of a model that is right: the smooth curve errs too. Its interval holds for "
        "a model that is off, and errs upward for one that is not.",
    ]
    blocks: list[Block] = [
        text(intro, f"{count(first.n)} people, {count(first.events)} cases.", how),
        table(
            f"{name}-metrics",
            f"Metrics, {_set_title(set_name)}",
            _columns(run, models),
            [*_rows(records, models), *_without_prediabetes(run, set_name, models)],
            notes=notes,
        ),
        *_difference_blocks(run, name, set_name),
        roc_figure(run, name, set_name, [_ranked_by(model) for model in models]),
        _unless_failed(
            "calibration curve",
            curves[run.winner],
            ("calibration", "calibration_groups"),
            lambda: calibration_figure(run, name, set_name),
        ),
        thresholds_table(run, name, set_name, _set_title(set_name)),
        decision_figure(run, name, set_name, models),
        groups_table(run, name, set_name, _set_title(set_name)),
        *score_blocks(run, name, set_name),
    ]
    return blocks


def _unless_failed(what: str, curves: Mapping[str, Any], needed: Sequence[str], make: Callable[[], Block]) -> Block:
    """Return the figure, or the reason why a curve that it needs could not be made."""
    for name in needed:
        if "problem" in curves[name]:
            return callout(f"No {what}: failed, because {curves[name]['problem']}.", tone="warning")
    return make()


def compare(record: DifferenceRecord) -> str:
    """Say in words what a paired difference with its interval shows, and no more."""
    mine, theirs = model_label(record.model), model_label(record.reference)
    low, high = record.low, record.high
    if low is None or high is None:
        return f"Whether {mine} ranks people better than the {theirs} cannot be told from these data."
    if low > 0:
        return f"{mine} ranks these people better than the {theirs}."
    if high < 0:
        return f"{mine} ranks these people worse than the {theirs}."
    return f"The data do not show that {mine} ranks people better, or worse, than the {theirs}."


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
        unclear = "" if record.excludes(0.0) else ", not shown to differ"
        said.append(f"{interval(record.times(factor), digits=digits, signed=True)} at {at}{unclear}")
    return f"Net benefit per 1,000 people minus the recalibrated test's: {'; '.join(said)}." if said else ""


def _difference_blocks(run: RunFolder, name: str, set_name: str) -> list[Block]:
    of_models = run.differences.where(set=set_name, group="all")
    if not any(record.model in run.tuning.models for record in of_models):
        return [callout(f"{names.DIFFERENCES} has no difference for this set.", tone="warning")]
    mine = of_models.where(model=run.winner)
    rows = [
        row(
            [
                f"{model_label(record.model)} less {_reference(str(record.reference))}",
                label,
                interval(record.times(factor), digits=digits, signed=True),
            ],
            vars(record),
        )
        for metric, (label, digits, factor) in DIFFERENCES.items()
        for record in mine
        if record.metric == metric and not (metric in RANK_METRICS and record.reference == RECALIBRATED)
    ]
    columns = [column("Difference", numeric=False), column("Metric", numeric=False), column("Estimate (95 % interval)")]
    found = [record for record in mine if (record.metric, record.reference) == ("auroc", SCORE)]
    caption = f"Paired differences on the same people and replicates, {_set_title(set_name)}"
    notes = [FAIR] if mine.where(reference=RECALIBRATED) else []
    return [
        table(f"{name}-differences", caption, columns, rows, notes=notes),
        *(text(compare(record), compare_net_benefit(net_benefits(run, set_name))) for record in found),
    ]


def _reference(name: str) -> str:
    return "treat all" if name == EVERYBODY else model_label(name)


def _ranked_by(model: str) -> str:
    """Return whose ranking is a model's: the recalibrated score has that of its points, which no fold is left out of."""
    return SCORE if model == RECALIBRATED else model


def _models(run: RunFolder, records: Sequence[MetricRecord]) -> list[str]:
    found = dict.fromkeys(record.model for record in records if record.metric == "brier")
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


def _rows(records: Sequence[MetricRecord], models: list[str]) -> list[dict[str, Any]]:
    found = []
    for metric, label, digits, share in METRICS:
        by_model = {record.model: record for record in records if record.metric == metric}
        if by_model:
            of = [_ranked_by(model) if metric in RANK_METRICS else model for model in models]
            cells = [interval(by_model[model], digits=digits, share=share) for model in of]
            found.append(row([label, *cells], {"metric": metric, "models": _raw(by_model)}))
    return found


def _without_prediabetes(run: RunFolder, set_name: str, models: list[str]) -> list[dict[str, Any]]:
    """Return the row of AUROC without prediabetes among the controls, where the outcome says what that is."""
    found = {record.model: record for record in run.evaluation.where(set=set_name, group=CONTROLS)}
    if not found:
        return []
    cells = [interval(found[_ranked_by(model)]) for model in models]
    return [
        row(["AUROC without people with prediabetes among the controls", *cells], {"models": _raw(found)}, pale=True)
    ]


def _set_title(set_name: str) -> str:
    return "development set, cross-validated" if set_name == CROSS_VALIDATED else f"held-out {span([set_name])}"


HELD_OUT_CYCLE = ReportSection("held-out", "Performance on the held-out cycle", held_out)
DEVELOPMENT_CYCLES = ReportSection("cross-validated", "Performance, cross-validated", cross_validated)

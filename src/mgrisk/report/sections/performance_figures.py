"""Figures of performance: ROC, precision-recall, calibration and decision curves of one set of people."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import numpy as np

from mgrisk.cohort.select import DEVELOPMENT, HELD_OUT
from mgrisk.evaluate.assess import CROSS_VALIDATED
from mgrisk.evaluate.records import Interval
from mgrisk.report.blocks import Block, column, figure, row, table
from mgrisk.report.formats import count, interval, model_label, number, percent, span
from mgrisk.run_folder.folder import RunFolder
from mgrisk.types import Floats, Integers

CURVE_POINTS: Final = 240
FALSE_POSITIVES: Final = (0.05, 0.1, 0.2, 0.3, 0.4, 0.5)
RECALLS: Final = (0.95, 0.9, 0.8, 0.7, 0.6, 0.5)
HISTOGRAM_EDGES: Final = np.geomspace(0.001, 0.5, 26)  # even on the logarithmic axis of the figure


def roc_figure(run: RunFolder, name: str, set_name: str, models: list[str]) -> Block:
    """Return the ROC curves of all models of a set."""
    curves, read = [], {}
    for model in models:
        found = run.curves.sets[set_name][model]["roc"]
        x = np.array(found["false_positive_rate"], dtype=np.float64)
        y = np.array(found["sensitivity"], dtype=np.float64)
        curves.append(_curve(run, set_name, model, "auroc", x, y))
        read[model] = np.interp(FALSE_POSITIVES, x, y).tolist()
    return figure(
        f"{name}-roc",
        "roc",
        f"ROC curves, {set_label(set_name)}",
        caption="Weighted sensitivity against weighted false positive rate; AUROC with 95 % interval in the legend. "
        "The published score takes few values, so its curve has corners.",
        alt=f"ROC curves of {', '.join(model_label(model) for model in models)}; "
        + "; ".join(f"AUROC {curve['label']}" for curve in curves),
        data={"curves": curves},
        behind=table(
            f"{name}-roc-table",
            "Sensitivity at false positive rates",
            *_readings(FALSE_POSITIVES, read, key="false_positive_rate", heading="False positive rate"),
        ),
    )


def precision_recall_figure(run: RunFolder, name: str, set_name: str, models: list[str]) -> Block:
    """Return the precision-recall curves of all models of a set, beside the precision of chance: the share of cases."""
    share = run.evaluation.one(model=run.winner, set=set_name, metric="prevalence").value
    curves, read = [], {}
    for model in models:
        found = run.curves.sets[set_name][model]["roc"]
        recall = np.array(found["sensitivity"], dtype=np.float64)[1:]  # the first point has nobody screen-positive
        false = np.array(found["false_positive_rate"], dtype=np.float64)[1:]
        positive = share * recall + (1.0 - share) * false
        precision = np.divide(share * recall, positive, out=np.zeros_like(recall), where=positive > 0)
        curves.append(_curve(run, set_name, model, "auprc", recall, precision))
        # At the first threshold that finds at least so many of the cases.
        read[model] = [float(precision[np.searchsorted(recall, at).clip(0, len(recall) - 1)]) for at in RECALLS]
    return figure(
        f"{name}-precision-recall",
        "precision_recall",
        f"Precision-recall curves, {set_label(set_name)}",
        caption="Weighted positive predictive value (precision) against weighted sensitivity (recall); average precision "
        f"with 95 % interval in the legend. The dashed line is the share of cases, {percent(share)}, which is the precision expected by chance.",
        alt=f"Precision-recall curves of {', '.join(model_label(model) for model in models)}; "
        + "; ".join(f"average precision {curve['label']}" for curve in curves),
        data={"curves": curves, "chance": share},
        behind=table(
            f"{name}-precision-recall-table",
            "Precision at sensitivities",
            *_readings(RECALLS, read, key="sensitivity", heading="Sensitivity (recall), at least"),
        ),
    )


def _curve(run: RunFolder, set_name: str, model: str, metric: str, x: Floats, y: Floats) -> dict[str, Any]:
    """Return a curve as it is drawn, with the metric in its label."""
    kept = _thin(x, y, CURVE_POINTS)
    found = run.evaluation.one(model=model, set=set_name, metric=metric)
    return {
        "model": model,
        "label": f"{model_label(model)} {interval(found)}",
        "chosen": model == run.winner,
        "x": x[kept].tolist(),
        "y": y[kept].tolist(),
    }


def _readings(
    places: Sequence[float], read: dict[str, list[float]], *, key: str, heading: str
) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Return columns and rows of what was read off the curves, by model, at some places."""
    rows = [
        row([percent(at, digits=0), *map(percent, values)], {key: at, **dict(zip(read, values, strict=True))})
        for at, *values in zip(places, *read.values(), strict=True)
    ]
    return [column(heading), *(column(model_label(model)) for model in read)], rows


def no_calibration(run: RunFolder, set_name: str, model: str) -> str:
    """Return why the calibration curve of a model, or its deciles, could not be estimated; empty where they could."""
    curves = run.curves.sets[set_name][model]
    return str(curves["calibration"].get("problem") or curves["calibration_groups"].get("problem") or "")


def calibration_figure(run: RunFolder, name: str, set_name: str, model: str) -> Block:
    """Return the calibration of a model: smooth curve with band, deciles, and the distribution of risk."""
    curves = run.curves.sets[set_name][model]
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
        column("Decile"),
        column("People"),
        column("Cases"),
        column("Predicted"),
        column("Observed (95 % interval)"),
    ]
    picked = ("calibration_intercept", "calibration_slope", "observed_expected")
    shown = [run.evaluation.one(model=model, set=set_name, metric=m) for m in picked]
    words = ("intercept", "slope", "observed/expected")
    said = ", ".join(f"{word} {interval(record, digits=2)}" for word, record in zip(words, shown, strict=True))
    return figure(
        f"{name}-calibration",
        "calibration",
        f"Calibration of {model_label(model)}, {set_label(set_name)}",
        caption="Observed against predicted risk, both on logarithmic axes; the dashed line is perfect calibration. "
        "Line: weighted logistic regression on a spline of the predicted log-odds, from the 1st to the 99th percentile "
        "of risk, with a pointwise 95 % band from the jackknife over PSUs. Points: deciles of the population with 95 % "
        "intervals; a triangle at the lower edge is a decile without any case. Below: share of the cases and of the "
        f"others in each range of risk. {said[0].upper()}{said[1:]}.",
        alt=f"Calibration curve of {model_label(model)}: {said}",
        data={
            "smooth": {key: smooth[key] for key in ("risk", "observed", "low", "high")},
            "groups": {key: groups[key] for key in ("predicted", "observed", "low", "high")},
            "histogram": _histogram(run, set_name, model),
        },
        behind=table(f"{name}-calibration-table", "Calibration by decile of predicted risk", columns, rows),
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
        f"Decision curve, {set_label(set_name)}",
        caption=(
            "Net benefit of classification at a risk threshold: true positives per 1,000 people minus false "
            "positives weighted by the odds of the threshold, compared with treat all and treat none. Band: "
            "pointwise 95 % interval of the chosen model. A model is useful where its curve lies above both lines. "
            "The published score is recalibrated."
        ),
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


def _histogram(run: RunFolder, set_name: str, model: str) -> dict[str, Any]:
    people = run.predictions
    people = people[people["set"] == (DEVELOPMENT if set_name == CROSS_VALIDATED else HELD_OUT)]
    edges = HISTOGRAM_EDGES
    # What lies beyond the axis is counted at its edge: nobody vanishes from the picture.
    risk = people[model].to_numpy(dtype=np.float64).clip(edges[0], edges[-1] * (1 - 1e-9))
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


def set_label(set_name: str) -> str:
    """Return what a set of people is called in a title."""
    return "cross-validated" if set_name == CROSS_VALIDATED else f"held-out {span([set_name])}"

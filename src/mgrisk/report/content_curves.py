"""The curves of one set as figure blocks: ROC, calibration with groups and histogram, decision curve."""

from __future__ import annotations

from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from mgrisk.cohort.select import DEVELOPMENT, HELD_OUT
from mgrisk.evaluate.assess import CROSS_VALIDATED
from mgrisk.report.blocks import Block, column, figure, row, table
from mgrisk.report.formats import count, interval, model_label, number, percent, span
from mgrisk.report.run_files import RunFiles, pick

ROC_POINTS: Final = 240
READ_AT: Final = (0.05, 0.1, 0.2, 0.3, 0.4, 0.5)
HISTOGRAM_EDGES: Final = np.geomspace(0.001, 0.5, 26)  # even on the logarithmic axis of the figure


def roc_figure(files: RunFiles, name: str, set_name: str, models: list[str]) -> Block:
    """Return the ROC curves of all models of a set."""
    curves, read = [], {}
    for model in models:
        found = files.curves[set_name][model]["roc"]
        x = np.array(found["false_positive_rate"], dtype=np.float64)
        y = np.array(found["sensitivity"], dtype=np.float64)
        kept = _thin(x, y, ROC_POINTS)
        auroc = pick(files.evaluation, "evaluation.json", model=model, set=set_name, metric="auroc")
        curves.append(
            {
                "model": model,
                "label": f"{model_label(model)} {interval(auroc)}",
                "chosen": model == files.winner,
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


def calibration_figure(files: RunFiles, name: str, set_name: str) -> Block:
    """Return the calibration of the chosen model: smooth curve with band, tenths, and who has which risk."""
    curves = files.curves[set_name][files.winner]
    smooth, groups = curves["calibration"], curves["calibration_groups"]
    rows = []
    for place in range(len(groups["group"])):
        raw = {key: values[place] for key, values in groups.items() if isinstance(values, list)}
        observed = {"estimate": raw["observed"], "low": raw["low"], "high": raw["high"], "problem": "no cases"}
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
    shown = [pick(files.evaluation, "evaluation.json", model=files.winner, set=set_name, metric=m) for m in picked]
    words = ("intercept", "slope", "observed/expected")
    said = ", ".join(f"{word} {interval(record, digits=2)}" for word, record in zip(words, shown, strict=True))
    return figure(
        f"{name}-calibration",
        "calibration",
        f"Calibration of {model_label(files.winner)}, {_set_label(set_name)}",
        caption="Observed against predicted risk, both on logarithmic axes; the dashed line is perfect calibration. "
        "Line: weighted logistic regression on a spline of the predicted log-odds, from the 1st to the 99th percentile "
        "of risk, with a pointwise 95 % band from the jackknife over PSUs. Points: tenths of the population with 95 % "
        "intervals; a triangle at the lower edge is a tenth without any case. Below: share of the cases and of the "
        f"others in each range of risk. {said[0].upper()}{said[1:]}.",
        alt=f"Calibration curve of {model_label(files.winner)}: {said}",
        data={
            "smooth": {key: smooth[key] for key in ("risk", "observed", "low", "high")},
            "groups": {key: groups[key] for key in ("predicted", "observed", "low", "high")},
            "histogram": _histogram(files, set_name),
        },
        behind=table(f"{name}-calibration-table", "Calibration in tenths of the population", columns, rows),
    )


def decision_figure(files: RunFiles, name: str, set_name: str, models: list[str]) -> Block:
    """Return the decision curves of all models that give probabilities."""
    found = {model: files.curves[set_name][model]["decision"] for model in models}
    chosen = found[files.winner]
    rows = []
    for place, threshold in enumerate(chosen["threshold"]):
        cells = [percent(threshold, digits=0)]
        for model in models:
            record = {
                key: None if found[model][source][place] is None else 1000 * found[model][source][place]
                for key, source in (("estimate", "model"), ("low", "low"), ("high", "high"))
            }
            cells.append(interval(record, digits=1))
        cells.append(number(1000 * chosen["all"][place], digits=1))
        raw = {model: {key: found[model][key][place] for key in ("model", "low", "high")} for model in models}
        rows.append(row(cells, {"threshold": threshold, "all": chosen["all"][place], **raw}))
    columns = [column("Threshold"), *(column(model_label(model)) for model in models), column("Everybody")]
    return figure(
        f"{name}-decision",
        "decision",
        f"Decision curve, {_set_label(set_name)}",
        caption="Net benefit of calling in everybody above a threshold of predicted risk, as true positives per 1,000 "
        "people after paying for false positives at the threshold's odds; beside calling in everybody and nobody. "
        "Band: "
        "pointwise 95 % interval of the chosen model. A curve is of use where it lies above both lines.",
        alt=f"Decision curves of {', '.join(model_label(model) for model in models)} for thresholds of 1 to 20 %",
        data={
            "threshold": chosen["threshold"],
            "all": chosen["all"],
            "models": [
                {
                    "label": model_label(model),
                    "chosen": model == files.winner,
                    **{k: found[model][k] for k in ("model", "low", "high")},
                }
                for model in models
            ],
        },
        behind=table(
            f"{name}-decision-table", "Net benefit, true positives per 1,000 people (95 % interval)", columns, rows
        ),
    )


def _histogram(files: RunFiles, set_name: str) -> dict[str, Any]:
    people = files.predictions
    people = people[people["set"] == (DEVELOPMENT if set_name == CROSS_VALIDATED else HELD_OUT)]
    edges = HISTOGRAM_EDGES
    # What lies beyond the axis is counted at its edge: nobody vanishes from the picture.
    risk = people[files.winner].to_numpy(dtype=np.float64).clip(edges[0], edges[-1] * (1 - 1e-9))
    shares = {}
    for key, value in (("cases", 1.0), ("others", 0.0)):
        here = people["outcome"].to_numpy(dtype=np.float64) == value
        weight = people["weight"].to_numpy(dtype=np.float64)[here]
        counted = np.histogram(risk[here], bins=edges, weights=weight)[0]
        shares[key] = (counted / max(float(weight.sum()), 1e-300)).tolist()
    return {"edges": edges.tolist(), **shares}


def _thin(x: NDArray[np.float64], y: NDArray[np.float64], wanted: int) -> NDArray[np.int64]:
    """Return positions of at most `wanted` points, evenly along the length of the curve, ends among them."""
    if len(x) <= wanted:
        return np.arange(len(x), dtype=np.int64)
    walked = np.concatenate(([0.0], np.cumsum(np.abs(np.diff(x)) + np.abs(np.diff(y)))))
    places = np.searchsorted(walked, np.linspace(0.0, walked[-1], wanted))
    return np.unique(np.concatenate(([0], places.clip(0, len(x) - 1), [len(x) - 1]))).astype(np.int64)


def _set_label(set_name: str) -> str:
    return "cross-validated" if set_name == CROSS_VALIDATED else f"held-out {span([set_name])}"

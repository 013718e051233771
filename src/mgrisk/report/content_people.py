"""Two worked people of the held-out cycle: what they said, what the model made of it, and that it adds up."""

from __future__ import annotations

import math
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from mgrisk.features.registry import Feature
from mgrisk.model.calibrate import Calibrator
from mgrisk.report.blocks import Block, Section, callout, column, figure, row, section, table, text
from mgrisk.report.content_drivers import NO_EFFECT
from mgrisk.report.explained import ExplainedPeople, explained_people
from mgrisk.report.formats import level_label, number, percent, unit_label
from mgrisk.report.run_files import Record, RunFiles
from mgrisk.survey.quantiles import weighted_quantile

CHOSEN: Final = (
    (0.5, "median", "A person at the median risk"),
    (0.95, "high", "A person at the 95th percentile of risk"),
)
INTERVAL: Final = 0.90
# Shown coarser than measured: nobody needs a stranger's waist to the millimetre to follow the arithmetic.
STEP_BY_UNIT: Final = {
    "years": 5.0,
    "cm": 1.0,
    "kg": 1.0,
    "kg/m2": 1.0,
    "MET-min/week": 100.0,
    "min/d": 10.0,
    "mg/d": 10.0,
    "kcal/d": 50.0,
    "hours": 0.5,
    "1": 0.1,
}


def people(files: RunFiles) -> Section:
    """Describe the people nearest to the weighted median and the weighted 95th percentile of risk."""
    everybody = explained_people(files)
    calibrator = _calibrator(files)
    parts = []
    for probability, name, heading in CHOSEN:
        target = float(weighted_quantile(everybody.risk, everybody.weight, [probability])[0])
        place = int(np.argmin(np.abs(everybody.risk - target)))
        parts.append(_person(files, everybody, place, calibrator, name=f"person-{name}", heading=heading))
    intro = text(
        "Real answers of two people, picked by rule: nearest to the weighted median and to the weighted 95th "
        "percentile of "
        "risk in the held-out cycle. Values are rounded (age to five years) and nobody is named or numbered."
        if files.data_label == "NHANES"
        else "Two people, picked by rule: nearest to the weighted median and to the weighted 95th percentile of risk "
        "in the "
        "held-out cycle. Values are rounded."
    )
    return section("people", "Two people of the held-out cycle", [intro, callout(NO_EFFECT)], sections=parts)


def _person(
    files: RunFiles, everybody: ExplainedPeople, place: int, calibrator: Calibrator, *, name: str, heading: str
) -> Section:
    risk, base = float(everybody.risk[place]), everybody.base_value
    values = everybody.contributions[place]
    total = base + float(values.sum())
    log_odds = math.log(risk / (1.0 - risk))
    margin = np.array([(log_odds - calibrator.intercept) / calibrator.slope])
    low, high = (float(edge[0]) for edge in calibrator.interval(margin, level=INTERVAL))
    order = np.argsort(-np.abs(values), kind="stable")
    rows: list[dict[str, Any]] = []
    steps: list[dict[str, Any]] = []
    for index in order:
        feature = everybody.features[index]
        shown = _value(everybody.data[feature.name].iloc[place], feature)
        reference, raw = _reference(feature, files.reference[feature.name])
        contribution = float(values[index])
        cells = [feature.label, shown, unit_label(feature.unit), reference, number(contribution, signed=True)]
        rows.append(row(cells, {"feature": feature.name, "value": shown, "contribution": contribution, **raw}))
        unit = unit_label(feature.unit) if feature.kind == "number" and shown != "missing" else ""
        steps.append({"label": f"{feature.label}: {shown} {unit}".strip(), "contribution": contribution})
    adds_up = (
        f"Base value {number(base)} (the population's weighted mean log-odds, {percent(_expit(base))} as a risk) plus "
        f"all contributions {number(float(values.sum()), signed=True)} is {number(total)}; the logit of the reported "
        "risk "
        f"{percent(risk, digits=2)} is {number(log_odds)}. Residual: {abs(total - log_odds):.1e}."
    )
    columns = [
        column("Feature", numeric=False), column("Value", numeric=False), column("Unit", numeric=False),
        column("Population", numeric=False), column("Contribution, log-odds"),
    ]  # fmt: skip
    waterfall = figure(
        f"{name}-waterfall",
        "waterfall",
        f"{heading}: from the population to {percent(risk)}",
        caption="From the base value to the log-odds of the reported risk, largest contribution first; the scale above "
        "gives "
        "the same as a risk. On the risk scale a step's width depends on where it starts, so that contributions are "
        "given in log-odds only.",
        alt=f"Waterfall of contributions from {percent(_expit(base))} to {percent(risk)}; largest first: "
        + ", ".join(f"{step['label']} {number(step['contribution'], digits=2, signed=True)}" for step in steps[:3]),
        data={"base": base, "end": log_odds, "low": _logit(low), "high": _logit(high), "steps": steps},
        behind=table(
            f"{name}-table",
            "Value, population and contribution of each feature",
            columns,
            rows,
            notes=[
                "Population: weighted median of a number, or the most frequent category with its share, in the "
                "development set."
            ],
        ),
    )
    blocks: list[Block] = [
        text(
            f"Reported risk {percent(risk)}; {percent(INTERVAL, digits=0)} interval {percent(low)} to {percent(high)}.",
            "The interval is the sampling error of the calibration; the learner's own error is not in it.",
        ),
        waterfall,
        text(adds_up),
    ]
    return section(name, heading, blocks)


def round_value(value: float, unit: str) -> str:
    """Return a person's number, rounded by its unit so that it is understood and not recognised.

    Examples
    --------
    >>> round_value(43.0, "years"), round_value(2.954, "1"), round_value(1841.0, "kcal/d")
    ('45', '3.0', '1,850')
    """
    step = STEP_BY_UNIT.get(unit, 0.1)
    return number(round(value / step) * step, digits=1 if step < 1 else 0)


def _value(value: Any, feature: Feature) -> str:
    if feature.kind == "number":
        return "missing" if math.isnan(float(value)) else round_value(float(value), feature.unit)
    return level_label(str(value)) if value in feature.levels else "missing"


def _reference(feature: Feature, known: Record) -> tuple[str, dict[str, Any]]:
    if feature.kind == "number":
        median = known["quantiles"].get("0.5") if known["quantiles"] else None
        if median is None:
            return "not known", {"median": None}
        digits = 1 if STEP_BY_UNIT.get(feature.unit, 0.1) < 1 else 0
        return f"median {number(float(median), digits=digits)}", {"median": float(median)}
    shares = {str(level): float(share) for level, share in known["shares"].items()}
    most = max(shares, key=lambda level: shares[level])
    return f"{level_label(most)} {percent(shares[most], digits=0)}", {"shares": shares}


def _calibrator(files: RunFiles) -> Calibrator:
    stored = files.calibrator
    covariance: NDArray[np.float64] = np.array(stored["covariance"], dtype=np.float64).reshape(2, 2)
    return Calibrator(float(stored["intercept"]), float(stored["slope"]), covariance, int(stored["df"]))


def _expit(value: float) -> float:
    return 1.0 / (1.0 + math.exp(-value))


def _logit(risk: float) -> float:
    return math.log(risk / (1.0 - risk))

"""The people of the held-out cycle: a table to search, and two of them worked out to the last step."""

from __future__ import annotations

import math
from typing import Any, Final

import numpy as np

from mgrisk.errors import MgRiskError
from mgrisk.model.bundle import read_bundle
from mgrisk.report.blocks import Block, Section, callout, column, figure, row, section, table, text
from mgrisk.report.explained import ExplainedPeople, explained_people
from mgrisk.report.formats import number, percent, span, unit_label
from mgrisk.report.people_table import PeopleShown, explorer, reference_value, shown_value
from mgrisk.report.population import population
from mgrisk.report.probe import page_model
from mgrisk.report.sections import ReportSection
from mgrisk.report.sections.drivers import NO_EFFECT
from mgrisk.run_folder.folder import RunFolder
from mgrisk.survey.estimates import weighted_quantile
from mgrisk.types import JsonRecord

CHOSEN: Final = (
    (0.5, "median", "A person at the median risk"),
    (0.95, "high", "A person at the 95th percentile of risk"),
)
INTERVAL: Final = 0.90


def people(run: RunFolder) -> Section:
    """Describe everybody of the held-out cycle, and two of them, at the median and at the 95th percentile of risk."""
    everybody = explained_people(run)
    parts = []
    for probability, name, heading in CHOSEN:
        target = float(weighted_quantile(everybody.risk, everybody.weight, [probability])[0])
        place = int(np.argmin(np.abs(everybody.risk - target)))
        parts.append(_person(run, everybody, place, name=f"person-{name}", heading=heading))
    blocks = [
        text(
            population(run).confidentiality,
            "Below the table two people are explained step by step: those whose risks are nearest to the weighted median and to the weighted 95th percentile.",
        ),
        text(f"{run.about['interval']}."),
        callout(NO_EFFECT),
        explorer(_shown(run, everybody), f"The held-out people of {span(run.about['held_out'])}."),
    ]
    return SECTION.of(blocks, sections=parts)


def _shown(run: RunFolder, everybody: ExplainedPeople) -> PeopleShown:
    return PeopleShown(
        id_label=population(run).person_label,
        ids=everybody.ids,
        features=everybody.features,
        data=everybody.data,
        contributions=everybody.contributions,
        base_values=everybody.base_values,
        risk=everybody.risk,
        low=everybody.low,
        high=everybody.high,
        low_inputs=everybody.low_inputs,
        high_inputs=everybody.high_inputs,
        in_domain=everybody.in_domain,
        reference=run.reference,
        weight=everybody.weight,
        case=everybody.case,
        firmness=everybody.firmness,
        recall_share=everybody.recall_share,
        model=_model(run),
    )


def _model(run: RunFolder) -> JsonRecord:
    try:
        return page_model(read_bundle(run.path(run.bundle_of_winner)))
    except MgRiskError as problem:
        return {"absent": f"The inputs cannot be changed on this page: {problem.what()} ({problem.code})."}


def _person(run: RunFolder, everybody: ExplainedPeople, place: int, *, name: str, heading: str) -> Section:
    risk, base = float(everybody.risk[place]), float(everybody.base_values[place])
    values = everybody.contributions[place]
    total = base + float(values.sum())
    log_odds = math.log(risk / (1.0 - risk))
    low, high = float(everybody.low[place]), float(everybody.high[place])
    order = np.argsort(-np.abs(values), kind="stable")
    rows: list[dict[str, Any]] = []
    steps: list[dict[str, Any]] = []
    for index in order:
        feature = everybody.features[index]
        shown = shown_value(everybody.data[feature.name].iloc[place], feature)
        reference, raw = reference_value(feature, run.reference[feature.name])
        contribution = float(values[index])
        cells = [feature.label, shown, unit_label(feature.unit), reference, number(contribution, signed=True)]
        rows.append(row(cells, {"feature": feature.name, "value": shown, "contribution": contribution, **raw}))
        unit = unit_label(feature.unit) if feature.kind == "number" and shown != "missing" else ""
        steps.append({"label": f"{feature.label}: {shown} {unit}".strip(), "contribution": contribution})
    adds_up = (
        f"The base value {number(base)} ({_base_in_words(everybody, place)}; a risk of {percent(_expit(base))}) "
        f"plus the sum of the contributions {number(float(values.sum()), signed=True)} is {number(total)}; the "
        f"log-odds of the reported risk {percent(risk, digits=2)} are {number(log_odds)}. Difference: "
        f"{abs(total - log_odds):.1e}."
    )
    columns = [
        column("Feature", numeric=False), column("Value", numeric=False), column("Unit", numeric=False),
        column("Development population", numeric=False), column("Contribution, log-odds"),
    ]  # fmt: skip
    waterfall = figure(
        f"{name}-waterfall",
        "waterfall",
        f"{heading}: from the base value to {percent(risk)}",
        caption=(
            "From the base value to the log-odds of the reported risk, largest contribution first; the upper axis "
            "shows the corresponding risk. Contributions are given in log-odds only, because the size of a step on "
            "the risk scale depends on where it starts."
        ),
        alt=f"Waterfall of contributions from {percent(_expit(base))} to {percent(risk)}; largest first: "
        + ", ".join(f"{step['label']} {number(step['contribution'], digits=2, signed=True)}" for step in steps[:3]),
        data={"base": base, "end": log_odds, "low": _logit(low), "high": _logit(high), "steps": steps},
        behind=table(
            f"{name}-table",
            "Value, development population and contribution of each feature",
            columns,
            rows,
            notes=[
                "Development population: weighted median of a number, or the most frequent category with its share."
            ],
        ),
    )
    blocks: list[Block] = [
        text(
            f"Reported risk {percent(risk)}; {percent(INTERVAL, digits=0)} interval {percent(low)} to {percent(high)}.",
        ),
        waterfall,
        text(adds_up),
    ]
    return section(name, heading, blocks)


def _base_in_words(everybody: ExplainedPeople, place: int) -> str:
    """Say whose log-odds the base value of a person is: in an additive model it depends on what is absent."""
    if np.ptp(everybody.base_values) > 0 and everybody.data.iloc[place].isna().any():
        return "log-odds of a person with the same inputs missing and average values of the others"
    return "weighted mean log-odds of the development population"


def _expit(value: float) -> float:
    return 1.0 / (1.0 + math.exp(-value))


def _logit(risk: float) -> float:
    return math.log(risk / (1.0 - risk))


SECTION = ReportSection("people", "People of the held-out cycle", people)

"""The page of `mgrisk explain`: are the people in the model's training distribution, what drives their risks, who they are.

Where their outcome is known, it also holds the performance of the model, with the figures of the run's report.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Final

import numpy as np

from mgrisk.errors import few
from mgrisk.evaluate.assess import EXTERNAL
from mgrisk.features.registry import Feature
from mgrisk.nhanes.codebook import SYNTHETIC
from mgrisk.report.blocks import Block, Section, callout, column, facts, figure, grid, row, section, table, text
from mgrisk.report.content import page_content
from mgrisk.report.evaluated import Evaluated
from mgrisk.report.explained import ExplainedPeople
from mgrisk.report.formats import count, interval, level_label, model_label, number, percent, span, unit_label
from mgrisk.report.people_table import PeopleShown, explorer
from mgrisk.report.sections.dependence import dependence_blocks
from mgrisk.report.sections.drivers import NO_EFFECT, OF_ABSENT, OF_REFITS
from mgrisk.report.sections.importance import importance_figure, swarm_figure
from mgrisk.report.sections.performance import METRICS, OF_DISTANCES, curve_figures
from mgrisk.report.sections.performance_figures import HISTOGRAM_EDGES, risk_shares, set_label
from mgrisk.report.sections.subgroups import groups_figure
from mgrisk.report.sections.summary import cautions, not_for
from mgrisk.report.sections.thresholds import threshold_slider, thresholds_table
from mgrisk.run_folder.records import Importance
from mgrisk.survey.estimates import weighted_quantile
from mgrisk.types import Floats, JsonRecord

AS_SAMPLE: Final = "The people count as a simple random sample."
MADE_UP: Final = "SYNTHETIC model: the people it was developed on are made up. No risk on this page is anybody's."
PSI: Final = (
    "PSI: population stability index over bins of the {} people, and in brackets what chance alone gives on average in so "
    "many people; 0.1 is a small shift, 0.25 a large one (Siddiqi 2006)."
)
RANGES: Final = (0.0, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0)
OUTSIDE_SHARE, MISSING_MORE = 0.01, 0.10  # from where a feature is called out
MOST_NAMED = 4  # features that are named for what is missing; the table has all


@dataclass(frozen=True, eq=False)
class OwnPeople:
    """A scored and explained file.

    Attributes
    ----------
    source
        Its name.
    rows, not_eligible, outside, problems
        Rows of the file, those for whom the model does not hold, those scored who are out of the training distribution,
        and how often each code stood.
    not_told
        The line on whom the model does not hold for although no column tells it, or none.
    id_label
        The column that people are found by.
    explained
        Those of the scored who are explained; each stands for one.
    risk
        The risk of everybody scored.
    drift
        Of each feature, and of the risk: {name, psi, psi_by_chance, large}, as the scored file's summary has them;
        empty where the bundle's reference cannot tell.
    absent, auroc
        Inputs of the model that nobody of the file has, and its AUROC over cycles left out with all inputs and without
        these; None where it is not known: as the scored file's summary has them.
    worth_measuring
        Absent inputs, {name, absent, removes}, that which would tell most first: `score.absent.Gain`.
    importance
        Of each feature, the largest first.
    about, reference
        Of the bundle.
    drift_people
        Whom `drift` compares with: development or recalibration.
    model
        From `probe.page_model`.
    evaluated, analysed
        The evaluation of those whose outcome is known, and who they are, in sentences; none where no column tells it.
    """

    source: str
    rows: int
    not_eligible: int
    outside: int
    not_told: list[str]
    problems: Mapping[str, int]
    id_label: str
    explained: ExplainedPeople
    risk: Floats
    drift: list[JsonRecord]
    absent: Sequence[str]
    auroc: tuple[float, float] | None
    worth_measuring: list[JsonRecord]
    importance: list[Importance]
    about: JsonRecord
    reference: JsonRecord
    drift_people: str = "development"
    model: JsonRecord | None = None
    evaluated: Evaluated | None = None
    analysed: Sequence[str] = ()

    @property
    def whom(self) -> str:
        """Who is explained."""
        shown, scored = len(self.explained.risk), len(self.risk)
        return (
            "people of this file" if shown == scored else f"{count(shown)} of {count(scored)} people, drawn at random"
        )


def own_content(own: OwnPeople) -> dict[str, Any]:
    """Describe a file of people, in the shape of `content.report_content`."""
    synthetic = bool(own.about["synthetic"])
    heading = f"{own.about['outcome']['label']}: risks of {count(len(own.risk))} people, explained"
    sections = [_summary(own), _domain(own)]
    if len(own.risk):
        sections += [_drivers(own), _dependence(own), _risks(own), _people(own)]
    if own.evaluated is not None:
        sections.append(_performance(own, own.evaluated))
    sections.append(_limits(own))
    return page_content(
        heading,
        sections,
        data=f"{SYNTHETIC} model" if synthetic else "own people",
        synthetic=synthetic,
        banner=MADE_UP if synthetic else "",
        mgrisk=own.about["mgrisk"],
    )


def _summary(own: OwnPeople) -> Section:
    about, risk, drawn = own.about, own.risk, _drawn(own)
    rejected = own.rows - own.not_eligible - len(risk)
    excluded = f", {count(own.not_eligible)} not eligible" if own.not_eligible else ""
    parent = ","
    if about.get("parent"):
        parent = f", recalibrated from {about['parent']['name']} for {about['holds_for']}; the parent was"
    unknown = "".join(f" {line[:1].upper()}{line[1:]}." for line in own.not_told)
    lead = facts(
        {
            "label": "Predicted",
            "value": f"{about['outcome']['label']}, now",
            "detail": f"{about['outcome']['definition']}. A calibrated probability, no forecast.",
        },
        {
            "label": "For whom",
            "value": f"{count(own.rows)} rows of {own.source}",
            "detail": f"{count(len(risk))} scored, {count(rejected)} rejected{excluded}.{f' {drawn}' if drawn else ''}{unknown} Model {about['name']}{parent} developed on "
            f"{count(about['people'])} people of {span(about['cycles'])}, weighted share of cases "
            f"{percent(about['prevalence'])}.",
        },
        style="lead",
    )
    cards = [
        *_absent_card(own),
        _domain_card(own),
        *([_risk_card(risk), _driver_card(own)] if len(risk) else []),
        *([_performance_card(own.evaluated)] if own.evaluated is not None else []),
        not_for(),
    ]
    return section("summary", "In short", [lead, facts(*cards)])


def _drawn(own: OwnPeople) -> str:
    """Say how many are explained, where that is not everybody scored."""
    return "" if len(own.explained.risk) == len(own.risk) else f"Explained are {own.whom}."


def _domain_card(own: OwnPeople) -> dict[str, Any]:
    share = own.outside / max(len(own.risk), 1)
    return {
        "label": "Training distribution",
        "value": f"{count(own.outside)} out of it" if own.outside else "All in it",
        "range": percent(share) if own.outside else "",
        "detail": "Out of distribution: a number beyond the middle 99.9 % of the development people, or a category that none "
        "of them had. Do not rely on such a risk.",
        "tone": "warning" if share >= OUTSIDE_SHARE else "",
    }


def _absent_card(own: OwnPeople) -> list[dict[str, Any]]:
    """Say which inputs are absent, what that costs, and which would tell most; nothing where none is absent."""
    labels = {feature.name: feature.label for feature in own.explained.features}
    absent = [labels[name] for name in own.absent]
    if not absent and not own.worth_measuring:
        return []
    most = float(own.worth_measuring[0]["removes"]) if own.worth_measuring else 0.0
    costs = []
    if own.auroc is not None:
        whole, without = (number(each) for each in own.auroc)
        costs = [
            {"term": "AUROC in development cycles left out, all inputs", "value": whole},
            {"term": "The same without the absent inputs", "value": without},
        ]
    return [
        {
            "label": "Which inputs are absent, and what that costs",
            "value": f"{len(absent)} of {len(labels)} inputs" if absent else "None absent for everybody",
            "items": [few(absent, MOST_NAMED)] if absent else [],
            "lines": [
                *costs,
                *(
                    {
                        "term": f"{labels[each['name']]}, absent for {percent(each['absent'])}",
                        "value": percent(each["removes"]),
                        "bar": round(100.0 * each["removes"] / (most or 1.0)),
                    }
                    for each in own.worth_measuring[:3]
                ),
            ],
            "detail": "A risk is the mean over what absent inputs may be, given those that are there."
            + (
                " Bars: the share of the variance of the log-odds due to absent inputs that measuring the input would remove."
                if own.worth_measuring
                else ""
            ),
            "tone": "warning" if absent else "",
        }
    ]


def _risk_card(risk: Floats) -> dict[str, Any]:
    low, middle, high = np.quantile(risk, [0.05, 0.5, 0.95])
    return {
        "label": "Predicted risks",
        "value": percent(float(risk.mean())),
        "range": "mean",
        "lines": [
            {"term": "Median", "value": percent(float(middle))},
            {"term": "5th to 95th percentile", "value": f"{percent(float(low))} to {percent(float(high))}"},
        ],
        "detail": "In another population the mean risk may be wrong even if the ranking is right.",
    }


def _driver_card(own: OwnPeople) -> dict[str, Any]:
    most = own.importance[0].importance or 1.0
    return {
        "label": "What drives the risks",
        "value": ", ".join(record.label for record in own.importance[:2]),
        "lines": [
            {
                "term": record.label,
                "value": number(record.importance, digits=2),
                "bar": round(100.0 * record.importance / most),
            }
            for record in own.importance[:4]
        ],
        "detail": "Mean |SHAP value|, log-odds: what the model uses, not what causes the outcome.",
    }


def _performance_card(evaluated: Evaluated) -> dict[str, Any]:
    records = evaluated.evaluation
    found = {metric: records.one(metric=metric) for metric in ("auroc", "observed_expected", "calibration_slope")}
    auroc = found.pop("auroc")
    labels = {name: label for name, label, _, _ in METRICS}
    wrong = found["observed_expected"].excludes(1.0)
    return {
        "label": "AUROC (95 % interval)",
        "value": number(auroc.estimate),
        "range": interval(auroc).removeprefix(number(auroc.estimate)).strip(),
        "lines": [{"term": labels[name], "value": interval(record, digits=2)} for name, record in found.items()],
        "detail": f"{count(auroc.n)} people whose outcome is known, {count(auroc.events)} cases."
        + (" The risks are miscalibrated here: recalibrate before use." if wrong else ""),
        "tone": "warning" if wrong else "",
    }


def _domain(own: OwnPeople) -> Section:
    people = own.explained
    drift = {str(record["name"]): record for record in own.drift}
    labels = {feature.name: feature.label for feature in people.features}
    rows, called = [], list[str]()
    more: list[tuple[float, str]] = []
    for feature in people.features:
        known = own.reference[feature.name]
        here = people.data[feature.name]
        absent = int(here.isna().sum())
        missing = absent / max(len(here), 1)
        outside, shown, theirs = _compared(feature, here, known)
        rows.append(
            row(
                [
                    feature.label,
                    unit_label(feature.unit),
                    shown,
                    theirs,
                    percent(outside),
                    f"{count(absent)} ({percent(missing)})",
                    percent(known["missing"]),
                    _shift(drift.get(feature.name)),
                ],
                {"feature": feature.name, "outside": outside, "missing": missing, "missing_there": known["missing"]},
            )
        )
        if outside >= OUTSIDE_SHARE:
            called.append(f"{feature.label}: {percent(outside)} out of distribution.")
        if missing >= known["missing"] + MISSING_MORE:
            more.append((missing, f"{feature.label} ({percent(missing)}, in development {percent(known['missing'])})"))
    if more:
        most = [told for _, told in sorted(more, key=lambda each: -each[0])[:MOST_NAMED]]
        left = f", and {count(len(more) - len(most))} others" if len(more) > len(most) else ""
        called.append(f"Missing more often than in development: {', '.join(most)}{left}.")
    called += [
        f"{labels.get(name, 'Predicted risk')}: large shift, PSI {number(record['psi'], digits=2)}."
        for name, record in drift.items()
        if record["large"]
    ]
    columns = [
        column("Feature", numeric=False), column("Unit", numeric=False), column("This file"), column("Development"),
        column("Out of distribution"), column("Missing, this file"), column("Missing, development"),
        column("PSI (by chance)"),
    ]  # fmt: skip
    blocks: list[Block] = [callout(*called, tone="warning")] if called else []
    caption = (
        f"Median (5th to 95th percentile) or most frequent category of each feature, {own.whom} and development people"
    )
    blocks.append(table("domain-table", caption, columns, rows, notes=[PSI.format(own.drift_people)]))
    if own.problems:
        codes = [row([code, count(times)], {"code": code, "times": times}) for code, times in own.problems.items()]
        named = [column("Code and column", numeric=False), column("Rows")]
        blocks.append(table("problems", "Problems found in the rows of the file", named, codes))
    return section("domain", "Are these people in the model's training distribution?", blocks)


def _shift(record: JsonRecord | None) -> str:
    if record is None or record["psi"] is None:
        return "–"
    return f"{number(record['psi'], digits=2)} ({number(record['psi_by_chance'], digits=2)})"


def _compared(feature: Feature, here: Any, known: JsonRecord) -> tuple[float, str, str]:
    """Return the share outside the development range, and the two distributions in words."""
    if feature.kind == "category":
        unseen = [level for level, share in known["shares"].items() if share == 0]
        outside = float(here.isin(unseen).mean()) if len(here) else 0.0
        shares = here.value_counts(normalize=True)
        shown = (
            f"{level_label(str(shares.index[0]))} {percent(float(shares.iloc[0]), digits=0)}"
            if here.notna().any()
            else "–"
        )
        most = max(known["shares"], key=lambda level: known["shares"][level])
        return outside, shown, f"{level_label(most)} {percent(known['shares'][most], digits=0)}"
    numbers = here.to_numpy(dtype=np.float64)
    numbers = numbers[np.isfinite(numbers)]
    edges = known["quantiles"]
    if not edges:
        return float(len(numbers) > 0), _spread([]), _spread([])
    outside = float(((numbers < edges["0.0005"]) | (numbers > edges["0.9995"])).sum() / max(len(here), 1))
    mine = weighted_quantile(numbers, np.ones(len(numbers)), [0.05, 0.5, 0.95]).tolist() if len(numbers) else []
    return outside, _spread(mine), _spread([edges["0.05"], edges["0.5"], edges["0.95"]])


def _spread(quantiles: list[float]) -> str:
    if not quantiles:
        return "–"
    digits = 0 if abs(quantiles[1]) >= 10 else 1
    low, middle, high = (number(value, digits=digits) for value in quantiles)
    return f"{middle} ({low} to {high})"


def _drivers(own: OwnPeople) -> Section:
    said = f"{AS_SAMPLE} {OF_REFITS}" if own.explained.errors is not None else AS_SAMPLE
    return section(
        "drivers",
        "What drives the predicted risks",
        [
            text(
                "SHAP values in log-odds of the reported risk (contributions, below), against the whole weighted development "
                "population. For each person they add up, with the base value, to the logit of the reported risk.",
                OF_ABSENT,
            ),
            callout(NO_EFFECT),
            importance_figure(own.importance, own.explained, whom=own.whom, interval_of=said),
            swarm_figure(own.importance, own.explained, whom=own.whom),
        ],
    )


def _dependence(own: OwnPeople) -> Section:
    named = {feature.name: feature for feature in own.explained.features}
    ordered = [named[record.feature] for record in own.importance]
    # A plot needs two people whose values differ.
    along = [each for each in ordered if each.kind == "number" and own.explained.data[each.name].nunique() > 1]
    left = [each.label for each in ordered if each.kind == "number" and each not in along]
    blocks = dependence_blocks(own.explained, None, along, whom=own.whom)
    if left:
        blocks.append(text(f"No plot of {few(left, MOST_NAMED)}: no two people of this file have different values."))
    return section("dependence", "Dependence", blocks)


def _risks(own: OwnPeople) -> Section:
    risk = own.risk
    place = np.searchsorted(RANGES[1:-1], risk, side="right")
    rows = []
    for at, (low, high) in enumerate(pairwise(RANGES)):
        here = risk[place == at]
        cells = [f"{percent(low, digits=0)} to {percent(high, digits=0)}", count(len(here))]
        cells += [percent(len(here) / len(risk)), number(float(here.sum()), digits=1)]
        rows.append(row(cells, {"low": low, "high": high, "n": len(here), "expected": float(here.sum())}))
    columns = [column("Predicted risk"), column("People"), column("Share"), column("Expected cases")]
    least, middle, most = (percent(float(each)) for each in np.quantile(risk, [0.05, 0.5, 0.95]))
    drawn = figure(
        "risks",
        "risks",
        f"Distribution of the predicted risk, {count(len(risk))} people",
        caption="Share of people by predicted risk, on a logarithmic axis; risks beyond the axis are counted in its first and "
        "last bar. Expected cases are the sum of the risks: what to expect if they are calibrated.",
        alt=f"Histogram of predicted risks: median {middle}, 5th to 95th percentile {least} to {most}",
        data={"edges": HISTOGRAM_EDGES.tolist(), "share": risk_shares(risk, np.ones(len(risk)))},
        behind=table("risks-table", "People by predicted risk", columns, rows),
    )
    return section("risks-section", "Distribution of the predicted risks", [drawn])


def _performance(own: OwnPeople, evaluated: Evaluated) -> Section:
    model = evaluated.winner
    label = set_label(EXTERNAL)
    records = evaluated.evaluation.where(model=model, group="all")
    rows = []
    for metric, words, digits, share in METRICS:
        found = records.one(metric=metric)
        rows.append(row([words, interval(found, digits=digits, share=share)], {**vars(found)}))
    columns = [column("Metric", numeric=False), column(model_label(model))]
    who = text(
        *(f"{line[:1].upper()}{line[1:]}." for line in own.analysed),
        "Intervals are 95 %: every metric recomputed with each set of jackknife weights, leaving out one sampling unit at a "
        "time; E50 and E90, which are quantiles, with those of a bootstrap of sampling units. The sections above count each "
        "person once. Check that the column holds the outcome of the model.",
    )
    name = "performance"
    metrics = table(f"{name}-metrics", f"Metrics, {label} (95 % intervals)", columns, rows, notes=[OF_DISTANCES])
    parts = [
        section(
            f"{name}-curves",
            "Discrimination, calibration and net benefit",
            [grid(curve_figures(evaluated, "own", EXTERNAL, [model]))],
        ),
        section(
            f"{name}-thresholds",
            "Classification at a risk threshold",
            [threshold_slider(evaluated, EXTERNAL, label), thresholds_table(evaluated, "own", EXTERNAL, label)],
        ),
        section(f"{name}-groups", "Groups of people", [groups_figure(evaluated, "own", EXTERNAL, label)]),
    ]
    return section(name, "Performance where the outcome is known", [who, metrics], sections=parts)


def _people(own: OwnPeople) -> Section:
    people = own.explained
    shown = PeopleShown(
        id_label=own.id_label,
        ids=people.ids,
        features=people.features,
        data=people.data,
        contributions=people.contributions,
        base_values=people.base_values,
        risk=people.risk,
        low=people.low,
        high=people.high,
        low_inputs=people.low_inputs,
        high_inputs=people.high_inputs,
        in_domain=people.in_domain,
        reference=own.reference,
        case=people.case,
        recall_share=people.recall_share,
        coarse=False,
        model=own.model,
    )
    caption = f"Scored people of {own.source}: {own.whom}."
    said = [text(drawn)] if (drawn := _drawn(own)) else []
    return section("people", "The people", [*said, explorer(shown, caption)])


def _limits(own: OwnPeople) -> Section:
    warning = callout(str(own.about["outcome"]["warning"]), tone="warning")
    made_on = str(own.about.get("holds_for", span(own.about["cycles"])))
    return section("limits", "What not to use it for", [warning, cautions(made_on)])

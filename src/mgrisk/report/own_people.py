"""The page of `mgrisk explain`: are the people like those the model was developed on, what drives their risks, who they are."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from mgrisk.errors import few
from mgrisk.features.registry import Feature
from mgrisk.nhanes.codebook import SYNTHETIC
from mgrisk.report.blocks import Block, Section, callout, column, facts, row, section, table, text
from mgrisk.report.content import page_content
from mgrisk.report.explained import ExplainedPeople
from mgrisk.report.formats import count, level_label, number, percent, span, unit_label
from mgrisk.report.people_table import PeopleShown, explorer
from mgrisk.report.sections.drivers import NO_EFFECT, OF_ABSENT
from mgrisk.report.sections.importance import importance_figure, swarm_figure
from mgrisk.report.sections.summary import cautions, not_for
from mgrisk.run_folder.records import Importance
from mgrisk.survey.estimates import weighted_quantile
from mgrisk.types import Floats, JsonRecord

WHOM: Final = "people of this file"
AS_SAMPLE: Final = "The interval is what it would be, were these people a simple random sample of those they stand for."
MADE_UP: Final = "SYNTHETIC model: the people that it was made on are made up. No risk on this page is anybody's."
PSI: Final = (
    "PSI: population stability index over bins of the {} people; 0.1 is a small shift, 0.25 a large one (Siddiqi 2006)."
)
OUTSIDE_SHARE, MISSING_MORE = 0.01, 0.10  # from where a feature is called out
MOST_NAMED = 4  # features that are named for what is missing; the table has all


@dataclass(frozen=True, eq=False)
class OwnPeople:
    """A scored and explained file.

    Attributes
    ----------
    source
        Its name.
    rows, not_eligible, problems
        Rows of the file, those for whom the model does not hold, and how often each code stood.
    not_told
        The line on whom the model does not hold for although no column tells it, or none.
    id_label
        The column that people are found by.
    explained
        Those who could be scored; each stands for one.
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
    """

    source: str
    rows: int
    not_eligible: int
    not_told: list[str]
    problems: Mapping[str, int]
    id_label: str
    explained: ExplainedPeople
    drift: list[JsonRecord]
    absent: Sequence[str]
    auroc: tuple[float, float] | None
    worth_measuring: list[JsonRecord]
    importance: list[Importance]
    about: JsonRecord
    reference: JsonRecord
    drift_people: str = "development"
    model: JsonRecord | None = None


def own_content(own: OwnPeople) -> dict[str, Any]:
    """Describe a file of people, in the shape of `content.report_content`."""
    synthetic = bool(own.about["synthetic"])
    heading = f"{own.about['outcome']['label']}: risks of {count(len(own.explained.risk))} people, explained"
    sections = [_summary(own), _domain(own)]
    if len(own.explained.risk):
        sections += [_drivers(own), _people(own)]
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
    about, risk = own.about, own.explained.risk
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
            "detail": f"{count(len(risk))} scored, {count(rejected)} rejected{excluded}.{unknown} Model {about['name']}{parent} developed on "
            f"{count(about['people'])} people of {span(about['cycles'])}, weighted share of cases "
            f"{percent(about['prevalence'])}.",
        },
        style="lead",
    )
    cards = [
        *_absent_card(own),
        _domain_card(own),
        *([_risk_card(risk), _driver_card(own)] if len(risk) else []),
        not_for(),
    ]
    return section("summary", "In short", [lead, facts(*cards)])


def _domain_card(own: OwnPeople) -> dict[str, Any]:
    outside = int((~own.explained.in_domain).sum())
    share = outside / max(len(own.explained.in_domain), 1)
    return {
        "label": "Are they like the people it was developed on?",
        "value": f"{count(outside)} are not" if outside else "all within its training distribution",
        "range": percent(share) if outside else "",
        "detail": "Outside: a number beyond the middle 99.9 % of the development people, or a category it never saw. Read "
        "such a risk with distrust.",
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
            {"term": "AUROC over cycles left out, with all inputs", "value": whole},
            {"term": "… without those that nobody here has", "value": without},
        ]
    return [
        {
            "label": "Which inputs are absent, and what that costs",
            "value": f"{len(absent)} of {len(labels)} inputs" if absent else "None from all people",
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
            "detail": "With a bar: the share of what is unknown of the log-odds that measuring the input would remove. A risk is "
            "the mean over what absent inputs may be, given those that are there.",
            "tone": "warning" if absent else "",
        }
    ]


def _risk_card(risk: Floats) -> dict[str, Any]:
    low, middle, high = np.quantile(risk, [0.05, 0.5, 0.95])
    return {
        "label": "Their risks",
        "value": percent(float(risk.mean())),
        "range": "mean",
        "lines": [
            {"term": "Median", "value": percent(float(middle))},
            {"term": "5th to 95th percentile", "value": f"{percent(float(low))} to {percent(float(high))}"},
        ],
        "detail": "For people elsewhere a mean risk may be wrong although the order is right: compare it with known cases.",
    }


def _driver_card(own: OwnPeople) -> dict[str, Any]:
    most = own.importance[0].importance or 1.0
    return {
        "label": "What drives their risks",
        "value": ", ".join(record.label for record in own.importance[:2]),
        "lines": [
            {
                "term": record.label,
                "value": number(record.importance, digits=2),
                "bar": round(100.0 * record.importance / most),
            }
            for record in own.importance[:4]
        ],
        "detail": "Mean |SHAP value| in log-odds: what the model reads, not what causes diabetes.",
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
            called.append(f"{feature.label}: {percent(outside)} outside the development people's range.")
        if missing >= known["missing"] + MISSING_MORE:
            more.append((missing, f"{feature.label} ({percent(missing)} here, {percent(known['missing'])} there)"))
    if more:
        most = [told for _, told in sorted(more, key=lambda each: -each[0])[:MOST_NAMED]]
        left = f", and {count(len(more) - len(most))} others" if len(more) > len(most) else ""
        called.append(f"Missing more often than there: {', '.join(most)}{left}.")
    called += [
        f"{labels.get(name, 'Risk')}: PSI {number(record['psi'], digits=2)} against the {own.drift_people} people."
        for name, record in drift.items()
        if record["large"]
    ]
    columns = [
        column("Feature", numeric=False), column("Unit", numeric=False), column("Here"), column("Development people"),
        column("Outside"), column("Missing here"), column("Missing there"), column("PSI (by chance)"),
    ]  # fmt: skip
    blocks: list[Block] = [callout(*called, tone="warning")] if called else []
    caption = (
        "Each feature here and among the development people: median (5th to 95th percentile), or most frequent category"
    )
    blocks.append(table("domain-table", caption, columns, rows, notes=[PSI.format(own.drift_people)]))
    if own.problems:
        codes = [row([code, count(times)], {"code": code, "times": times}) for code, times in own.problems.items()]
        named = [column("Code and column", numeric=False), column("Rows")]
        blocks.append(table("problems", "What was found in the file", named, codes))
    return section("domain", "Are they like the people the model was developed on?", blocks)


def _shift(record: JsonRecord | None) -> str:
    return "–" if record is None else f"{number(record['psi'], digits=2)} ({number(record['psi_by_chance'], digits=2)})"


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
    return section(
        "drivers",
        "What drives their risks",
        [
            text(
                "Shapley values on the scale of the reported risk's log-odds, against the whole weighted development "
                "population. With the base value they add up to the logit of each reported risk.",
                OF_ABSENT,
            ),
            callout(NO_EFFECT),
            importance_figure(own.importance, own.explained, whom=WHOM, interval_of=AS_SAMPLE),
            swarm_figure(own.importance, own.explained, whom=WHOM),
        ],
    )


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
        recall_share=people.recall_share,
        coarse=False,
        model=own.model,
    )
    return section("people", "The people", [explorer(shown, f"The people of {own.source} that could be scored.")])


def _limits(own: OwnPeople) -> Section:
    warning = callout(str(own.about["outcome"]["warning"]), tone="warning")
    made_on = str(own.about.get("holds_for", span(own.about["cycles"])))
    return section("limits", "What not to use it for", [warning, cautions(made_on)])

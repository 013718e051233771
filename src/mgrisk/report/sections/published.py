"""Section on published evidence: cohorts and trials beside what this run found, and what-if options.

The model's own response to changed inputs of people who do not exist is shown apart: a prediction, under its own name.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from mgrisk.evaluate.records import Estimated, Interval, Records
from mgrisk.evidence.adjustment_set import MAIN, MODELS
from mgrisk.evidence.regression import CALIBRATED, FOOD, NONE, PER_100
from mgrisk.evidence.what_if import ASSUMPTIONS, FORMS, MEANING, OPTIONS, STUDIES, TOGETHER, Study, swaps_for
from mgrisk.report.blocks import Block, Section, bullets, callout, column, figure, row, table, text
from mgrisk.report.formats import count, interval, number, percent, percent_digits
from mgrisk.report.population import population
from mgrisk.report.sections import ReportSection
from mgrisk.run_folder import names
from mgrisk.run_folder.folder import RunFolder
from mgrisk.run_folder.records import EvidenceRecord, OptionRecord

OURS: Final = "undiagnosed"
CORRECTIONS: Final = {
    NONE: "odds ratio of undiagnosed diabetes, uncorrected",
    CALIBRATED: "odds ratio of undiagnosed diabetes, corrected for recall error",
}


def published(run: RunFolder) -> Section:
    """Describe published evidence beside the run's association, and what-if options at published relative risks."""
    trials = [study for study in STUDIES.values() if study.kind == "trials"]
    glucose, homa = STUDIES["simental-glucose-2016"], STUDIES["simental-homa-2016"]
    blocks: list[Block] = [
        text(
            "Trials come before cohorts. No trial of magnesium has had new diabetes as its outcome: trials last "
            f"weeks to months and measure glucose and insulin. In {glucose.label}, fasting glucose changed by "
            f"{_shown(glucose)} mmol/L against control, an interval that includes no change; in {homa.label}, "
            f"HOMA-IR changed by {_shown(homa)}. Cohorts counted new diabetes over years, but intake was not "
            "randomised: people who eat more magnesium differ from others in other ways too. Neither shows that "
            "magnesium prevents diabetes."
        ),
        _forest(_ours(run), population(run).design_differences),
        _studies("published-cohorts", "Cohorts", [study for study in STUDIES.values() if study.kind == "cohorts"]),
        _studies("published-trials", "Trials", trials),
        *(_options(run.what_if) if len(run.what_if) else []),
    ]
    return SECTION.of(blocks)


def _shown(study: Study) -> str:
    return interval(_values(study), digits=2, signed=not study.ratio)


def _ours(run: RunFolder) -> Records[EvidenceRecord]:
    return run.evidence.where(analysis="association", outcome=OURS, exposure=FOOD, contrast=PER_100)


def _forest(ours: Records[EvidenceRecord], differences: str) -> Block:
    shown: list[tuple[str, str, Estimated]] = [
        (study.label, "relative risk of new diabetes", _values(study)) for study in STUDIES.values() if study.per_100
    ]
    # From the adjustment for confounders on, each with what the cohorts adjusted for.
    shown += [
        (
            f"This run, {'adjusted for confounders' if adjustment.main else adjustment.label}",
            kind,
            ours.one(model=adjustment.name, correction=correction),
        )
        for adjustment in MODELS[MODELS.index(MAIN) :]
        for correction, kind in CORRECTIONS.items()
        if len(ours.where(model=adjustment.name))
    ]
    points = [{"label": label, "kind": kind, **found.bounds} for label, kind, found in shown]
    rows = [
        row([label, kind, interval(found, digits=2)], point)
        for (label, kind, found), point in zip(shown, points, strict=True)
    ]
    missing = "" if len(ours) else f" This run has no estimate of its own (no {names.EVIDENCE})."
    return figure(
        "published-forest",
        "forest",
        "Magnesium and type 2 diabetes, per 100 mg a day: cohorts and this run",
        caption=(
            "Compare rows of the same adjustment: most cohorts adjusted for body mass index and some for cereal "
            "fibre (with the same result in Dong 2011), which corresponds to the rows of this run with BMI and "
            f"waist, and with fibre. Differences in design: {differences} An odds ratio is farther from 1 than a "
            f"relative risk; here the difference is small.{missing} The cohort meta-analyses share studies and are "
            "not independent."
        ),
        alt=f"Cohort meta-analyses lie between {min(found.value for _, _, found in shown[:3])} and "
        f"{max(found.value for _, _, found in shown[:3])} per 100 mg a day",
        data={"x_label": "Ratio (95 % interval), per 100 mg/d", "null": 1.0, "points": points},
        behind=table(
            "published-forest-table",
            "Per 100 mg a day of magnesium",
            [column("Study", numeric=False), column("Measure", numeric=False), column("Estimate (95 % interval)")],
            rows,
        ),
    )


def _values(study: Study) -> Interval:
    return Interval(study.estimate, study.low, study.high)


def _studies(name: str, what: str, studies: Sequence[Study]) -> Block:
    rows = [
        row(
            [
                study.label,
                f"{study.exposure}: {study.outcome}, {study.contrast}",
                f"{study.scale} {_shown(study)}{' ' + study.unit if study.unit not in {'', '1'} else ''}",
                study.population,
                study.differs,
                study.citation,
            ],
            _values(study).bounds,
        )
        for study in studies
    ]
    heads = (
        "Study",
        "Exposure, outcome, contrast",
        "Estimate (95 % interval)",
        "Population",
        "Differences from this run",
        "Citation",
    )
    return table(name, what, [column(head, numeric=False) for head in heads], rows, folded=True)


def _options(records: Records[OptionRecord]) -> list[Block]:
    people = list(dict.fromkeys(record.person for record in records if record.person != "population"))
    population = records.where(person="population")
    return [
        text(
            "What-if options. Each number is the calibrated risk of this run multiplied by a published relative "
            "risk. It is not the model's own risk at changed inputs, which is under Prediction and is not an "
            "effect. All options assume:"
        ),
        bullets(*ASSUMPTIONS, *(f"{option.label}: {option.assumes}." for option in OPTIONS.values())),
        *(_person(records.where(person=name)) for name in people),
        _population(population),
        callout(
            "People with kidney disease (eGFR below 30) and people who take diuretics, proton pump inhibitors, "
            "antibiotics or bisphosphonates should ask a clinician before taking magnesium. The upper level of 350 "
            "mg a day is for supplements and "
            "medicines alone, not for food.",
            tone="warning",
        ),
        _forms(),
    ]


def _label(option: str) -> str:
    return "All of these together" if option == TOGETHER else OPTIONS[option].label


def _change(record: OptionRecord) -> str:
    if record.option == TOGETHER:
        return ""
    if record.advice.startswith("ask"):
        return record.advice
    if record.dose is None:
        return "not known"
    if record.dose == 0.0:
        return "met already"
    unit = OPTIONS[record.option].unit
    return f"{number(record.dose, digits=1)} {unit}" if record.option != "diet" else unit


def _person(records: Records[OptionRecord]) -> Block:
    first = records.rows[0]
    rows = []
    for record in records:
        risk = "–" if record.estimate is None else interval(record, digits=percent_digits(first.baseline), share=True)
        rows.append(row([_label(record.option), _change(record), risk], vars(record)))
    gap = records.one(option="magnesium_food").dose or 0.0
    swaps = swaps_for(gap)
    notes = [f"Risk today, by this run's model: {percent(first.baseline, digits=percent_digits(first.baseline))}."]
    if swaps:
        total = sum(swap.gain_mg for swap in swaps)
        reached = "" if total >= gap else f" Together {number(total, digits=0)} mg: the rest needs more than these."
        notes.append(f"By food, for example: {'; '.join(swap.sentence for swap in swaps)}.{reached}")
    return table(
        f"options-{first.person}",
        f"What if, for {first.description}",
        [
            column("Option", numeric=False),
            column("Change", numeric=False),
            column("Risk (95 % interval of the published ratio)"),
        ],
        rows,
        notes=notes,
    )


def _population(records: Records[OptionRecord]) -> Block:
    first = records.rows[0]
    lacking = number(records.one(option="magnesium_food").dose or 0.0, digits=0)
    rows = []
    for record in records:
        share = "" if record.share is None else percent(record.share)
        rows.append(row([_label(record.option), share, interval(record, digits=2, share=True)], vars(record)))
    return table(
        "options-population",
        f"What if everybody changed, {first.description}: mean risk",
        [
            column("Option", numeric=False),
            column("Share of people who would change"),
            column("Mean risk (95 % interval)"),
        ],
        rows,
        notes=[
            f"Mean risk today: {percent(first.baseline, digits=2)}, {count(first.n)} people, weighted. People whose habit is not known keep the risk of today.",
            f"The mean shortfall from the RDA of magnesium is {lacking} mg a day, by usual intake, or by the recalled days where usual intake could not be estimated.",
        ],
    )


def _forms() -> Block:
    rows = [
        row(
            [form.name, form.formula, percent(form.share, digits=0), f"{form.salt_mg(100.0):.0f} mg"],
            {"share": form.share},
        )
        for form in FORMS
    ]
    return table(
        "options-forms",
        "Forms of magnesium in supplements",
        [
            column("Form", numeric=False),
            column("Salt", numeric=False),
            column("Magnesium in it"),
            column("Salt for 100 mg"),
        ],
        rows,
        notes=[
            "Labels should name elemental magnesium. Absorption differs between forms and is not included in these numbers."
        ],
        folded=True,
    )


def responses(run: RunFolder) -> list[Block]:
    """Describe the model's risk where the inputs of the options are changed; nothing where no option was asked."""
    records = [record for record in run.what_if if record.model_response is not None]
    people = list(dict.fromkeys(record.person for record in records))
    if not people:
        return []
    by_place = {(record.person, record.option): record for record in records}
    first = {person: by_place[person, TOGETHER] for person in people}
    digits = {person: percent_digits(first[person].baseline) for person in people}
    rows = [
        row(
            ["As they are", *(percent(first[person].baseline, digits=digits[person]) for person in people)],
            {person: first[person].baseline for person in people},
        )
    ]
    for option in (*OPTIONS, TOGETHER):
        found = {person: by_place[person, option].model_response for person in people}
        label = OPTIONS[option].label if option in OPTIONS else "All of these together, but for the supplement"
        cells = [percent(value, digits=digits[person]) for person, value in found.items()]
        rows.append(row([label, *cells], found))
    return [
        table(
            "model-response",
            "The model's risk at changed inputs, three fictitious people: not the effect of a change",
            [
                column("Inputs as after this change", numeric=False),
                *(column(_capital(first[person].description)) for person in people),
            ],
            rows,
            notes=[
                f"{_capital(MEANING)}. The risk does not change where the model does not use an input, or uses it "
                "only through others that stay as they are (a waist, a blood pressure). Published evidence has the "
                "same changes at published relative risks."
            ],
        )
    ]


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]


SECTION = ReportSection("magnesium-evidence", "Published evidence: what trials and cohorts found", published)

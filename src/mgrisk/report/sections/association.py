"""Section on associations: magnesium, glucose and insulin in these people, under sequential adjustment.

Who is studied; estimates uncorrected beside corrected for the error of recalls; then the shape of the association,
differences between groups, mediation, and robustness: specification curve, complete data, cycles left out, negative
controls, E-values, reverse causation.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import numpy as np

from mgrisk.evaluate.records import Records
from mgrisk.evidence.adjustment_set import BODY, CONTROLS, DIET_QUALITY, MAIN, MODELS, OUTCOMES, AdjustmentSet
from mgrisk.evidence.association import FOOD_SOURCE, MODIFIERS
from mgrisk.evidence.mediation import ALL_PATHS, ASSUMPTIONS, NO_PATH
from mgrisk.evidence.people import MEASURED
from mgrisk.evidence.regression import CALIBRATED, FOOD, NONE, PER_100, SUPPLEMENT
from mgrisk.evidence.robustness import EXCLUDED, FLOW, NO_LOSS, NO_SUPPLEMENT, PLAUSIBLE
from mgrisk.features.foods import RICH, RICH_LABEL, food_groups
from mgrisk.report.blocks import (
    Block,
    Section,
    bullets,
    callout,
    column,
    figure,
    row,
    table,
    text,
)
from mgrisk.report.formats import count, interval, number, p_value, percent, span
from mgrisk.report.sections import ReportSection
from mgrisk.run_folder import names
from mgrisk.run_folder.folder import RunFolder
from mgrisk.run_folder.records import EvidenceRecord

Evidence = Records[EvidenceRecord]
AGAINST: Final = " against "


def curves(records: Evidence) -> list[Block]:
    """Return a figure for each outcome that has a curve."""
    drawn, eaten = records.where(analysis="dose-response"), records.where(analysis="intake")
    outcomes = dict.fromkeys(record.outcome for record in drawn if AGAINST in record.contrast)
    return [_curve(drawn.where(outcome=name), name, eaten) for name in outcomes]


def _curve(records: Evidence, name: str, eaten: Evidence) -> Block:
    points = [record for record in records if AGAINST in record.contrast]
    bend = records.one(contrast="non-linearity")
    amount = [float(record.contrast.split(AGAINST)[0]) for record in points]
    reference = points[0].contrast.split(AGAINST)[1]
    label, scale = OUTCOMES[name].label, OUTCOMES[name].scale
    quantiles = [{"label": record.contrast, "mg": record.estimate} for record in eaten]
    said = ", ".join(f"{each.contrast} than {number(each.estimate, digits=0)} mg" for each in eaten.rows[::2])
    rows = [
        row([f"{at:.0f}", interval(record, digits=2)], vars(record)) for at, record in zip(amount, points, strict=True)
    ]
    columns = [column("Usual magnesium from food, mg/d"), column(f"{scale.capitalize()} (95 % interval)")]
    return figure(
        f"curve-{name}",
        "curve",
        f"{label}: {scale} by usual magnesium from food, reference {reference}",
        caption="An association, not an effect. Restricted cubic spline with four knots on expected usual intake, with its "
        "95 % band (design, recall error and correction together), adjusted for confounders, not for body size and other nutrients. Test "
        f"of non-linearity: F = {number(bend.estimate, digits=2)}, {p_value(bend.p, named=True)}. Intake of the "
        f"population: {said}. Curvature is somewhat understated, because expected intake varies less than intake.",
        alt=f"{scale.capitalize()} {number(points[0].estimate, digits=2)} at {amount[0]:.0f} mg and "
        f"{number(points[-1].estimate, digits=2)} at {amount[-1]:.0f} mg",
        data={
            "x_label": "Usual magnesium from food, mg/d",
            "y_label": f"{scale} against {reference}",
            "x": amount,
            **{key: [record.bounds[key] for record in points] for key in ("estimate", "low", "high")},
            "quantiles": quantiles,
        },
        behind=table(f"curve-{name}-table", f"{label}: {scale}, reference {reference}", columns, rows),
    )


def interaction_table(records: Evidence) -> list[Block]:
    """Return the table of groups, where interactions were looked at."""
    found = records.where(analysis="interaction")
    if not len(found):
        return []
    tests = sum(record.p_adjusted is not None for record in found)
    rows = [
        row(
            [
                OUTCOMES[record.outcome].label,
                record.contrast,
                interval(record, digits=2),
                p_value(record.p) if record.p_adjusted is not None else "",
                p_value(record.p_adjusted) if record.p_adjusted is not None else "",
            ],
            vars(record),
        )
        for record in found
    ]
    low = [r for r in found if r.p_adjusted is not None and r.p_adjusted < 0.05]
    said = f"Of {tests} tests, {len(low)} stay below 0.05 after Holm's correction for their number" + (
        f": {'; '.join(_named(record) for record in low)}." if low else ": no evidence of a difference between groups."
    )
    sources = [f"{each.label}: {each.source}." for each in MODIFIERS.values()]
    return [
        table(
            "interactions",
            "Per 100 mg a day of magnesium from food, corrected, in groups of people",
            [
                column("Outcome", numeric=False),
                column("Group", numeric=False),
                column("Estimate (95 % interval)"),
                column("p for interaction"),
                column("p, Holm"),
            ],
            rows,
            notes=[
                "A difference between small groups may go undetected. Sources of the groups and of earlier findings: "
                + " ".join(sources),
            ],
            folded=True,
        ),
        text(said),
    ]


def _named(record: EvidenceRecord) -> str:
    return f"{OUTCOMES[record.outcome].label}, {record.contrast}"


def mediation_blocks(records: Evidence) -> list[Block]:
    """Return the parts of the association by path, their assumptions, and what cannot be told."""
    found = records.where(analysis="mediation")
    if not len(found) or found.rows[0].problem:
        return []
    outcome = OUTCOMES[found.rows[0].outcome]
    rows = [row([record.contrast, record.scale, _part(record)], vars(record)) for record in found]
    shares = {record.contrast.removeprefix("share "): record for record in found if record.scale == "share"}
    together, left = shares.pop(ALL_PATHS), found.one(contrast=NO_PATH)
    said = "; ".join(f"{path.removeprefix('through ')} {_share(record)}" for path, record in shares.items())
    return [
        text(
            f"Mediation analysis: shares of the association of magnesium with {outcome.label.lower()} through each "
            f"path, entered in sequence: {said}. All paths together: {_share(together)}. "
            f"{_sum_words(together, left)} These are parts of an association. They are shares of an effect only if "
            "all of these assumptions hold:"
        ),
        bullets(*ASSUMPTIONS),
        text("These data cannot tell:"),
        bullets(*CANNOT_BE_TOLD),
        table(
            "mediation",
            f"{outcome.label}: the association per 100 mg a day, corrected, and its parts",
            [column("Part", numeric=False), column("Scale", numeric=False), column("Estimate (95 % interval)")],
            rows,
            notes=[
                "Sensitivity: the correlation between unmeasured causes of the mediator and of the outcome at "
                "which this part would be 0; where it is small, little unmeasured confounding would suffice."
            ],
            folded=True,
        ),
    ]


def _share(record: EvidenceRecord) -> str:
    low, high = (percent(each, digits=0) for each in (record.low, record.high))
    return f"{percent(record.estimate, digits=0)} ({low} to {high})"


def _sum_words(together: EvidenceRecord, left: EvidenceRecord) -> str:
    """Say what the sum of the shares means, and the sign of the remaining part."""
    beyond = f"the part through none of them ({left.scale} {_part(left)})"
    if together.estimate is None:
        return ""
    if together.estimate > 1.0:
        return f"The sum is above 100 % because {beyond} has the opposite sign; the shares are therefore not portions of a whole."
    if together.estimate < 0.0:
        return f"The sum is below 0 because the paths together have the opposite sign of the whole association; {beyond} is larger than the whole."
    return f"The rest is {beyond}, of the same sign."


CANNOT_BE_TOLD: Final = (
    "Whether magnesium acts on insulin secretion: HOMA-B of one fasting sample rises with insulin resistance as "
    "long as beta cells compensate and falls when they fail, so one number reflects two opposite processes; a "
    "clamp or a glucose tolerance test with insulin would be needed.",
    "Whether body size is on the path from diet to glucose or precedes the diet.",
    "Which comes first, magnesium or insulin resistance: both were measured at one visit, and high glucose increases renal loss of magnesium.",
    "Cellular mechanisms: NHANES did not measure magnesium in blood, urine or tissue, insulin receptor signalling or absorption.",
)


def _part(record: EvidenceRecord) -> str:
    if record.scale == "share":
        return interval(record, digits=0, share=True)
    if record.scale == "correlation":
        return number(record.estimate, digits=2, signed=True)
    return interval(record, digits=3)


ROBUSTNESS_OF: Final = "undiagnosed"


def robustness_blocks(records: Evidence) -> list[Block]:
    """Return the robustness analyses that the run has."""
    return [
        *_specification_curves(records),
        *_complete_data(records),
        *_cycles(records),
        *_e_values(records),
        *_controls(records),
        *_reverse(records),
    ]


def _specification_curves(records: Evidence) -> list[Block]:
    """Return a figure for each outcome: all specifications, sorted, and the choices behind each."""
    tried = [
        record
        for record in records.where(contrast=PER_100, exposure=FOOD, scale="odds ratio")
        if record.analysis in {"association", "specification"}
    ]
    outcomes = dict.fromkeys(record.outcome for record in tried if record.analysis == "specification")
    return [_specification_curve([record for record in tried if record.outcome == name], name) for name in outcomes]


def _specification_curve(tried: Sequence[EvidenceRecord], name: str) -> Block:
    known = sorted((r for r in tried if r.estimate is not None), key=lambda record: record.value)
    below = sum(record.value < 1.0 for record in known)
    clear = sum(record.high is not None and record.high < 1.0 for record in known)
    label = OUTCOMES[name].label
    choices = [_choices(record) for record in known]
    rows = [
        row([*chosen, count(r.n), interval(r, digits=2)], vars(r)) for chosen, r in zip(choices, known, strict=True)
    ]
    columns = [
        *(column(each, numeric=False) for each in CHOICES),
        column("n"),
        column("Odds ratio (95 % interval)"),
    ]
    panels = [
        {"title": each, "levels": [*dict.fromkeys(levels)]} for each, levels in zip(CHOICES, _levels(), strict=True)
    ]
    reach = f" from {number(known[0].estimate, digits=2)} to {number(known[-1].estimate, digits=2)}" if known else ""
    said = f"{len(known)} specifications (adjustment, recall error, people), sorted{reach}: {below} are below 1, {clear} of them with their whole 95 % interval"
    return figure(
        f"specification-curve-{name}",
        "specifications",
        f"{label}: odds ratio per 100 mg a day of magnesium from food, in all specifications",
        caption=(
            f"An association, not an effect. {said}. {len(tried) - len(known)} could not be estimated. The lower "
            "panel shows the choices behind each estimate. The specifications use overlapping people and are not "
            "independent, so their number is not evidence."
        ),
        alt=said,
        data={
            "y_label": "Odds ratio (95 % interval)",
            "points": [record.bounds | {"choices": chosen} for record, chosen in zip(known, choices, strict=True)],
            "panels": panels,
        },
        behind=table(f"specification-curve-{name}-table", f"{label}: all specifications", columns, rows, folded=True),
    )


CHOICES: Final = ("Adjusted for", "Recall error", "People")
EVERYBODY: Final = "all people"


def _levels() -> tuple[list[str], ...]:
    return (
        [adjustment.label for adjustment in MODELS],
        [*CORRECTIONS.values()],
        [EVERYBODY, PLAUSIBLE, NO_SUPPLEMENT, NO_LOSS],
    )


def _choices(record: EvidenceRecord) -> list[str]:
    adjustment, _, people = record.model.partition(", ")
    label = next(each.label for each in MODELS if each.name == adjustment)
    return [label, CORRECTIONS[record.correction], people or EVERYBODY]


def _complete_data(records: Evidence) -> list[Block]:
    """Return the estimates weighted for complete data, beside the unweighted ones."""
    weighted = records.where(analysis="inverse probability")
    if not len(weighted):
        return []
    rows = []
    for record in weighted:
        same = records.one(
            analysis="association", outcome=record.outcome, model=record.model, exposure=FOOD, contrast=PER_100,
            correction=CALIBRATED, weight_level=record.weight_level,
        )  # fmt: skip
        label = next(
            "confounders" if adjustment.main else adjustment.label
            for adjustment in MODELS
            if adjustment.name == record.model
        )
        rows.append(row([OUTCOMES[record.outcome].label, label, _shown(same), _shown(record)], vars(record)))
    kept = _complete_share(records)
    return [
        text(
            f"Complete data: {kept} Weighting the remaining people by the inverse of their probability of complete "
            "data lets them represent excluded people of the same age, sex, race/ethnicity, habits, body size and "
            "outcomes. It cannot correct for missingness that depends on the missing value itself."
        ),
        table(
            "complete-data",
            "Per 100 mg a day of magnesium from food, corrected: as above, and weighted for complete data",
            [
                column("Outcome", numeric=False),
                column("Adjusted for", numeric=False),
                column("As above (95 % interval)"),
                column("Weighted for complete data"),
            ],
            rows,
            notes=[
                "The probability of complete data is taken as known, which makes these intervals somewhat too wide."
            ],
        ),
    ]


def _complete_share(records: Evidence) -> str:
    steps = records.where(analysis=FLOW, model="fasting").rows
    names = [step.contrast for step in steps]
    if MEASURED not in names:
        return ""
    measured = steps[names.index(MEASURED)]
    later = [step for step in steps[names.index(MEASURED) + 1 :] if not step.contrast.startswith(EXCLUDED)]
    share = float(np.prod([step.value for step in later]))
    return (
        f"of {count(measured.n)} people with the outcomes measured, {count(later[-1].n)} are studied; the others, "
        f"{percent(1.0 - share)} by weight, had no reliable recall or a missing covariate."
    )


def flow_of_participants(records: Evidence) -> list[Block]:
    """Return the flow of participants into the fasting panel, as STROBE asks for it."""
    found = records.where(analysis=FLOW, model="fasting").rows
    kept = [record for record in found if not record.contrast.startswith(EXCLUDED)]
    if not kept:
        return []
    unknown = [f"{record.contrast.removeprefix(EXCLUDED)} {count(record.n)}" for record in found if record not in kept]
    before = [kept[0].n, *(record.n for record in kept)]
    steps = [{"label": r.contrast, "n": r.n, "excluded": n - r.n} for n, r in zip(before, kept, strict=False)]
    rows = [row([r.contrast, count(r.n), count(n - r.n)], vars(r)) for n, r in zip(before, kept, strict=False)]
    return [
        figure(
            "participants",
            "flow",
            "Flow of participants",
            caption=f"Unweighted counts. Values missing at the last exclusion: {', '.join(unknown) or 'none'}; a person may have several.",
            alt=f"{count(kept[0].n)} participants, {count(kept[-1].n)} studied",
            data={"steps": steps},
            behind=table(
                "participants-table",
                "Flow of participants",
                [column("Rule", numeric=False), column("Remaining"), column("Excluded")],
                rows,
            ),
        )
    ]


def _cycles(records: Evidence) -> list[Block]:
    found = records.where(analysis="cycle left out")
    if not len(found):
        return []
    said = []
    for name in dict.fromkeys(record.outcome for record in found):
        values = [r.estimate for r in found.where(outcome=name) if r.estimate is not None]
        if values:
            label = OUTCOMES[name].label
            said.append(f"{label} from {number(min(values), digits=2)} to {number(max(values), digits=2)}")
    rows = [row([OUTCOMES[r.outcome].label, r.model.split(", ")[-1], interval(r, digits=3)], vars(r)) for r in found]
    return [
        text(
            f"With each cycle left out in turn, the corrected estimate adjusted for confounders ranges: {'; '.join(said)}."
        ),
        table(
            "cycles-left-out",
            "Per 100 mg a day, corrected, adjusted for confounders, each cycle left out",
            [column("Outcome", numeric=False), column("Cycle", numeric=False), column("Estimate (95 % interval)")],
            rows,
            folded=True,
        ),
    ]


def _e_values(records: Evidence) -> list[Block]:
    said = [
        f"{OUTCOMES[each.outcome].label} {number(each.estimate, digits=2)} ({number(each.low, digits=2)} for the interval limit)"
        for each in records.where(analysis="e-value", model=MAIN.name, correction=CALIBRATED)
    ]
    if not said:
        return []
    return [
        text(
            "E-values, adjusted for confounders, corrected: to explain the estimate away, an unmeasured confounder "
            "would have to be associated with 100 mg of magnesium and with the outcome by risk ratios of at least: "
            f"{'; '.join(said)}. A healthier diet as a whole may well be such a confounder."
        )
    ]


def _controls(records: Evidence) -> list[Block]:
    found = records.where(analysis="negative control")
    if not len(found):
        return []
    said = _of_controls(found.where(model=MAIN.name))
    quality = found.where(model=DIET_QUALITY.name)
    with_quality = (
        f" Adjusted for the Healthy Eating Index-2020 too: {_of_controls(quality)}. Magnesium and the index are "
        "correlated, which widens these intervals: an estimate no closer to the null, in a wider interval, does "
        "not mean less confounding."
        if len(quality)
        else ""
    )
    return [
        text(
            "Negative controls are outcomes that present magnesium intake cannot cause. Adjusted for confounders, "
            f"corrected, per 100 mg a day: {said}.{with_quality} An association with a negative control is residual "
            "confounding; where there is none, confounding of other outcomes is not ruled out."
        )
    ]


def _of_controls(found: Evidence) -> str:
    said = []
    for record in found:
        control = CONTROLS[record.outcome]
        seen = "" if record.p is None else ", associated" if record.p < 0.05 else ", no evidence of an association"
        said.append(f"{control.label}, {control.scale} {interval(record, digits=2)}{seen}")
    return "; ".join(said)


def _reverse(records: Evidence) -> list[Block]:
    found = records.where(analysis="reverse causation")
    if not len(found):
        return []
    said = "; ".join(
        f"{record.contrast.removesuffix(' against none')} {interval(record, digits=0, signed=True)} mg/d "
        f"({count(record.n)} people)"
        for record in found
    )
    uncorrected = next(iter(records.where(analysis="association", outcome=ROBUSTNESS_OF, correction=NONE)), None)
    share = (
        ""
        if uncorrected is None or not uncorrected.events
        else f" ({percent(uncorrected.events / uncorrected.n)} of the people)"
    )
    return [
        text(
            "Reverse causation: people with diagnosed diabetes are excluded from all of the above, because they "
            "may have changed their diet since the diagnosis. Compared with people without diabetes, adjusted for "
            f"energy and confounders, the difference in magnesium from food is: {said}. People with undiagnosed "
            f"diabetes{share} did not know of it, but years of high glucose also affect thirst, weight and renal "
            "loss of magnesium; data of one visit cannot rule this out."
        )
    ]


SHOWN: Final = ("undiagnosed", "homa_ir")
CORRECTIONS: Final = {NONE: "uncorrected", CALIBRATED: "corrected"}
SUBSAMPLES: Final = {
    "fasting": "of the fasting subsample",
    "ogtt": "of the glucose tolerance test",
    "recall1": "of the first recall",
}


def association(run: RunFolder) -> Section:
    """Describe the associations that the evidence step estimated."""
    if not run.has(names.EVIDENCE):
        return SECTION.absent(
            "no association between magnesium and the outcome was estimated: the pipeline file has no section "
            f"[evidence] and the run folder no {names.EVIDENCE}. The dependence plots under Prediction do not "
            "replace it.",
        )
    everything = run.evidence
    records = everything.where(analysis="association")
    outcomes = list(dict.fromkeys(record.outcome for record in records))
    blocks: list[Block] = [
        _people(records),
        *flow_of_participants(everything),
        *food_sources(everything),
        callout(
            "An association is not an effect. Diet, glucose and insulin were measured at one visit, people who eat "
            "more magnesium differ from others in ways that a questionnaire does not capture, and the recall of "
            "one day says little about habits. Nothing here shows that magnesium prevents diabetes.",
            tone="warning",
        ),
        *(_figure(records, name) for name in SHOWN if name in outcomes),
        _adjustment_table(records, outcomes, FOOD, CALIBRATED, folded=False),
        _adjustment_table(records, outcomes, FOOD, NONE, folded=True),
        _fifths(records, outcomes),
        _adjustment_table(records, outcomes, SUPPLEMENT, CALIBRATED, folded=True),
        text("What each model adjusts for, and why. Each adds to the one before it unless stated otherwise:"),
        bullets(
            *(
                f"{adjustment.label[0].upper()}{adjustment.label[1:]}. {adjustment.reason}"
                for adjustment in models_of(records)
            )
        ),
        *curves(everything),
        *interaction_table(everything),
        *mediation_blocks(everything),
        *robustness_blocks(everything),
    ]
    return SECTION.of(blocks)


def food_sources(records: Evidence) -> list[Block]:
    """Return magnesium a day by food group, good sources marked; nothing where single foods were not read."""
    found = records.where(analysis=FOOD_SOURCE, scale="mg/d")
    if not found.rows:
        return []
    kinds = food_groups()
    together, *groups = found
    share = {record.exposure: record for record in records.where(analysis=FOOD_SOURCE, scale="share")}
    ordered = sorted(groups, key=lambda record: -(record.estimate or 0.0))
    shown = [(RICH_LABEL, together), *((kinds.labels[record.exposure], record) for record in ordered)]
    said = (
        f"Leafy vegetables, nuts, seeds, legumes and whole grains together bring {interval(together, digits=0)} mg a day, "
        f"{interval(share[RICH], digits=0, share=True)} of the magnesium in food."
    )
    bars = [
        {"label": label, "marked": record.exposure in {RICH, *kinds.rich}, **record.bounds} for label, record in shown
    ]
    rows = [
        row(
            [label, interval(record, digits=1), interval(share[record.exposure], digits=1, share=True)],
            {"group": record.exposure, **record.bounds},
        )
        for label, record in shown
    ]
    return [
        figure(
            "food-sources",
            "amounts",
            "Magnesium a day by food group",
            caption=f"{said} Mean of the recalled days of {count(together.n)} people, with 95 % interval; mixed dishes stay "
            "whole in the group of their main food.",
            alt=f"Bar chart of magnesium by food group. {said}",
            data={
                "bars": bars,
                "x_label": "Magnesium from food, mg a day (95 % interval)",
                "marked": "Good sources of magnesium",
                "others": "Other food groups",
            },
            behind=table(
                "food-sources-table",
                "Magnesium a day by food group",
                [
                    column("Food group", numeric=False),
                    column("mg a day (95 % interval)"),
                    column("Share of magnesium from food (95 % interval)"),
                ],
                rows,
                notes=["The groups below the first row add up to all magnesium from food."],
            ),
        )
    ]


def _people(records: Evidence) -> Block:
    said = []
    for name in dict.fromkeys(record.weight_level for record in records):
        of_level = records.where(weight_level=name).rows
        first, outcomes = of_level[0], dict.fromkeys(OUTCOMES[r.outcome].label for r in of_level)
        said.append(
            f"{', '.join(outcomes)}: {count(first.n)} people with the weights {SUBSAMPLES[name]}, NHANES "
            f"{span(str(first.cycles).split(', '))}."
        )
    return text(
        "Analysed are adults without diagnosed diabetes who are not pregnant and have a reliable first recall and all covariates; all models use the same people.",
        *said,
        "Uncorrected estimates use the mean of the recalled days. Corrected estimates use the usual intake "
        "expected from recalls and covariates (regression calibration); their intervals include the error of that "
        "correction.",
    )


def models_of(records: Evidence) -> list[AdjustmentSet]:
    """Return the models of adjustment that a run has: that of diet quality needs USDA's food patterns."""
    there = {record.model for record in records}
    return [model for model in MODELS if model.name in there]


def _estimate(records: Evidence, outcome: str, model: str, exposure: str, correction: str) -> EvidenceRecord:
    return records.one(outcome=outcome, model=model, exposure=exposure, correction=correction, contrast=PER_100)


def _shown(record: EvidenceRecord) -> str:
    digits = {"odds ratio": 2, "ratio": 3, "difference": 4}[record.scale]
    return interval(record, digits=digits, signed=record.scale == "difference")


def _adjustment_table(
    records: Evidence, outcomes: Sequence[str], exposure: str, correction: str, *, folded: bool
) -> Block:
    rows = []
    models = models_of(records)
    for name in outcomes:
        found = [_estimate(records, name, adjustment.name, exposure, correction) for adjustment in models]
        raw = {adjustment.name: record.estimate for adjustment, record in zip(models, found, strict=True)}
        label = f"{OUTCOMES[name].label}, {OUTCOMES[name].scale}"
        rows.append(row([label, *(_shown(record) for record in found)], raw))
    what = "food" if exposure == FOOD else "supplements"
    name = f"adjustment-{what}-{CORRECTIONS[correction]}"
    return table(
        name,
        f"Per 100 mg a day of magnesium from {what}, {CORRECTIONS[correction]}: estimate (95 % interval) by model of adjustment",
        [column("Outcome, scale", numeric=False), *(column(adjustment.label) for adjustment in models)],
        rows,
        notes=[
            "Odds ratios and ratios of geometric means: 1 is no association. Differences: 0 is none. Higher QUICKI "
            "is more sensitive to insulin.",
            "Each column adds to the one before it, diet quality to the confounders alone. Models with body size, "
            "fibre or diet quality may be over-adjusted; the first two are under-adjusted.",
        ],
        folded=folded,
    )


def _fifths(records: Evidence, outcomes: Sequence[str]) -> Block:
    rows = []
    contrasts: list[str] = []
    for name in outcomes:
        of_main = records.where(outcome=name, correction=CALIBRATED, model=MAIN.name)
        found = [record for record in of_main if record.contrast != PER_100]
        contrasts = contrasts or [record.contrast for record in found]
        raw = {record.contrast: record.estimate for record in found}
        rows.append(row([OUTCOMES[name].label, *(_shown(record) for record in found)], raw))
    return table(
        "adjustment-fifths",
        "By fifths of usual magnesium from food, corrected, adjusted for confounders, not for body size and other nutrients",
        [column("Outcome", numeric=False), *(column(each) for each in contrasts)],
        rows,
        notes=[
            "Cuts in mg a day are those of the first outcome's people; other panels have their own, within a few mg."
        ],
        folded=True,
    )


def _figure(records: Evidence, name: str) -> Block:
    outcome = OUTCOMES[name]
    points: list[dict[str, Any]] = []
    models = models_of(records)
    for adjustment in models:
        for correction, word in CORRECTIONS.items():
            record = _estimate(records, name, adjustment.name, FOOD, correction)
            points.append(
                {
                    "label": adjustment.label if correction == NONE else "",
                    "kind": word,
                    **record.bounds,
                }
            )
    main, body = (_shown(_estimate(records, name, adjustment.name, FOOD, CALIBRATED)) for adjustment in (MAIN, BODY))
    behind = [
        row(
            [
                adjustment.label,
                *(_shown(_estimate(records, name, adjustment.name, FOOD, each)) for each in CORRECTIONS),
            ],
            {},
        )
        for adjustment in models
    ]
    return figure(
        f"adjustment-{name}",
        "forest",
        f"{outcome.label}: {outcome.scale} per 100 mg a day of magnesium from food",
        caption=f"An association, not an effect. {outcome.scale.capitalize()} with 95 % interval in each model of "
        "adjustment, for the mean of the recalled days (uncorrected) and for expected usual intake (corrected). The "
        f"corrected estimate is {main} adjusted for confounders, {body} adjusted for body size too.",
        alt=f"Estimates of {len(models)} models; corrected, {main} adjusted for confounders and {body} for body size too",
        data={"x_label": f"{outcome.scale} (95 % interval), {PER_100}", "null": 1.0, "points": points},
        behind=table(
            f"adjustment-{name}-table",
            f"{outcome.label}: {outcome.scale} per 100 mg a day of magnesium from food",
            [column("Adjusted for", numeric=False), *(column(word.capitalize()) for word in CORRECTIONS.values())],
            behind,
        ),
    )


SECTION = ReportSection("magnesium-association", "Association: magnesium and diabetes in these people", association)

"""The main results on magnesium of a run, the same wherever they are shown: all of the evidence together or none of it.

The association adjusted for confounders never stands without the one adjusted for body size too, that of supplements,
and what the negative controls said; and one outcome never without the others.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from mgrisk.cohort.outcomes import OUTCOMES as LABELLED
from mgrisk.evaluate.assess import CROSS_VALIDATED
from mgrisk.evaluate.records import Records
from mgrisk.evidence.adjustment_set import BODY, CONTROLS, MAIN, OUTCOMES, AdjustmentSet
from mgrisk.evidence.records import INCREMENTAL
from mgrisk.evidence.regression import CALIBRATED, FOOD, PER_100, SUPPLEMENT
from mgrisk.features.registry import FEATURES
from mgrisk.report.blocks import Block, column, row, table, text
from mgrisk.report.formats import interval, number, span
from mgrisk.run_folder.folder import RunFolder
from mgrisk.run_folder.records import EvidenceRecord

NOT_ESTIMATED: Final = "not estimated"
MARKER: Final = "homa_ir"


@dataclass(frozen=True)
class Headline:
    """The main results on magnesium.

    Attributes
    ----------
    outcome
        Label of the outcome: that of the run, or the first that was studied where that of the run was not.
    confounders, body_size, supplements
        Corrected association per 100 mg a day: from food adjusted for confounders, for body size too, and from
        supplements adjusted for confounders.
    controls
        The negative controls, adjusted for confounders.
    """

    outcome: str
    confounders: EvidenceRecord
    body_size: EvidenceRecord
    supplements: EvidenceRecord
    controls: tuple[EvidenceRecord, ...]

    @property
    def lines(self) -> list[dict[str, str]]:
        """Lines of the first screen: term and value."""
        scale = f"{self.outcome}, {self.confounders.scale} {PER_100}"
        lines = [
            {"term": f"Association: {scale} from food, adjusted for confounders", "value": _shown(self.confounders)},
            {"term": "… adjusted for body size too", "value": _shown(self.body_size)},
            {"term": "… from supplements, adjusted for confounders", "value": _shown(self.supplements)},
        ]
        if self.controls:
            failed = f"{len(self.failed)} of {len(self.controls)}"
            lines.append({"term": "Negative controls that fail", "value": failed})
        return lines

    @property
    def failed(self) -> tuple[EvidenceRecord, ...]:
        """Controls that magnesium is associated with."""
        return tuple(record for record in self.controls if record.p is not None and record.p < 0.05)

    @property
    def of_controls(self) -> str:
        """Result of the negative controls, in words."""
        if not self.controls:
            return ""
        if not self.failed:
            return (
                f"No negative control shows an association ({_named(self.controls)}), which does not rule out "
                "confounding."
            )
        fail = "fail" if len(self.failed) > 1 else "fails"
        which = "Both" if len(self.failed) == len(self.controls) == 2 else f"{len(self.failed)} of {len(self.controls)}"
        return (
            f"{which} negative controls {fail}: magnesium is associated with what it cannot cause "
            f"({_named(self.failed)}). There is residual confounding."
        )

    @property
    def sentences(self) -> tuple[str, ...]:
        """First paragraph of the chapter."""
        return (
            f"{self.outcome}: 100 mg a day more magnesium from food is associated with "
            f"{_article(self.confounders.scale)} of "
            f"{_shown(self.confounders)} adjusted for confounders, and of {_shown(self.body_size)} adjusted for body "
            f"size too; 100 mg from supplements with {_shown(self.supplements)}.",
            self.of_controls,
            "None of these is an effect.",
        )


def headline(run: RunFolder) -> Headline | None:
    """Return the main results of a run's evidence, None where the run has none."""
    found = run.evidence.where(analysis="association", correction=CALIBRATED, contrast=PER_100)
    if not len(found):
        return None
    own = run.about["outcome"]["name"]
    name = own if len(found.where(outcome=own)) else found.rows[0].outcome
    return Headline(
        OUTCOMES[name].label,
        found.one(outcome=name, model=MAIN.name, exposure=FOOD),
        found.one(outcome=name, model=BODY.name, exposure=FOOD),
        found.one(outcome=name, model=MAIN.name, exposure=SUPPLEMENT),
        run.evidence.where(analysis="negative control", model=MAIN.name, correction=CALIBRATED).rows,
    )


def outcomes_side_by_side(run: RunFolder) -> list[Block]:
    """Return the table of the four outcomes: association, and what magnesium adds to a prediction of each."""
    evidence = run.evidence
    added = evidence.where(analysis=INCREMENTAL)
    if not len(added):
        return []
    studied = evidence.where(analysis="association", correction=CALIBRATED, contrast=PER_100, exposure=FOOD)
    sets = list(dict.fromkeys(record.contrast for record in added))
    rows, apart, better = [], [], []
    for name in dict.fromkeys(record.outcome for record in added):
        main, body = _one(studied, name, MAIN), _one(studied, name, BODY)
        gains = [added.one(outcome=name, contrast=each) for each in sets]
        cells = [_cell(main), _cell(body), *(interval(gain, digits=4, signed=True) for gain in gains)]
        raw = {each: gain.estimate for each, gain in zip(sets, gains, strict=True)}
        rows.append(row([LABELLED[name].label, *cells], raw))
        if body is not None and body.excludes(1.0):
            apart.append(LABELLED[name].label)
        if all(gain.low is not None and gain.low > 0.0 for gain in gains):
            better.append(LABELLED[name].label)
    marker = _one(studied, MARKER, MAIN), _one(studied, MARKER, BODY)
    if marker[0] is not None:
        cells = [_cell(each) for each in marker]
        rows.append(row([f"{OUTCOMES[MARKER].label}, ratio of geometric means", *cells, *("" for _ in sets)], {}))
    return [
        text(
            "Four outcomes compared: adjusted for body size too, the 95 % interval of the association excludes 1 "
            f"for: {_list(apart)}. There is evidence that magnesium improves discrimination, both cross-validated "
            f"and held-out, for: {_list(better)}.",
            *_percent_less(*marker),
        ),
        table(
            "magnesium-outcomes",
            "Magnesium and the four outcomes: odds ratio per 100 mg a day from food, corrected, and AUROC with "
            "magnesium minus AUROC without",
            [
                column("Outcome", numeric=False),
                column("Adjusted for confounders"),
                column("And for body size"),
                *(column(f"AUROC, {_set(each)}") for each in sets),
            ],
            rows,
            notes=[
                "AUROC: a spline logistic regression with the features of this run for each outcome and its "
                "people. The gain of the chosen model is under Incremental value of magnesium in the prediction.",
                "No association with diagnosed diabetes is estimated, because people may have changed their diet "
                "after the diagnosis.",
            ],
        ),
    ]


def _one(studied: Records[EvidenceRecord], name: str, adjustment: AdjustmentSet) -> EvidenceRecord | None:
    return next(iter(studied.where(outcome=name, model=adjustment.name)), None)


def _cell(record: EvidenceRecord | None) -> str:
    return NOT_ESTIMATED if record is None else _shown(record)


def _shown(record: EvidenceRecord) -> str:
    digits = {"odds ratio": 2, "ratio": 3, "difference": 2}[record.scale]
    return interval(record, digits=digits, signed=record.scale == "difference")


def _named(records: tuple[EvidenceRecord, ...]) -> str:
    said = []
    for record in records:
        control = CONTROLS[record.outcome]
        unit = "" if record.scale != "difference" else f" {FEATURES[control.of].unit}"
        label = control.label[:1].lower() + control.label[1:]
        said.append(f"{label}, {record.scale} {_shown(record)}{unit}")
    return "; ".join(said)


def _percent_less(main: EvidenceRecord | None, body: EvidenceRecord | None) -> list[str]:
    if main is None or body is None or main.estimate is None or body.estimate is None:
        return []
    change = [f"{number(100.0 * (each.value - 1.0), digits=1, signed=True)} %" for each in (main, body)]
    return [
        f"HOMA-IR differs by {change[0]} for each 100 mg a day adjusted for confounders, by {change[1]} for body "
        "size too."
    ]


def _article(scale: str) -> str:
    return f"an {scale}" if scale[0] in "aeiou" else f"a {scale}"


def _list(names: list[str]) -> str:
    return "; ".join(names) if names else "none of them"


def _set(name: str) -> str:
    return name if name == CROSS_VALIDATED else f"held-out {span(name.split(', '))}"

"""What magnesium adds to the prediction: the same model with and without it, as the reader needs it said."""

from __future__ import annotations

from typing import Final

from mgrisk.evaluate.records import Gain
from mgrisk.report.blocks import Section, callout, column, row, table, text
from mgrisk.report.formats import interval, model_label, number, span
from mgrisk.report.sections import ReportSection
from mgrisk.run_folder.folder import RunFolder

SHOWN: Final = (
    ("auroc", "AUROC", 4, 1.0),
    ("log_loss", "Log loss, nats", 5, 1.0),
    ("net_benefit@0.05", "Net benefit at 5 %, per 1,000", 2, 1000.0),
    ("net_benefit@0.1", "Net benefit at 10 %, per 1,000", 2, 1000.0),
)


def added_value(run: RunFolder) -> Section:
    """Describe the differences with and without magnesium, and what they do not say."""
    content = run.added_value
    if content.reason:
        return SECTION.absent(content.reason)
    records = content.records
    rows = []
    for set_name in dict.fromkeys(record.set for record in records):
        label = f"Held-out {span([set_name])}" if set_name == run.held_out_name else "Development, cross-validated"
        rows.append(row([label, *("" for _ in SHOWN)]))
        mine = [record for record in records if record.set == set_name]
        for question in dict.fromkeys(record.question for record in mine):
            by_metric = {record.metric: record for record in mine if record.question == question}
            cells = [
                interval(by_metric[metric].times(factor), digits=digits, signed=True)
                for metric, _, digits, factor in SHOWN
            ]
            rows.append(
                row(
                    [question, *cells],
                    {"question": question, "metrics": {name: vars(each) for name, each in by_metric.items()}},
                    level=1,
                )
            )
    blocks = [
        text(
            f"{model_label(content.model)} with its settings as chosen, refitted without features, on the same "
            "people and folds. Each number is the model with what is asked about minus the one without it.",
            *(_words(gain) for gain in held_out_gain(run)),
        ),
        table(
            f"{SECTION.name}-table",
            "What is added, with paired 95 % intervals",
            [column("What is added", numeric=False), *(column(title) for _, title, _, _ in SHOWN)],
            rows,
            notes=[
                "A log loss below 0 is a gain, as is an AUROC or a net benefit above 0. Intervals are of the people who "
                "were sampled to evaluate; that other people would have taught another model is not in them.",
                "Published relative risks allow magnesium about 0.003 of AUROC; more than "
                f"{number(content.limit, digits=2)} would be a reason to look for a leak. IDI and NRI are left out: "
                "they are no proper scores, and reward a model for being miscalibrated.",
            ],
        ),
        callout("What a feature adds to a prediction is no measure of what magnesium does in the body."),
    ]
    return SECTION.of(blocks)


def held_out_gain(run: RunFolder) -> tuple[Gain, ...]:
    """Return how much magnesium adds to the AUROC of held-out people beside everything else; empty where not asked."""
    asked = [
        record for record in run.added_value.records if (record.set, record.metric) == (run.held_out_name, "auroc")
    ]
    return tuple(asked[:1])


def _words(record: Gain) -> str:
    """Say of the held-out gain beside everything else what its interval allows, and no more."""
    shown = interval(record, digits=4, signed=True)
    low, high = record.low, record.high
    if low is not None and low > 0:
        return f"Magnesium makes the model rank held-out people better: {shown} of AUROC."
    if high is not None and high < 0:
        return f"With magnesium the model ranks held-out people worse: {shown} of AUROC."
    return f"That magnesium makes the model rank held-out people better is not shown: {shown} of AUROC."


SECTION = ReportSection("magnesium-added-value", "Incremental value of magnesium in the prediction", added_value)

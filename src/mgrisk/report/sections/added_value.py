"""Section on the incremental value of magnesium in the prediction: the same model with and without it."""

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
            f"{model_label(content.model)} was refitted with the same settings, people and folds, but without the "
            "features that each row names. Each number is the metric with these features minus the metric without "
            "them.",
            *(_words(gain) for gain in held_out_gain(run)),
        ),
        table(
            f"{SECTION.name}-table",
            "Incremental value, with paired 95 % intervals",
            [column("Features", numeric=False), *(column(title) for _, title, _, _ in SHOWN)],
            rows,
            notes=[
                "A gain is a difference below 0 in log loss and above 0 in AUROC and net benefit. The intervals "
                "reflect sampling of the people evaluated; sampling of the development people is not included.",
                "Given the published relative risks, magnesium can add about 0.003 to the AUROC; more than "
                f"{number(content.limit, digits=2)} would suggest a leak. IDI and NRI are not shown: they are not "
                "proper scores and can improve with miscalibration.",
            ],
        ),
        callout("Incremental value in prediction does not measure what magnesium does in the body."),
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
        return f"Magnesium improves discrimination in held-out people: AUROC {shown}."
    if high is not None and high < 0:
        return f"Discrimination in held-out people is worse with magnesium: AUROC {shown}."
    return f"There is no evidence that magnesium improves discrimination in held-out people: AUROC {shown}."


SECTION = ReportSection("magnesium-added-value", "Incremental value of magnesium in the prediction", added_value)

"""The page of `mgrisk benchmark`: entries beside mgrisk's model and published scores, with what was found in them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from mgrisk.evaluate.records import Interval
from mgrisk.nhanes.codebook import SYNTHETIC
from mgrisk.report.blocks import Block, Section, callout, column, row, section, table, text
from mgrisk.report.content import BANNERS, page_content
from mgrisk.report.formats import count, interval, model_label
from mgrisk.run_folder.benchmark import Entered, Task

SHOWN: Final = {
    "auroc": ("AUROC", 3),
    "log_loss": ("Log loss", 4),
    "observed_expected": ("Observed/expected", 2),
    "calibration_slope": ("Slope", 2),
    "net_benefit@0.1": ("Net benefit at 10 %", 4),
}


def leaderboard_content(task: Task, entered: Sequence[Entered]) -> dict[str, Any]:
    """Describe entries, in the shape of `content.report_content`."""
    run = task.run
    label = run.data_label
    heading = f"Benchmark: {run.cohort.outcome.label}"
    sections = [_task(task), *(_entry(number, each) for number, each in enumerate(entered))]
    return page_content(heading, sections, data=label, synthetic=label == SYNTHETIC, banner=BANNERS.get(label, ""))


def is_of(task: Task) -> str:
    """Say whose task it is, in a sentence."""
    people = task.people
    sets = "; ".join(
        f"{count(len(of_set))} {name} people, {count(int(of_set['outcome'].sum()))} cases"
        for name, of_set in people.groupby("set", sort=True)
    )
    frozen = "the task of the published leaderboard" if task.is_frozen else "not the task of the published leaderboard"
    return f"{sets}. sha256 {task.digest[:12]}: {frozen}."


def rows_of(entered: Entered, set_name: str) -> list[list[str]]:
    """Return a line for the entry and for each other model of a set: its name and the metrics that are shown."""
    of_set = entered.metrics[entered.metrics["set"] == set_name]
    lines = []
    for model, records in of_set.groupby("model", sort=False):
        by_metric = {each["metric"]: each for each in records.to_dict("records")}
        name = entered.name if model == entered.name else model_label(str(model))
        lines.append([name, *(_shown(by_metric[metric], metric) for metric in SHOWN)])
    return lines


def _shown(record: Mapping[Any, Any], metric: str, *, signed: bool = False) -> str:
    return interval(Interval.of(record), digits=SHOWN[metric][1], signed=signed)


def _task(task: Task) -> Section:
    blocks: list[Block] = [
        text(is_of(task)),
        text(
            "Each entry is compared on the people that it has a risk for. Published scores are recalibrated on the "
            "development people. Intervals are 95 %, by the jackknife over primary sampling units; differences are "
            "paired."
        ),
    ]
    return section("task", "The task", blocks)


def _entry(number: int, entered: Entered) -> Section:
    head = [column("Model", numeric=False), *(column(label) for label, _ in SHOWN.values())]
    blocks: list[Block] = [callout(_capital(each.sentence, each.set), tone="warning") for each in entered.findings]
    for place, set_name in enumerate(dict.fromkeys(entered.metrics["set"])):
        of_set = entered.metrics[entered.metrics["set"] == set_name].iloc[0]
        people = f"{count(of_set['n'])} people, {count(of_set['events'])} cases"
        metrics = [row(cells) for cells in rows_of(entered, set_name)]
        differences = entered.differences[entered.differences["set"] == set_name]
        minus = [
            row(
                [
                    f"{entered.name} minus {model_label(str(reference))}",
                    *(
                        _shown(
                            {each["metric"]: each for each in records.to_dict("records")}[metric], metric, signed=True
                        )
                        for metric in SHOWN
                    ),
                ]
            )
            for reference, records in differences.groupby("reference", sort=False)
        ]
        blocks += [
            table(f"metrics-{number}-{place}", f"{set_name}: {people}", head, metrics),
            table(f"differences-{number}-{place}", f"{set_name}: paired differences", head, minus),
        ]
    return section(f"entry-{number}", entered.name, blocks)


def _capital(sentence: str, set_name: str) -> str:
    said = f"{set_name}: {sentence}" if set_name else sentence
    return said[0].upper() + said[1:] + "."

"""The page of `mgrisk compare`: paired differences, settings, attrition and the performance of each run."""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from typing import Any, Final

import pandas as pd

from mgrisk.evaluate.assess import CROSS_VALIDATED
from mgrisk.evaluate.records import Interval
from mgrisk.nhanes.codebook import SYNTHETIC
from mgrisk.report.blocks import Block, Section, callout, column, grid, row, section, table, text
from mgrisk.report.content import BANNERS, page_content
from mgrisk.report.formats import count, interval, model_label
from mgrisk.report.sections.performance import DIFFERENCES, METRICS, OF_DISTANCES, curve_figures
from mgrisk.run_folder.comparison import Comparison

NET_BENEFIT: Final = "net_benefit"
LABELS: Final[dict[str, tuple[str, int, bool, float]]] = {
    **{name: (label, digits, share, 1.0) for name, label, digits, share in METRICS},
    **{
        name: (label, digits, False, times)
        for name, (label, digits, times) in DIFFERENCES.items()
        if name.startswith(NET_BENEFIT)
    },
}
"""Label, digits, whether a percentage is shown, and by what the record is multiplied, as the report has it."""


def compared_content(comparison: Comparison) -> dict[str, Any]:
    """Describe a comparison, in the shape of `content.report_content`."""
    labels = {run.data_label for run in comparison.runs.values()}
    synthetic = SYNTHETIC in labels
    heading = f"Runs compared: {', '.join(comparison.runs)}"
    sections = [_summary(comparison), _settings(comparison), _attrition(comparison), _performance(comparison)]
    data = SYNTHETIC if synthetic else ", ".join(sorted(labels))
    banner = BANNERS[SYNTHETIC] if synthetic else ""
    return page_content(heading, sections, data=data, synthetic=synthetic, banner=banner)


def sentences(comparison: Comparison) -> list[str]:
    """Say for each set of people what the difference in AUROC shows, or why there is none."""
    said = [
        f"{each['run']} minus {each['reference']}, {each['set']}, on the same {count(each['n'])} people with "
        f"{count(each['events'])} cases: difference in AUROC (95 % interval) "
        f"{interval(Interval.of(each), signed=True)}, {_shown(Interval.of(each))}."
        for each in comparison.differences.to_dict("records")
        if each["metric"] == "auroc"
    ]
    said += [
        f"{each['run']} and {each['reference']}, {each['set']}: not comparable, because {each['reason']}."
        for each in comparison.not_compared.to_dict("records")
    ]
    return said


def _shown(found: Interval) -> str:
    if found.low is None:
        return "so that nothing can be said of a difference"
    return "evidence of a difference" if found.excludes(0.0) else "no evidence of a difference"


def _summary(comparison: Comparison) -> Section:
    blocks: list[Block] = [
        text(
            f"The reference is {comparison.reference}.",
            *(f"Chosen model of {name}: {model_label(model)}." for name, model in comparison.models.items()),
            "A difference is the run minus the reference on the people who are in the analysis of both, with a paired "
            "95 % interval by the jackknife over PSUs. The risks of development people are cross-validated.",
        ),
        *(callout(sentence) for sentence in sentences(comparison)),
    ]
    for number, (run, rows) in enumerate(comparison.differences.groupby("run", sort=False)):
        sets = list(dict.fromkeys(rows["set"]))
        found = {(each["metric"], each["set"]): each for each in rows.to_dict("records")}
        lines = [
            row(
                [_label_of_difference(metric), *(_difference(found[metric, set_name]) for set_name in sets)],
                {"metric": metric, **{set_name: Interval.of(found[metric, set_name]).bounds for set_name in sets}},
            )
            for metric in dict.fromkeys(rows["metric"])
        ]
        columns = [column("Metric", numeric=False), *(column(f"Difference, {set_name}") for set_name in sets)]
        caption = f"{run} minus {comparison.reference} (95 % intervals)"
        blocks.append(table(f"differences-{number}", caption, columns, lines))
    return section("summary", "Paired differences on the same people", blocks)


def _label_of_difference(metric: str) -> str:
    """Return the label of a difference: without the ideal of the metric, and of percentages in percentage points."""
    label, _, share, _ = LABELS[metric]
    return label.partition(" (ideal")[0] + (", percentage points" if share else "")


def _difference(record: Mapping[Hashable, Any]) -> str:
    _, digits, share, times = LABELS[record["metric"]]
    return interval(Interval.of(record).times(100.0 if share else times), digits=digits, signed=True)


def _in_its_unit(record: Mapping[Hashable, Any]) -> str:
    _, digits, share, times = LABELS[record["metric"]]
    return interval(Interval.of(record).times(times), digits=digits, share=share)


def _settings(comparison: Comparison) -> Section:
    columns = [column("Setting", numeric=False), *(column(name, numeric=False) for name in comparison.runs)]
    lines = [row([key, *(value or "–" for value in cells)]) for key, *cells in comparison.settings.itertuples()]
    block = (
        table("settings-table", "Settings that differ", columns, lines)
        if lines
        else text("No setting differs. What differs comes from the source tables or from versions of mgrisk.")
    )
    return section("settings", "Settings that differ", [block])


def _attrition(comparison: Comparison) -> Section:
    columns = [column("Rule", numeric=False), *(column(name) for name in comparison.runs)]
    blocks = []
    for set_name, rows in comparison.attrition.groupby(level="set", sort=False):
        lines = [row([key[1], *("–" if pd.isna(n) else count(n) for n in ns)]) for key, *ns in rows.itertuples()]
        blocks.append(table(f"attrition-{set_name}", f"People after each rule, {set_name}", columns, lines))
    return section("attrition", "Who is in the analysis", blocks)


def _performance(comparison: Comparison) -> Section:
    columns = [column("Metric", numeric=False), *(column(name) for name in comparison.runs)]
    parts = []
    for set_name, rows in comparison.metrics.groupby("set", sort=False):
        found = {(each["metric"], each["run"]): each for each in rows.to_dict("records")}
        lines = [
            row([LABELS[metric][0], *(_in_its_unit(found[metric, name]) for name in comparison.runs)])
            for metric in dict.fromkeys(rows["metric"])
        ]
        caption = f"Chosen model of each run on the people of that run, {set_name} (95 % intervals)"
        again = set_name == CROSS_VALIDATED
        blocks = [
            table(f"metrics-{set_name}", caption, columns, lines, notes=[] if again else [OF_DISTANCES]),
            grid(_curves(comparison, str(set_name)), folded="The curves of each run, cross-validated" if again else ""),
        ]
        parts.append(section(f"performance-{set_name}", f"Performance, {set_name}", blocks))
    return section("performance", "Performance of each run", [], sections=parts)


def _curves(comparison: Comparison, set_name: str) -> list[Block]:
    """Return the same curve of each run side by side, one kind after the other."""
    of_runs = []
    for place, (name, run) in enumerate(comparison.runs.items()):
        evaluated = CROSS_VALIDATED if set_name == CROSS_VALIDATED else run.held_out_name
        drawn = curve_figures(run, f"run-{place}-{set_name}", evaluated, [run.winner])
        of_runs.append([_named(block, name) for block in drawn])
    return [block for same in zip(*of_runs, strict=True) for block in same]


def _named(block: Block, name: str) -> Block:
    """Return a figure, or the sentence in place of one, with the name of its run before it."""
    told = "title" if block["kind"] == "figure" else "text"
    return {**block, told: f"{name}: {block[told]}"}

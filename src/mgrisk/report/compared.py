"""The page of `mgrisk compare`: settings that differ, attrition, paired differences, and calibration side by side."""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from typing import Any, Final

import pandas as pd

from mgrisk.evaluate.assess import CROSS_VALIDATED
from mgrisk.evaluate.records import Interval
from mgrisk.nhanes.codebook import SYNTHETIC
from mgrisk.report.blocks import Block, Section, callout, column, row, section, table, text
from mgrisk.report.content import BANNERS, page_content
from mgrisk.report.formats import count, interval, model_label
from mgrisk.report.sections.performance import DIFFERENCES, METRICS
from mgrisk.report.sections.performance_figures import calibration_figure, no_calibration
from mgrisk.run_folder.comparison import Comparison

LABELS: Final[dict[str, tuple[str, int, bool, float]]] = {
    **{name: (label, digits, False, times) for name, (label, digits, times) in DIFFERENCES.items()},
    **{name: (label, digits, share, 1.0) for name, label, digits, share in METRICS},
}
"""Label, digits, whether a percentage is shown, and by what the record is multiplied, as the report has it."""
CALIBRATION: Final = ("calibration_intercept", "calibration_slope", "observed_expected", "ici")


def compared_content(comparison: Comparison) -> dict[str, Any]:
    """Describe a comparison, in the shape of `content.report_content`."""
    labels = {run.data_label for run in comparison.runs.values()}
    synthetic = SYNTHETIC in labels
    heading = f"{', '.join(comparison.runs)} compared"
    sections = [_summary(comparison), _settings(comparison), _attrition(comparison), _calibration(comparison)]
    data = SYNTHETIC if synthetic else ", ".join(sorted(labels))
    banner = BANNERS[SYNTHETIC] if synthetic else ""
    return page_content(heading, sections, data=data, synthetic=synthetic, banner=banner)


def sentences(comparison: Comparison) -> list[str]:
    """Say for each set of people what the difference in AUROC shows, or why there is none."""
    said = [
        f"{each['run']} minus {each['reference']}, {each['set']}, on the same {count(each['n'])} people with "
        f"{count(each['events'])} cases: AUROC {interval(Interval.of(each), signed=True)}, {_shown(Interval.of(each))} "
        "(95 % interval)."
        for each in comparison.differences.to_dict("records")
        if each["metric"] == "auroc"
    ]
    said += [
        f"{each['run']} and {each['reference']}, {each['set']}: not comparable, because {each['reason']}."
        for each in comparison.not_compared.to_dict("records")
    ]
    return said


def _shown(found: Interval) -> str:
    if found.excludes(0.0):
        return "a difference"
    return "no difference shown" if found.low is not None else "of which nothing can be said"


def _summary(comparison: Comparison) -> Section:
    blocks: list[Block] = [
        text(
            f"The reference is {comparison.reference}.",
            *(f"Chosen model of {name}: {model_label(model)}." for name, model in comparison.models.items()),
            "Differences are those of the run minus the reference, on the people who are in the analysis of both, with "
            "paired 95 % intervals by the jackknife over PSUs; risks of development people are cross-validated.",
        ),
        *(callout(sentence) for sentence in sentences(comparison)),
    ]
    found = comparison.differences
    for number, ((run, set_name), rows) in enumerate(found.groupby(["run", "set"], sort=False)):
        lines = [
            row(
                [LABELS[each["metric"]][0], _in_its_unit(each, signed=True)],
                {"metric": each["metric"], **Interval.of(each).bounds},
            )
            for each in rows.to_dict("records")
        ]
        columns = [column("Metric", numeric=False), column("Difference (95 % interval)")]
        caption = f"{run} minus {comparison.reference}, {set_name}"
        blocks.append(table(f"differences-{number}", caption, columns, lines))
    return section("summary", "Paired differences on the same people", blocks)


def _in_its_unit(record: Mapping[Hashable, Any], *, signed: bool = False) -> str:
    _, digits, share, times = LABELS[record["metric"]]
    return interval(Interval.of(record).times(times), digits=digits, share=share, signed=signed)


def _settings(comparison: Comparison) -> Section:
    columns = [column("Setting", numeric=False), *(column(name, numeric=False) for name in comparison.runs)]
    lines = [row([key, *(value or "–" for value in cells)]) for key, *cells in comparison.settings.itertuples()]
    block = (
        table("settings-table", "Settings that differ", columns, lines)
        if lines
        else text("All settings are the same: what differs comes from the source tables or from versions.")
    )
    return section("settings", "Settings that differ", [block])


def _attrition(comparison: Comparison) -> Section:
    columns = [column("Rule", numeric=False), *(column(name) for name in comparison.runs)]
    blocks = []
    for set_name, rows in comparison.attrition.groupby(level="set", sort=False):
        lines = [row([key[1], *("–" if pd.isna(n) else count(n) for n in ns)]) for key, *ns in rows.itertuples()]
        blocks.append(table(f"attrition-{set_name}", f"People after each rule, {set_name}", columns, lines))
    return section("attrition", "Who is in the analysis", blocks)


def _calibration(comparison: Comparison) -> Section:
    columns = [column("Metric", numeric=False), *(column(name) for name in comparison.runs)]
    parts = []
    for set_name, rows in comparison.metrics.groupby("set", sort=False):
        lines = []
        for metric in CALIBRATION:
            of_metric = {each["run"]: each for each in rows.to_dict("records") if each["metric"] == metric}
            lines.append(row([LABELS[metric][0], *(_in_its_unit(of_metric[name]) for name in comparison.runs)]))
        caption = f"Calibration of each chosen model on the people of its own run, {set_name}"
        blocks = [table(f"calibration-{set_name}", caption, columns, lines)]
        blocks += [_curve(comparison, name, place, str(set_name)) for place, name in enumerate(comparison.runs)]
        parts.append(section(f"calibration-of-{set_name}", f"Calibration, {set_name}", blocks))
    return section("calibration", "Calibration side by side", [], sections=parts)


def _curve(comparison: Comparison, name: str, place: int, set_name: str) -> Block:
    run = comparison.runs[name]
    evaluated = CROSS_VALIDATED if set_name == CROSS_VALIDATED else run.held_out_name
    if problem := no_calibration(run, evaluated, run.winner):
        return callout(f"{name}: no calibration curve, because {problem}.", tone="warning")
    drawn = calibration_figure(run, f"run-{place}-{set_name}", evaluated, run.winner)
    return {**drawn, "title": f"{name}: {drawn['title']}"}

"""The page of `mgrisk monitor`: alerts, batches over time, and drift by feature, batch and group."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import numpy as np
import pandas as pd

from mgrisk.features.registry import FEATURES
from mgrisk.nhanes.codebook import SYNTHETIC
from mgrisk.report.blocks import Block, Section, bullets, callout, column, facts, figure, row, section, table, text
from mgrisk.report.content import page_content
from mgrisk.report.formats import count, number, percent

MADE_UP: Final = "SYNTHETIC model: the people that it was developed on are made up. No risk on this page is anybody's."
SHOWN: Final = 60
"""Batches in a picture, the latest; the tables have all."""
MOST_FEATURES: Final = 20
RECENT: Final = 10
"""Batches whose alerts are shown; those of the ones before are folded."""
AGAINST: Final = {
    "reference": "the model's reference",
    "others": "the other groups of the batch",
    "before": "earlier batches of the same group",
}
SHIFT_NOTE: Final = (
    "PSI: population stability index over bins between quantiles of the model's reference; 0.1 is a small shift, 0.25 "
    "a large one (Siddiqi 2006). KS: Kolmogorov-Smirnov statistic over the same bins."
)


def monitored_content(
    batches: pd.DataFrame,
    codes: pd.DataFrame,
    shifts: pd.DataFrame,
    alerts: pd.DataFrame,
    *,
    by: str | None,
    synthetic: bool,
    notes: Sequence[str],
) -> dict[str, Any]:
    """Describe batches over time, in the shape of `content.report_content`.

    Parameters
    ----------
    batches, codes, shifts, alerts, by, synthetic, notes
        As `score.monitor.Monitored` has them.
    """
    whole = batches[batches["group"] == ""].reset_index(drop=True)
    models = ", ".join(dict.fromkeys(whole["model"]))
    heading = f"{models}: {count(len(whole))} batches" + (f" by {by}" if by else "")
    sections = [
        _summary(whole, alerts, by, notes),
        _volume(whole, codes),
        _risks(whole),
        _performance(whole),
        _drift(whole, shifts),
        *([_groups(whole, batches, shifts, by)] if by else []),
        _alerts(whole, alerts, by),
    ]
    banner = MADE_UP if synthetic else ""
    data = f"{SYNTHETIC} model" if synthetic else "batches that were scored"
    return page_content(heading, sections, data=data, synthetic=synthetic, banner=banner)


def _summary(whole: pd.DataFrame, alerts: pd.DataFrame, by: str | None, notes: Sequence[str]) -> Section:
    latest = whole.iloc[-1]
    of_latest = alerts[alerts["batch"] == latest["batch"]]
    cards = facts(
        {
            "label": "Latest batch",
            "value": str(latest["batch"]),
            "detail": f"{count(latest['rows'])} rows, {count(latest['rejected'])} rejected, "
            f"{count(latest['not_eligible'])} not eligible; scored {latest['time']}",
        },
        {
            "label": "Alerts",
            "value": count(len(of_latest)) if len(of_latest) else "none",
            "detail": "beyond a limit in the latest batch",
            "tone": "warning" if len(of_latest) else "",
        },
        {
            "label": "Mean risk",
            "value": percent(latest["mean_risk"]),
            "detail": f"{number(latest['expected_cases'], digits=1)} cases expected, if the risks are calibrated",
        },
        _seen_card(whole),
    )
    blocks: list[Block] = [cards, *(callout(_said(each, by), tone="warning") for each in _records(of_latest.head(5)))]
    if len(of_latest) > 5:
        blocks.append(text(f"And {count(len(of_latest) - 5)} more in the table of alerts at the end."))
    return section("summary", "The latest batch", [*blocks, *([bullets(*notes)] if notes else [])])


def _seen_card(whole: pd.DataFrame) -> dict[str, Any]:
    seen = whole[whole["observed_n"].notna()]
    if seen.empty:
        detail = "no outcomes yet: mgrisk evaluate with --history and --batch adds those of a batch"
        return {"label": "Observed / expected cases", "value": "not known", "detail": detail}
    last = seen.iloc[-1]
    return {
        "label": "Observed / expected cases",
        "value": number(last["observed_expected"], digits=2),
        "range": _interval(last, "observed_expected"),
        "detail": f"batch {last['batch']}, {count(last['observed_n'])} people, {count(last['observed_cases'])} cases",
    }


def _said(alert: dict[str, Any], by: str | None) -> str:
    where = f"{by} {alert['group']}: " if alert["group"] else ""
    return f"{where}{alert['says']}."


def _records(frame: pd.DataFrame) -> list[dict[str, Any]]:
    return [{str(name): value for name, value in each.items()} for each in frame.to_dict("records")]


def _trend(
    name: str, title: str, whole: pd.DataFrame, lines: dict[str, str], *, y: str, caption: str, unit: float = 1.0,
    points: dict[str, tuple[str, str, str]] | None = None, level: float | None = None, digits: int = 0,
) -> Block:  # fmt: skip
    """Return a picture of columns of the batches over the batches, as lines, or as points with intervals."""
    latest = whole.tail(SHOWN)
    series = [{"label": label, "y": (unit * latest[each]).tolist()} for each, label in lines.items()]
    spans = [
        {"label": label, **dict(zip(("y", "low", "high"), ((unit * latest[e]).tolist() for e in ends), strict=True))}
        for label, ends in (points or {}).items()
    ]
    shown = {**lines, **{ends[0]: label for label, ends in (points or {}).items()}}
    columns = [column("Batch", numeric=False), *(column(label) for label in shown.values())]
    rows = [
        row([str(each["batch"]), *(_known(unit * each[name], digits=digits) for name in shown)])
        for each in _records(whole)
    ]
    data = {"batches": [str(each) for each in latest["batch"]], "lines": series, "points": spans, "y_label": y}
    behind = table(f"{name}-table", title, columns, rows)
    alt = f"{title}: {', '.join(shown.values())} of each of {len(latest)} batches"
    return figure(name, "trend", title, caption=caption, alt=alt, data={**data, "level": level}, behind=behind)


def _volume(whole: pd.DataFrame, codes: pd.DataFrame) -> Section:
    shown = _trend(
        "volume", "Rows of each batch", whole, {"rows": "Rows", "scored": "Scored"}, y="Rows", level=0.0,
        caption="Rows that are not scored are rejected or not eligible.",
    )  # fmt: skip
    latest = codes[(codes["group"] == "") & (codes["batch"] == whole["batch"].iloc[-1])]
    lines = [row([each["code"], count(each["rows"]), percent(each["share"])]) for each in _records(latest)]
    named = [column("Code and column", numeric=False), column("Rows"), column("Share")]
    block = (
        table("codes", f"Why rows of {whole['batch'].iloc[-1]} were not scored", named, lines)
        if lines
        else text("All rows of the latest batch were scored.")
    )
    return section("volume-section", "Volume and rejected rows", [shown, block])


def _risks(whole: pd.DataFrame) -> Section:
    lines = {"risk_10": "10th percentile", "risk_50": "Median", "risk_90": "90th percentile", "mean_risk": "Mean"}
    shown = _trend(
        "risks", "Risks of each batch", whole, lines, y="Risk, %", level=0.0, unit=100.0, digits=2,
        caption="Quantiles are read off bins of 0.02 in log-odds.",
    )  # fmt: skip
    return section("risks-section", "Distribution of the risks", [shown])


def _performance(whole: pd.DataFrame) -> Section:
    ranks = _trend(
        "auroc", "AUROC of each batch", whole, {"expected_auroc": "Expected"}, y="AUROC", digits=3,
        points={"Observed, 95 % interval": ("auroc", "auroc_low", "auroc_high")},
        caption="Expected is what the risks imply if they are calibrated; only outcomes show whether they are.",
    )  # fmt: skip
    blocks = [ranks]
    if whole["observed_n"].notna().any():
        ends = ("observed_expected", "observed_expected_low", "observed_expected_high")
        level = _trend(
            "ratio", "Observed over expected cases", whole, {}, y="Observed / expected", digits=2,
            points={"Observed / expected, 95 % interval": ends}, level=1.0,
            caption="Ideal 1: above, the risks are too low. Batches without outcomes have none.",
        )  # fmt: skip
        columns = [
            column("Batch", numeric=False), column("People"), column("Cases"), column("Expected of the batch"),
            column("Observed / expected (95 % interval)"), column("AUROC (95 % interval)"),
        ]  # fmt: skip
        lines = [
            row(
                [
                    str(each["batch"]),
                    count(each["observed_n"]),
                    count(each["observed_cases"]),
                    number(each["expected_cases"], digits=1),
                    f"{number(each['observed_expected'], digits=2)} {_interval(each, 'observed_expected')}",
                    f"{number(each['auroc'], digits=3)} {_interval(each, 'auroc', digits=3)}",
                ]
            )
            for each in _records(whole[whole["observed_n"].notna()])
        ]
        blocks += [level, table("outcomes", "Batches whose outcomes are known", columns, lines)]
    return section("performance", "Expected and observed performance", blocks)


def _interval(record: Any, metric: str, *, digits: int = 2) -> str:
    low, high = record[f"{metric}_low"], record[f"{metric}_high"]
    if low != low or high != high:
        return "(interval not estimable)"
    return f"({number(low, digits=digits)} to {number(high, digits=digits)})"


def _known(value: float, *, digits: int) -> str:
    """Return a number, or a dash where a batch has none."""
    return "–" if np.isnan(value) else number(value, digits=digits)


def _label(name: str) -> str:
    return FEATURES[name].label if name in FEATURES else name.capitalize()


def _heat(name: str, title: str, found: pd.DataFrame, across: str, places: Sequence[str], *, caption: str) -> Block:
    """Return a picture of PSI by feature (rows) and batch or group (columns), those of the largest first."""
    psi = found.pivot_table(index="feature", columns=across, values="psi", dropna=False).reindex(columns=[*places])
    psi = psi.loc[psi.max(axis=1).fillna(-1.0).sort_values(ascending=False, kind="stable").index]
    shown = psi.head(MOST_FEATURES)
    data = {
        "rows": [_label(str(each)) for each in shown.index],
        "columns": [str(each) for each in places],
        "values": shown.to_numpy().tolist(),
        "x_label": across.capitalize(),
    }
    columns = [column("Feature", numeric=False), *(column(str(each)) for each in places)]
    lines = [
        row([_label(str(feature)), *(_known(value, digits=2) for value in values)])
        for feature, values in zip(psi.index, psi.to_numpy(), strict=True)
    ]
    behind = table(f"{name}-table", title, columns, lines, notes=[SHIFT_NOTE])
    alt = f"{title}: largest {number(float(np.nanmax(psi.to_numpy(), initial=0.0)), digits=2)}"
    return figure(name, "heat", title, caption=f"{caption} {SHIFT_NOTE}", alt=alt, data=data, behind=behind)


def _drift(whole: pd.DataFrame, shifts: pd.DataFrame) -> Section:
    latest = whole["batch"].tail(SHOWN).tolist()
    of_whole = shifts[(shifts["group"] == "") & shifts["batch"].isin(latest)]
    blocks: list[Block] = [
        _heat(
            f"drift-{against}", f"PSI of each batch against {AGAINST[against].removesuffix(' of the same group')}",
            of_whole[of_whole["against"] == against], "batch", latest, caption=says,
        )
        for against, says in (
            ("reference", "People of a clinic differ from it without anything being wrong."),
            ("before", "Each batch beside all earlier ones of the same model; the first has none."),
        )
        if (of_whole["against"] == against).any()
    ]  # fmt: skip
    last = of_whole[(of_whole["against"] == "reference") & (of_whole["batch"] == latest[-1])]
    columns = [
        column("Feature", numeric=False), column("PSI"), column("KS (SE)"), column("Missing"),
        column("Missing in the reference"),
    ]  # fmt: skip
    lines = [
        row(
            [
                _label(each["feature"]),
                number(each["psi"], digits=2),
                f"{number(each['ks'], digits=2)} ({number(each['ks_se'], digits=2)})",
                percent(each["missing"]),
                percent(each["missing_against"]),
            ]
        )
        for each in _records(last.sort_values("psi", ascending=False))
    ]
    blocks.append(table("features", f"Features and risk of {latest[-1]}", columns, lines, notes=[SHIFT_NOTE]))
    return section("drift", "Distribution shift and missing values", blocks)


def _groups(whole: pd.DataFrame, batches: pd.DataFrame, shifts: pd.DataFrame, by: str) -> Section:
    latest = whole["batch"].iloc[-1]
    of_latest = batches[(batches["batch"] == latest) & (batches["group"] != "")]
    columns = [
        column(by, numeric=False), column("Rows"), column("Rejected"), column("Out of distribution"),
        column("Mean risk"), column("Expected cases"), column("Observed / expected (95 % interval)"),
    ]  # fmt: skip
    lines = [
        row(
            [
                str(each["group"]),
                count(each["rows"]),
                f"{count(each['rejected'])} ({percent(each['rejected'] / max(each['rows'], 1))})",
                percent(each["outside"]),
                percent(each["mean_risk"]),
                number(each["expected_cases"], digits=1),
                f"{number(each['observed_expected'], digits=2)} {_interval(each, 'observed_expected')}"
                if each["observed_n"] == each["observed_n"]
                else "–",
            ]
        )
        for each in _records(of_latest)
    ]
    blocks: list[Block] = [table("groups", f"{latest} by {by}", columns, lines)]
    of_groups = shifts[(shifts["batch"] == latest) & (shifts["group"] != "")]
    groups = of_latest["group"].tolist()
    for against in ("others", "before"):
        found = of_groups[of_groups["against"] == against]
        if not found.empty:
            title = f"PSI of each {by} against {AGAINST[against]}, {latest}"
            caption = "Others are those of the same batch, but for those that were found to differ more."
            says = caption if against == "others" else ""
            blocks.append(_heat(f"groups-{against}", title, found, "group", groups, caption=says))
    return section("groups-section", f"By {by}", blocks)


def _alerts(whole: pd.DataFrame, alerts: pd.DataFrame, by: str | None) -> Section:
    latest = alerts["batch"].isin(whole["batch"].tail(RECENT))
    blocks = [
        _alert_table(name, caption, found, by, folded=folded)
        for name, caption, found, folded in (
            ("alert-table", "Beyond a limit, the latest batch first", alerts[latest], False),
            ("earlier-alerts", f"Before the latest {RECENT} batches", alerts[~latest], True),
        )
        if len(found)
    ]
    return section("alerts", "All alerts", blocks or [text("No batch was beyond a limit.")])


def _alert_table(name: str, caption: str, alerts: pd.DataFrame, by: str | None, *, folded: bool) -> Block:
    columns = [column(f"Batch and {by}" if by else "Batch", numeric=False), column("What", numeric=False)]
    lines = [
        row(
            [
                f"{each['batch']}, {each['group']}" if each["group"] else str(each["batch"]),
                f"{each['says']} (limit {each['limit']:g})",
            ],
            {key: each[key] for key in ("alert", "feature", "against", "value", "limit")},
        )
        for each in _records(alerts)
    ]
    return table(name, caption, columns, lines, folded=folded)

"""`mgrisk monitor`: batches over time, from the history that `mgrisk score --history` writes."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from mgrisk.cli.terminal import DISCLAIMER, aligned, say
from mgrisk.errors import ExitStatus

if TYPE_CHECKING:
    import pandas as pd

    from mgrisk.score.monitor import Monitored

HELP = "monitor scored batches over time: volume, drift, performance, alerts"
ABOUT = (
    "Show the batches of a history: rows and rejects, distribution shift, expected and observed performance, and an "
    "alert for what is beyond a limit."
)
EXAMPLES = (
    "mgrisk monitor batches.jsonl --by clinic -o monitor.html",
    "mgrisk monitor batches.jsonl --format json",
    "mgrisk monitor batches.jsonl --fail-on-alerts",
)
MOST = 20
"""Batches and alerts on the terminal; the page and JSON have all."""


def add(parser: argparse.ArgumentParser) -> None:
    """Add the options."""
    parser.add_argument("history", metavar="FILE", help="written by `mgrisk score … --history FILE`")
    parser.add_argument("--by", metavar="COLUMN", help="by the texts of a column that batches were counted by")
    parser.add_argument("--limits", metavar="FILE.toml", help="limits of alerts that are to be others than mgrisk's")
    parser.add_argument("-o", "--output", metavar="PAGE.html", help="a page with all tables and pictures")
    parser.add_argument("--format", choices=["table", "json"], default="table", help="of what is printed (table)")
    parser.add_argument(
        "--fail-on-alerts", action="store_true", help="exit with status 7 where the latest batch has alerts"
    )


def run(options: argparse.Namespace) -> int:
    """Do it, and return the exit status."""
    from mgrisk.score.history import read_history
    from mgrisk.score.monitor import monitor, read_limits
    from mgrisk.storage.destinations import output_file, prepare_files
    from mgrisk.storage.files import to_json

    history, limits = Path(options.history), Path(options.limits) if options.limits else None
    if options.output:
        prepare_files(options.output, inputs=[history, *([limits] if limits else [])])
    found = monitor(read_history(history), read_limits(limits), by=options.by)
    # A page that is written to standard output stands there alone.
    streams = options.output is not None and output_file(options.output) is None
    if options.format == "json" and not streams:
        print(to_json(found.to_dict()), end="")
    elif not streams:
        print("\n".join(_lines(found)))
    if options.output:
        from mgrisk.report.monitored import monitored_content
        from mgrisk.report.render import write_page

        tables = found.batches, found.codes, found.shifts, found.alerts
        content = monitored_content(*tables, by=found.by, synthetic=found.synthetic, notes=found.notes)
        written = write_page(content, Path(options.output))
        say(f"page: {written.path} ({written.size / 2**20:.1f} MB)")
    say(DISCLAIMER)
    return ExitStatus.ALERTS if options.fail_on_alerts and len(_latest(found)[1]) else ExitStatus.DONE


def _latest(found: Monitored) -> tuple[str, pd.DataFrame]:
    """Return the name of the latest batch and its alerts."""
    latest = str(found.batches["batch"].iloc[-1])
    return latest, found.alerts[found.alerts["batch"] == latest]


def _lines(found: Monitored) -> list[str]:
    from mgrisk.score.monitor import WHOLE

    whole = found.batches[found.batches["group"] == WHOLE].tail(MOST)
    head = ("batch", "model", "rows", "rejected", "mean risk", "expected", "observed", "O/E", "alerts")
    cells = [head]
    for row in whole.to_dict("records"):
        alerts = int((found.alerts["batch"] == row["batch"]).sum())
        seen = row["observed_n"] == row["observed_n"]
        cells.append(
            (
                row["batch"],
                row["model"],
                f"{row['rows']:,}",
                f"{row['rejected']:,}",
                f"{row['mean_risk']:.4f}" if row["scored"] else "-",
                f"{row['expected_cases']:,.1f}",
                f"{row['observed_cases']:,.0f}" if seen else "-",
                f"{row['observed_expected']:.2f}" if seen else "-",
                f"{alerts:,}",
            )
        )
    lines = aligned(cells)
    latest, alerts = _latest(found)
    lines.append(f"{latest}: {len(alerts)} alerts" if len(alerts) else f"{latest}: nothing beyond its limit")
    for each in alerts.head(MOST).to_dict("records"):
        where = f"{found.by} {each['group']}: " if each["group"] else ""
        lines.append(f"  {where}{each['says']}")
    if len(alerts) > MOST:
        lines.append(f"  and {len(alerts) - MOST} more: --format json or a page (-o) has all")
    return [*lines, *found.notes]

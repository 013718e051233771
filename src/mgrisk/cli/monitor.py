"""`mgrisk monitor`: monitor scored batches over time, from the history that `mgrisk score --history` writes."""

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
    "Show the batches of a history: rows, rejected rows, distribution shift, expected and observed performance, and "
    "an alert for each value beyond its limit."
)
EXAMPLES = (
    "mgrisk monitor batches.jsonl --by clinic -o monitor.html",
    "mgrisk monitor batches.jsonl --format json",
    "mgrisk monitor batches.jsonl --fail-on-alerts",
)
MOST = 20
"""Batches and alerts shown on the terminal; the page and JSON have all."""


def add(parser: argparse.ArgumentParser) -> None:
    """Add the options."""
    parser.add_argument("history", metavar="FILE", help="written by `mgrisk score … --history FILE`")
    parser.add_argument("--by", metavar="COLUMN", help="show each value of a column that batches were counted by")
    parser.add_argument("--limits", metavar="FILE.toml", help="alert limits that replace the defaults")
    parser.add_argument("-o", "--output", metavar="PAGE.html", help="write a page with all tables and figures")
    parser.add_argument("--format", choices=["table", "json"], default="table", help="format of the output (table)")
    parser.add_argument(
        "--fail-on-alerts", action="store_true", help="exit with status 7 if the latest batch has alerts"
    )


def run(options: argparse.Namespace) -> int:
    """Run the command and return its exit status."""
    from mgrisk.score.history import read_history
    from mgrisk.score.monitor import monitor, read_limits
    from mgrisk.storage.destinations import output_file, prepare_files
    from mgrisk.storage.files import to_json

    history, limits = Path(options.history), Path(options.limits) if options.limits else None
    if options.output:
        prepare_files(options.output, inputs=[history, *([limits] if limits else [])])
    found = monitor(read_history(history), read_limits(limits), by=options.by)
    # With the page on standard output, nothing else is printed there.
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
        n_alerts = int((found.alerts["batch"] == row["batch"]).sum())
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
                f"{n_alerts:,}",
            )
        )
    lines = aligned(cells)
    latest, of_latest = _latest(found)
    count = len(of_latest)
    lines.append(f"{latest}: {count} alerts" if count else f"{latest}: nothing beyond its limit")
    for each in of_latest.head(MOST).to_dict("records"):
        where = f"{found.by} {each['group']}: " if each["group"] else ""
        lines.append(f"  {where}{each['says']}")
    if count > MOST:
        lines.append(f"  and {count - MOST} more: --format json or a page (-o) has all")
    return [*lines, *found.notes]

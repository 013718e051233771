"""`mgrisk report`: write the report of a finished run again."""

from __future__ import annotations

import argparse

from mgrisk.errors import ExitStatus

HELP = "write the report of a finished run again"
ABOUT = "Write the HTML report and the model card from the files of a run; nothing is fitted."
EXAMPLES = ("mgrisk report runs/demo",)


def add(parser: argparse.ArgumentParser) -> None:
    """Add the options."""
    parser.add_argument("run", metavar="RUN", help="run folder")


def run(options: argparse.Namespace) -> int:
    """Run the command and return its exit status."""
    from mgrisk.pipeline.finished import open_run
    from mgrisk.report.render import write_report

    written = write_report(open_run(options.run).folder)
    if written.failed_sections:
        print(f"sections that failed: {', '.join(written.failed_sections)}")
    print(f"report: {written.path} ({written.size / 2**20:.1f} MB)")
    return ExitStatus.DONE

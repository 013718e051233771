"""`mgrisk report`: write the report of a finished run again."""

from __future__ import annotations

import argparse
from pathlib import Path

from mgrisk.errors import ExitStatus, bad_input

HELP = "write the report of a finished run again"


def add(parser: argparse.ArgumentParser) -> None:
    """Add the options."""
    parser.add_argument("run", metavar="RUN", help="run folder")


def run(options: argparse.Namespace) -> int:
    """Do it, and return the exit status."""
    from mgrisk.report.render import write_report
    from mgrisk.run_folder.folder import is_run

    folder = Path(options.run)
    if not is_run(folder):
        raise bad_input(
            "report.no_run",
            "this is not the folder of a run",
            where=str(folder),
            hint="name a folder that `mgrisk run` wrote, such as runs/demo",
        )
    written = write_report(folder)
    if written.failed_sections:
        print(f"could not be made: {', '.join(written.failed_sections)}")
    print(f"report: {written.path} ({written.size / 2**20:.1f} MB)")
    return ExitStatus.DONE

"""`mgrisk compare`: compare finished runs on the same people."""

from __future__ import annotations

import argparse
from pathlib import Path

from mgrisk.cli.terminal import DISCLAIMER
from mgrisk.errors import ExitStatus

HELP = "compare finished runs on the people they share"
ABOUT = (
    "Print the settings that differ and the paired difference in AUROC with its 95 % interval, and write a page with "
    "all metrics, attrition and curves. The first run is the reference."
)
EXAMPLES = ("mgrisk compare runs/demo runs/other -o page.html",)


def add(parser: argparse.ArgumentParser) -> None:
    """Add the options."""
    parser.add_argument("runs", nargs="+", metavar="RUN", help="run folders; the first is the reference")
    parser.add_argument("-o", "--output", metavar="PAGE.html", help="write a page with all metrics and curves")


def run(options: argparse.Namespace) -> int:
    """Run the command and return its exit status."""
    from mgrisk.report.compared import compared_content, sentences
    from mgrisk.report.render import write_page
    from mgrisk.run_folder.comparison import compare_runs
    from mgrisk.storage.destinations import prepare_files

    if options.output:
        prepare_files(options.output, inputs=options.runs)
    found = compare_runs(options.runs)
    content = compared_content(found)
    print(content["title"])
    if len(found.settings):
        print(f"settings that differ ({' | '.join(found.runs)}):")
    for setting, *values in found.settings.itertuples():
        print(f"  {setting}: {' | '.join(value or '–' for value in values)}")
    for sentence in sentences(found):
        print(sentence)
    if options.output:
        written = write_page(content, Path(options.output))
        print(f"page: {written.path} ({written.size / 2**20:.1f} MB)")
    print(DISCLAIMER)
    return ExitStatus.DONE

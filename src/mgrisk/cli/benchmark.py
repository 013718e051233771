"""`mgrisk benchmark`: evaluate other models on the task of an outcome, beside mgrisk's model and published scores."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from mgrisk.cli.terminal import DISCLAIMER, aligned, say
from mgrisk.errors import ExitStatus

HELP = "evaluate your model's risks on the task of a released one"
ABOUT = (
    "Compare your model's risks with mgrisk's and with published scores on the same people, folds and held-out cycle. "
    "Without --run, the pipeline of the outcome is run up to its evaluation."
)
EXAMPLES = (
    "mgrisk benchmark undiagnosed --people people.csv",
    "mgrisk benchmark undiagnosed --entry mine.csv -o page.html",
)


def add(parser: argparse.ArgumentParser) -> None:
    """Add the options."""
    parser.add_argument("outcome", metavar="OUTCOME", help="undiagnosed, diabetes, dysglycaemia or insulin-resistance")
    parser.add_argument(
        "--entry",
        action="append",
        default=[],
        metavar="FILE.csv",
        help="columns SEQN and risk; may be given several times",
    )
    parser.add_argument("--people", metavar="FILE.csv", help="write the people of the task: set, fold, design, outcome")
    parser.add_argument("--run", metavar="DIR", help="use the people of this finished run")
    parser.add_argument("-o", "--output", metavar="PAGE.html", help="write a page with all metrics and differences")
    parser.add_argument("--format", choices=["table", "json"], default="table", help="format of the output (table)")


def run(options: argparse.Namespace) -> int:
    """Run the command and return its exit status."""
    from mgrisk.pipeline.benchmark import open_task, read_entry
    from mgrisk.report.leaderboard import SHOWN, is_of, leaderboard_content, rows_of
    from mgrisk.report.render import write_page
    from mgrisk.run_folder.benchmark import enter
    from mgrisk.storage.destinations import prepare_files
    from mgrisk.storage.files import write_text

    outputs = filter(None, (options.people, options.output))
    prepare_files(*outputs, inputs=[*options.entry, *([options.run] if options.run else [])])
    entries = {Path(file).stem: read_entry(Path(file)) for file in options.entry}
    task = open_task(options.outcome, run=Path(options.run) if options.run else None, progress=say)
    entered = [enter(task, name, entry) for name, entry in entries.items()]
    if options.people:
        write_text(Path(options.people), task.people.to_csv(index=False, lineterminator="\n"))
    if options.format == "json":
        print(json.dumps([each.to_dict() for each in entered], indent=1))
    else:
        print(is_of(task))
        if entered:
            print("Estimates with 95 % intervals:")
        for each in entered:
            for set_name in dict.fromkeys(each.metrics["set"]):
                lines = [[set_name, *(label for label, _ in SHOWN.values())], *rows_of(each, set_name)]
                print("\n".join(aligned(lines)))
            for finding in each.findings:
                print(f"! {finding.set + ': ' if finding.set else ''}{finding.sentence}")
    if options.output:
        say(f"page: {write_page(leaderboard_content(task, entered), Path(options.output)).path}")
    say(DISCLAIMER)
    return ExitStatus.DONE

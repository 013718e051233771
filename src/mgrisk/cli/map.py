"""`mgrisk map`: an extract of your cohort into a scoring file, by a mapping file."""

from __future__ import annotations

import argparse
from pathlib import Path

from mgrisk.cli.options import add_missing
from mgrisk.cli.terminal import tell
from mgrisk.errors import ExitStatus

HELP = "an extract of your cohort into a scoring file, by a mapping file"


def add(parser: argparse.ArgumentParser) -> None:
    """Add the options."""
    parser.add_argument("input", metavar="EXTRACT", help="file, folder of files, or - for standard input")
    parser.add_argument("--mapping", required=True, metavar="FILE", help="TOML: columns, units, codes")
    parser.add_argument("-o", "--output", required=True, metavar="FILE", help="CSV")
    parser.add_argument("--overwrite", action="store_true", help="replace the file where it is there already")
    add_missing(parser)


def run(options: argparse.Namespace) -> int:
    """Do it, and return the exit status."""
    from mgrisk.config.checked import brief
    from mgrisk.score.mapping import map_file, read_mapping
    from mgrisk.storage.destinations import prepare_files

    prepare_files(options.output, inputs=[options.input, options.mapping], overwrite=options.overwrite)
    mapping = read_mapping(Path(options.mapping))
    done = map_file(options.input, mapping, options.output, missing=options.missing)
    lines = [f"{done.rows:,} rows in {options.output}"]
    lines += [
        f"  {name}: {done.as_they_are[name]:,} cells not understood and left as they are, {missing:,} missing"
        for name, missing in done.missing.items()
        if done.as_they_are[name]
    ]
    if done.not_carried:
        lines.append(f"  not carried over: {', '.join(map(brief, done.not_carried))}")
    tell(*lines, f"next: mgrisk validate {options.output}", output=options.output)
    return ExitStatus.DONE

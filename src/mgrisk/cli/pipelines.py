"""`mgrisk pipelines`: list the pipelines that come with mgrisk, or copy one to edit."""

from __future__ import annotations

import argparse
from pathlib import Path

from mgrisk.cli.terminal import tell
from mgrisk.errors import ExitStatus

HELP = "list the pipelines that come with mgrisk, or copy one to edit"
ABOUT = "Without NAME, list the pipelines; with NAME, print one as a TOML file or write it."
EXAMPLES = (
    "mgrisk pipelines",
    "mgrisk pipelines demo -o mine.toml",
)


def add(parser: argparse.ArgumentParser) -> None:
    """Add the options."""
    parser.add_argument("name", nargs="?", metavar="NAME", help="print this pipeline as TOML (list all)")
    parser.add_argument("-o", "--output", metavar="FILE.toml", help="write it to this file")
    parser.add_argument("--overwrite", action="store_true", help="replace FILE if it exists")


def run(options: argparse.Namespace) -> int:
    """Run the command and return its exit status."""
    from mgrisk.config.pipeline_file import load
    from mgrisk.config.pipelines import known_pipelines, text_of
    from mgrisk.storage.destinations import prepare_files
    from mgrisk.storage.files import write_text

    if not options.name:
        for name, path in known_pipelines().items():
            print(f"{name:<20} {load(path).title}")
        return ExitStatus.DONE
    text = text_of(options.name)
    if not options.output:
        print(text, end="")
        return ExitStatus.DONE
    prepare_files(options.output, overwrite=options.overwrite)
    write_text(Path(options.output), text)
    tell(f"{options.output}: edit it, then mgrisk run {options.output}", output=options.output)
    return ExitStatus.DONE

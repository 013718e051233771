"""`mgrisk promote`: give an alias to a registered version, overriding the checks of its run."""

from __future__ import annotations

import argparse

from mgrisk.errors import ExitStatus
from mgrisk.models import asked_registry

HELP = "promote a registered version, overriding the checks"
ABOUT = "Give a version an alias although checks of its run failed, and store the reason with it."
EXAMPLES = ('mgrisk promote mgrisk-demo-SYNTHETIC@challenger --because "reviewed on 2026-11-30"',)


def add(parser: argparse.ArgumentParser) -> None:
    """Add the options."""
    parser.add_argument("name", metavar="NAME@VERSION", help="or NAME@ALIAS, such as NAME@challenger")
    parser.add_argument("--alias", default="champion", metavar="ALIAS", help="the alias it gets (champion)")
    parser.add_argument("--because", required=True, metavar="REASON", help="stored with the version")


def run(options: argparse.Namespace) -> int:
    """Run the command and return its exit status."""
    from mgrisk.track import promote

    version = promote(options.name, alias=options.alias, because=options.because, uri=asked_registry(options.name))
    print(f"{options.name.partition('@')[0]} version {version} is {options.alias}: {options.because}")
    return ExitStatus.DONE

"""`mgrisk completion`: a script that lets a shell complete commands and options."""

from __future__ import annotations

import argparse

from mgrisk.errors import ExitStatus

HELP = "a script that lets a shell complete commands and options"


def add(parser: argparse.ArgumentParser) -> None:
    """Add the options."""
    parser.add_argument("shell", choices=["bash", "zsh", "tcsh"])


def run(options: argparse.Namespace) -> int:
    """Do it, and return the exit status."""
    import shtab

    print(shtab.complete(options.parser, options.shell))
    return ExitStatus.DONE

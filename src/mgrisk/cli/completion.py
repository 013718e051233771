"""`mgrisk completion`: print a script with which a shell completes commands and options."""

from __future__ import annotations

import argparse

from mgrisk.errors import ExitStatus

HELP = "print a script that completes commands in a shell"
ABOUT = "Print a completion script for the shell to load."
EXAMPLES = ("mgrisk completion bash > ~/.local/share/bash-completion/completions/mgrisk",)


def add(parser: argparse.ArgumentParser) -> None:
    """Add the options."""
    parser.add_argument("shell", choices=["bash", "zsh", "tcsh"], help="the shell")


def run(options: argparse.Namespace) -> int:
    """Run the command and return its exit status."""
    import shtab

    print(shtab.complete(options.parser, options.shell))
    return ExitStatus.DONE

"""The `mgrisk` command: parse arguments, call the module of a subcommand, and report errors with an exit status.

Each subcommand is a module of its name with ``HELP`` (a line in the list of commands), ``ABOUT`` (what it does and
writes), ``EXAMPLES``, ``add(parser)`` and ``run(options) -> exit status``. Heavy libraries are imported in ``run``, so
that `mgrisk --help` is fast.
"""

from __future__ import annotations

import argparse
import gc
import os
import signal
import sys
import textwrap
import threading
import traceback
from collections.abc import Sequence
from contextlib import redirect_stderr, redirect_stdout
from typing import Final, TextIO, cast

from mgrisk import __version__
from mgrisk.cli import (
    benchmark,
    codebook,
    compare,
    completion,
    describe,
    evaluate,
    explain,
    features,
    fetch,
    magnesium,
    map,
    models,
    monitor,
    pipelines,
    promote,
    recalibrate,
    register,
    regress,
    report,
    run,
    schema,
    score,
    validate,
)
from mgrisk.cli.options import Options
from mgrisk.cli.terminal import DISCLAIMER, JsonLog, Shown, log
from mgrisk.errors import MACHINE, ExitStatus, MgRiskError, Terminated, last_place, of_system, shown

GROUPS: Final = {
    "score people": (schema, map, validate, score, explain),
    "evaluate on your people": (evaluate, recalibrate, monitor),
    "models": (models, register, promote),
    "train": (pipelines, run, report, compare, benchmark),
    "NHANES": (fetch, codebook, features, describe, regress, magnesium),
    "shell": (completion,),
}
"""The commands as `mgrisk --help` lists them, in the order of use."""
COMMANDS: Final = tuple(command for commands in GROUPS.values() for command in commands)

ALLOCATIONS: Final = 200_000
"""Allocations between two searches for garbage: imports make many objects and none of them is garbage."""
WIDTH: Final = 78
"""Characters per line of a command's description."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command and return its exit status."""
    # Escaped here once and not at each print, because usage errors, warnings and tracebacks quote input, too.
    streams = [cast(TextIO, Shown(stream)) for stream in (sys.stdout, sys.stderr)]
    with redirect_stdout(streams[0]), redirect_stderr(streams[1]):
        return _run(arguments)


def _run(arguments: Sequence[str] | None) -> int:
    gc.set_threshold(ALLOCATIONS)
    options = command_line().parse_args(arguments)
    _stop_by_exception()
    machine = JsonLog(cast(Shown, sys.stderr).raw) if options.log_json else sys.stderr
    with redirect_stderr(cast(TextIO, machine)):
        return _done(options)


def _done(options: argparse.Namespace) -> int:
    try:
        return int(options.command.run(options))
    except MgRiskError as error:
        return _report(error, options)
    except KeyboardInterrupt as stopped:
        print("interrupted: unfinished output was not written", file=sys.stderr)
        return 143 if isinstance(stopped, Terminated) else 130
    except BrokenPipeError:
        # The reader of the output has closed it. Keep Python from reporting that at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return int(ExitStatus.DONE)
    except Exception as problem:
        if isinstance(problem, OSError) and problem.errno in MACHINE:
            return _report(of_system(problem), options)
        # Any other exception is a bug. Its message is not printed, since it may quote a cell of a person.
        if options.debug:
            raise
        print(f"error: this is a bug in mgrisk: {type(problem).__name__}", file=sys.stderr)
        print("where: " + last_place(problem), file=sys.stderr)
        print("to do: run again with --debug and report the output, without any person's values", file=sys.stderr)
        return int(ExitStatus.BUG)


def _stop_by_exception() -> None:
    """Raise an exception at the signals that end a process, so that every `finally` runs."""

    def stop(*_: object) -> None:
        raise Terminated

    if threading.current_thread() is threading.main_thread():
        for name in ("SIGTERM", "SIGHUP"):
            number = getattr(signal, name, None)  # Windows has no SIGHUP
            # A signal that is ignored, for example under nohup, stays ignored.
            if number is not None and signal.getsignal(number) is signal.SIG_DFL:
                signal.signal(number, stop)


def _report(error: MgRiskError, options: argparse.Namespace) -> int:
    if options.debug:
        traceback.print_exc()
    record = {"code": error.code, "message": error.what(), "where": error.where, "hint": error.hint}
    if not log("error", {**record, "status": int(error.status)}):
        print("\n".join(shown(line) for line in error.lines()), file=sys.stderr)
    return int(error.status)


def command_line() -> argparse.ArgumentParser:
    """Return the parser of the command; the reference pages are generated from it."""
    parser = argparse.ArgumentParser(
        prog="mgrisk",
        usage="mgrisk [-h] [--version] COMMAND ...",
        description="Calibrated, explained risk models for type 2 diabetes, trained on NHANES.",
        epilog=f"`mgrisk COMMAND --help` describes a command, with examples. {DISCLAIMER}",
    )
    parser.add_argument("--version", action="version", version=f"mgrisk {__version__}")
    commands = parser.add_subparsers(prog="mgrisk", required=True, metavar="COMMAND")
    # argparse groups options only; the entries of the command list are moved into option groups for display.
    parser._positionals._group_actions.remove(commands)
    for group, members in GROUPS.items():
        listed = parser.add_argument_group(group)
        for command in members:
            name = command.__name__.rpartition(".")[2]
            of_command = commands.add_parser(
                name,
                add_help=False,
                help=command.HELP,
                description="\n".join(textwrap.wrap(command.ABOUT, WIDTH)),
                epilog="examples:\n" + "\n".join(f"  {example}" for example in command.EXAMPLES),
                formatter_class=argparse.RawDescriptionHelpFormatter,
            )
            command.add(of_command)
            _add_common(of_command.add_argument_group("general"))
            of_command.set_defaults(command=command, parser=parser)
            listed._group_actions.append(commands._choices_actions[-1])
    return parser


def _add_common(group: Options) -> None:
    group.add_argument("-h", "--help", action="help", help="show this help")
    group.add_argument("--debug", action="store_true", help="show the traceback of an error")
    group.add_argument("--log-json", action="store_true", help="write standard error as JSON, one record per line")


if __name__ == "__main__":
    sys.exit(main())

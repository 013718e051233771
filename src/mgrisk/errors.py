"""The error type for everything that can go wrong because of the input, the environment or the options.

An error says what is wrong (`message`), where (`where`) and what to do (`hint`), each on one line, and carries
a stable code for scripts. Its kind decides the exit status of the command. Any other exception is a bug in mgrisk
and ends with status 1.
"""

from __future__ import annotations

import errno
import json
import traceback
from collections.abc import Sequence
from enum import IntEnum
from typing import Final, TypedDict, Unpack

LONGEST: Final = 1000
"""Maximum characters of a line of an error."""


class ExitStatus(IntEnum):
    """Exit status of the `mgrisk` command."""

    DONE = 0
    BUG = 1
    USAGE = 2
    INPUT = 3
    SOURCE = 4
    BUNDLE = 5
    REJECTED = 6
    ALERTS = 7


class Found(TypedDict, total=False):
    """What was asked for, and what was found."""

    expected: str
    got: str


class MgRiskError(Exception):
    """An input, an option, a file or the environment cannot be used.

    Parameters
    ----------
    code
        Stable dotted name, for example ``xpt.truncated``; never changes once released.
    message
        What is wrong, in one line.
    where
        File, table, column, row or configuration key.
    hint
        What to do about it.
    status
        Exit status of the command that ends with this error.
    **found
        `expected` and `got`: what was asked for and what was found, where that helps.
    """

    def __init__(
        self,
        code: str,
        message: str,
        *,
        where: str,
        hint: str,
        status: ExitStatus = ExitStatus.INPUT,
        **found: Unpack[Found],
    ) -> None:
        unknown = found.keys() - Found.__optional_keys__
        if unknown:
            raise TypeError(f"unknown details of an error: {sorted(unknown)}")
        self.code = code
        self.message = message
        self.where = where
        self.hint = hint
        self.expected = found.get("expected")
        self.got = found.get("got")
        self.status = status
        super().__init__(self.what())

    def __str__(self) -> str:
        # What a notebook or a traceback shows: where and what to do as well.
        return "\n".join(self.lines()).removeprefix("error: ")

    def what(self) -> str:
        """Return the first line: what is wrong, with what was expected and what was found."""
        parts = [self.message]
        if self.expected is not None:
            parts.append(f"expected {self.expected}")
        if self.got is not None:
            parts.append(f"got {self.got}")
        return ", ".join(parts)

    def lines(self) -> tuple[str, str, str]:
        """Return the three lines shown to the user: what, where, what to do; each truncated to `LONGEST` characters."""
        what, where, hint = (
            each if len(each) <= LONGEST else f"{each[:LONGEST]} …" for each in (self.what(), self.where, self.hint)
        )
        return (f"error: {what} [{self.code}]", f"where: {where}", f"to do: {hint}")

    def __reduce__(self) -> tuple[object, ...]:
        """Survive pickling between worker processes, which calls `__init__` with positional arguments only."""
        return (_rebuild, (self.__dict__.copy(),))


def _rebuild(state: dict[str, object]) -> MgRiskError:
    error = MgRiskError.__new__(MgRiskError)
    error.__dict__.update(state)
    Exception.__init__(error, error.what())
    return error


def usage(code: str, message: str, *, where: str, hint: str, **found: Unpack[Found]) -> MgRiskError:
    """Return an error about a command line or a pipeline file (exit status 2)."""
    return MgRiskError(code, message, where=where, hint=hint, status=ExitStatus.USAGE, **found)


def bad_input(code: str, message: str, *, where: str, hint: str, **found: Unpack[Found]) -> MgRiskError:
    """Return an error about the user's own data (exit status 3)."""
    return MgRiskError(code, message, where=where, hint=hint, status=ExitStatus.INPUT, **found)


def bad_source(code: str, message: str, *, where: str, hint: str, **found: Unpack[Found]) -> MgRiskError:
    """Return an error about source tables or the network (exit status 4)."""
    return MgRiskError(code, message, where=where, hint=hint, status=ExitStatus.SOURCE, **found)


def bad_bundle(code: str, message: str, *, where: str, hint: str, **found: Unpack[Found]) -> MgRiskError:
    """Return an error about a bundle or the model registry (exit status 5)."""
    return MgRiskError(code, message, where=where, hint=hint, status=ExitStatus.BUNDLE, **found)


class Terminated(KeyboardInterrupt):
    """SIGTERM or SIGHUP: unlike Ctrl-C, it leaves no temporary file behind to resume from."""


# Errors of a full, read-only or failing disk; any other system error is a bug in mgrisk.
MACHINE: Final = frozenset(
    {errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS, errno.EACCES, errno.EPERM, errno.EIO, errno.EMFILE}
    | {errno.ENAMETOOLONG, errno.ENOTDIR, errno.EISDIR, errno.ELOOP}
)


def of_system(problem: OSError) -> MgRiskError:
    """Convert a system error of reading or writing, such as a full disk or a missing permission.

    The exit status is 3, as for every output that cannot be written.

    Examples
    --------
    >>> import errno, os
    >>> of_system(OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), "/full/report.html")).lines()[1]
    'where: /full/report.html'
    """
    said = problem.strerror or str(problem) or type(problem).__name__
    return bad_input(
        f"system.{errno.errorcode.get(problem.errno or 0, 'error').lower()}",
        f"the system could not read or write: {said}",
        where=str(problem.filename or "a file"),
        hint="check the folder, its permissions and the space left, and run the same again",
    )


RAISED_AT: Final = "raised_at"
"""Attribute of an exception from a worker process, since a traceback cannot be sent between processes."""


def last_place(problem: BaseException) -> str:
    """Return the file, line and function where an exception was raised, in this process or in a worker process.

    Examples
    --------
    >>> last_place(ValueError("never raised"))
    'unknown'
    """
    if RAISED_AT in vars(problem):
        return str(vars(problem)[RAISED_AT])
    frames = traceback.extract_tb(problem.__traceback__)
    return f"{frames[-1].filename}:{frames[-1].lineno} in {frames[-1].name}" if frames else "unknown"


def few(names: Sequence[str], most: int = 8) -> str:
    """Join the first names of a list for a message.

    Examples
    --------
    >>> few(["a", "b", "c"], most=2), few(["a"])
    ('a, b …', 'a')
    """
    return ", ".join(names[:most]) + (" …" if len(names) > most else "")


def shown(line: str) -> str:
    r"""Escape every control or invisible character of a line as JSON does.

    A heading, a key, or the name of a file or bundle may contain escape sequences, which move the cursor, hide text or
    rename the window; characters that reverse the text direction; or line ends, which could fake a message.

    Parameters
    ----------
    line
        One line; a line end in it is part of a name and is escaped.

    Examples
    --------
    >>> print(shown("unknown column \x1b[2Jage\nerror: none"))
    unknown column \u001b[2Jage\nerror: none
    """
    if line.isprintable():
        return line
    return "".join(sign if sign.isprintable() or sign == "\t" else json.dumps(sign)[1:-1] for sign in line)

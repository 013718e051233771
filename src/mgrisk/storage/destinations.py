"""Decide what an output may replace, by the same rules for every command that writes a file or a folder.

A **file** may be new or replace a regular file. For a symbolic link, the target is replaced or created, and the link
stays. Standard output, named pipes and character devices such as /dev/null are streams: they are written to and never
replaced. Folders, sockets and block devices are refused. A **folder** may be new, or replace an empty folder or an
unchanged one that mgrisk wrote. No output may be an input, or another output, of the same command, under any name.

A command calls `prepare_files` or `prepare_folder` before it opens or computes anything; `mgrisk.storage.files` and
`mgrisk.score.outputs` follow the same rules.
"""

from __future__ import annotations

import os
import re
import stat
import sys
import threading
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, Final

from mgrisk.errors import MgRiskError, bad_input, few
from mgrisk.storage.temporary import is_temporary, restore, sweep_beside

STREAM: Final = "-"
OVERWRITE: Final = "add --overwrite to replace it, or name another"
"""Standard input or output, as the name of a file."""
_OWN_DESCRIPTOR: Final = re.compile(r"/(?:dev|proc/self|proc/(\d+))/fd/(\d+)")
_LINKS: Final = 40  # the limit of Linux
Identity = tuple[object, ...]


def output_file(name: str | Path) -> Path | None:
    """Return the regular file, existing or not, that an output name refers to, with links followed; None for a stream.

    Parameters
    ----------
    name
        Name given by the user; ``-`` is standard output.

    Raises
    ------
    MgRiskError
        `output.is_folder`, `output.not_a_file`, `output.broken_link` or `output.cannot_write`.

    Examples
    --------
    >>> output_file("-"), output_file(os.devnull)
    (None, None)
    >>> output_file("no-such-folder/scored.csv").as_posix()
    'no-such-folder/scored.csv'
    """
    path = Path(name)
    if is_standard_output(name) or _own_descriptor(path) is not None:
        return None
    with writes_to(path):
        target = Path(os.path.realpath(path)) if path.is_symlink() else path
        try:
            mode = path.stat().st_mode
        except FileNotFoundError:
            if target is not path and not target.parent.is_dir():
                raise _refused(
                    "broken_link", "the output links into a folder that does not exist", path, hint="correct the link"
                ) from None
            return target
    if stat.S_ISREG(mode):
        return target
    if stat.S_ISFIFO(mode) or stat.S_ISCHR(mode):
        return None
    if stat.S_ISDIR(mode):
        raise _refused("is_folder", "the output is a folder", path, hint="name a file in it")
    raise _refused("not_a_file", "the output is neither a file nor a stream", path, hint="name a file")


def is_standard_output(name: str | Path) -> bool:
    """Return whether an output is standard output, so that messages must go to standard error.

    Examples
    --------
    >>> is_standard_output("-"), is_standard_output("scored.csv")
    (True, False)
    """
    return str(name) == STREAM or _own_descriptor(Path(name)) == 1


@contextmanager
def open_stream(name: str | Path) -> Iterator[BinaryIO]:
    """Open an output for which `output_file` returned None; opening a named pipe waits for its reader.

    Raises
    ------
    MgRiskError
        `output.cannot_write`. A closed reader still raises `BrokenPipeError`.
    """
    path = Path(name)
    with writes_to(path):
        if str(name) == STREAM:
            yield sys.stdout.buffer
            sys.stdout.buffer.flush()
            return
        sys.stdout.flush()
        own = _own_descriptor(path)
        # Opening our own descriptor again would start at the beginning of its file.
        descriptor = os.open(path, os.O_WRONLY) if own is None else os.dup(own)
        with os.fdopen(descriptor, "wb") as stream:
            yield stream


def prepare_files(
    *outputs: str | Path, inputs: Iterable[str | Path] = (), overwrite: bool = True, also: Iterable[Path] = ()
) -> None:
    """Refuse outputs that may not be written, before anything is opened; remove leftovers of killed processes.

    Parameters
    ----------
    outputs
        File names given by the user.
    inputs
        Everything that the command reads; a folder stands for every file in it. ``-`` is standard input.
    overwrite
        Whether a regular file may be replaced.
    also
        Further files that the command writes under fixed names, such as a summary or a journal. They may exist, but
        must be neither an output nor an input.

    Raises
    ------
    MgRiskError
        Those of `output_file`; `output.is_input`, `output.twice` and, without `overwrite`, `output.exists`.

    Examples
    --------
    >>> prepare_files("scored.csv", "-", inputs=["people.csv"])
    >>> prepare_files("scored.csv", "./scored.csv")
    Traceback (most recent call last):
    ...
    mgrisk.errors.MgRiskError: two outputs are the same file [output.twice]
    ...
    """
    read = {identity for each in inputs for identity in _identities(each)}
    written: set[Identity] = set()
    for named, output in [*((True, each) for each in outputs), *((False, each) for each in also)]:
        file = output_file(output)
        identity = _identity(output, standard=1)
        if identity in read:
            raise _refused("is_input", "the output is an input of the same command", Path(output))
        if identity in written:
            raise _refused("twice", "two outputs are the same file", Path(output))
        if named and not overwrite and file is not None and file.exists():
            raise _refused("exists", "the output exists", Path(output), hint=OVERWRITE)
        if identity is not None:
            written.add(identity)
        if file is not None:
            sweep_beside(file)


def prepare_folder(
    folder: Path, *, is_ours: Callable[[Path], bool], inputs: Iterable[str | Path] = (), overwrite: bool = True
) -> Path:
    """Refuse a folder that may not be written or replaced, before anything is opened.

    Parameters
    ----------
    folder
        Folder name given by the user.
    is_ours
        Returns whether mgrisk wrote everything in a folder; called for an existing folder that is not empty.
    inputs
        Everything that the command reads, files or folders.
    overwrite
        Whether a folder that mgrisk wrote may be replaced.

    Returns
    -------
    pathlib.Path
        The folder, or the target of the link.

    Raises
    ------
    MgRiskError
        `output.not_a_folder`, `output.broken_link`, `output.current_folder`, `output.is_input`,
        `output.foreign_folder` and, without `overwrite`, `output.exists`.
    """
    target = Path(os.path.realpath(folder)) if folder.is_symlink() else folder
    with writes_to(folder):
        restore(target)
        sweep_beside(target)
        try:
            mode = target.stat().st_mode
        except FileNotFoundError:
            if target is not folder:
                raise _refused(
                    "broken_link", "the output links to a folder that does not exist", folder, hint="correct the link"
                ) from None
            return target
        if not stat.S_ISDIR(mode):
            raise _refused("not_a_folder", "the output must be a folder, and this is not one", folder)
        there = sorted(path.name for path in target.iterdir() if not is_leftover(path))
    here, place = Path.cwd(), target.resolve()
    if place == here or place in here.parents:
        raise _refused("current_folder", "the output is the current folder or contains it", folder)
    if any(place in Path(os.path.realpath(each)).parents or place == Path(os.path.realpath(each)) for each in inputs):
        raise _refused("is_input", "the folder contains an input of the same command", folder)
    if there and not is_ours(target):
        raise _refused(
            "foreign_folder",
            "the folder contains files that this command did not write, or that were changed since",
            folder,
            hint="name a folder that is missing or empty",
            got=few(there),
        )
    if there and not overwrite:
        raise _refused("exists", "the output folder exists", folder, hint=OVERWRITE)
    return target


def is_leftover(path: Path) -> bool:
    """Return whether a file is a leftover of a killed process: a temporary file or an empty lock."""
    return is_temporary(path) or (path.name == ".lock" and path.is_file() and path.stat().st_size == 0)


@contextmanager
def writes_to(path: Path, *, hint: str = "check the folder, its permissions and the space left") -> Iterator[None]:
    """Convert system errors of writing to `MgRiskError` with the name of the output.

    An error that names another file is not converted, nor is that of a pipe with a closed reader.

    Raises
    ------
    MgRiskError
        `output.cannot_write`.

    Examples
    --------
    >>> import errno
    >>> with writes_to(Path("scored.csv")):
    ...     raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    Traceback (most recent call last):
    ...
    mgrisk.errors.MgRiskError: the output cannot be written: No space left on device [output.cannot_write]
    ...
    """
    try:
        yield
    except BrokenPipeError:
        raise
    except MgRiskError as refused:
        if refused.code == "output.cannot_write" and _concerns(Path(refused.where), path):
            refused.where = str(path)  # a file in a folder that is written under a temporary name
        raise
    except OSError as problem:
        # An error of copying names both source and copy.
        named = [Path(os.fsdecode(each)) for each in (problem.filename, problem.filename2) if each is not None]
        if named and not any(_concerns(each, path) for each in named):
            raise
        raise _refused(
            "cannot_write",
            f"the output cannot be written: {problem.strerror or problem}",
            path,
            hint=hint,
        ) from None


@contextmanager
def folders_above(path: Path, *, output: Path | None = None) -> Iterator[None]:
    """Create the missing parent folders of a file; if the block fails, remove those that are empty.

    Parameters
    ----------
    path
        The file.
    output
        Path named in an error, if it is another one.

    Raises
    ------
    MgRiskError
        `output.cannot_write`.
    """
    above = [each.absolute() for each in path.parents]
    try:
        # Several threads may write into one new folder; one that fails must not remove it for the others.
        with writes_to(path if output is None else output), _lock:
            _used.update(above)
            _new.update(each for each in above if not each.exists())
            path.parent.mkdir(parents=True, exist_ok=True)
        yield
    except BaseException:  # Ctrl-C too
        with _lock:
            _used.subtract(above)
            for each in above:
                if each not in _new or _used[each] > 0:
                    break
                try:
                    each.rmdir()
                except OSError:
                    break
            _new.difference_update(each for each in above if _used[each] <= 0)
        raise
    with _lock:
        _used.subtract(above)
        _new.difference_update(above)


_lock: Final = threading.Lock()
_used: Final[Counter[Path]] = Counter()
_new: Final[set[Path]] = set()
"""Folders in which this process is writing, and created folders without a complete file yet."""


def _concerns(named: Path, path: Path) -> bool:
    """Return whether a path is an output, its temporary file, or a parent folder."""
    beside = (each for each in (named, *named.parents) if each.parent == path.parent)
    return named in path.parents or any(each == path or each.name.startswith(f".{path.name}.") for each in beside)


def _own_descriptor(path: Path) -> int | None:
    """Return the descriptor of this process that a name refers to, such as 1 for /dev/stdout; None for others."""
    for _ in range(_LINKS):
        matched = _OWN_DESCRIPTOR.fullmatch(os.path.abspath(path))  # noqa: PTH100  # a link must not be followed
        if matched and matched[1] in (None, str(os.getpid())):
            return int(matched[2])
        # /dev/fd is itself a link on Linux, and the target of a link in /proc need not be a path.
        if not os.path.islink(path):  # noqa: PTH114  # False for a name that the system refuses
            return None
        path = path.parent / path.readlink()
    return None


def _identities(name: str | Path) -> Iterator[Identity]:
    path = Path(name)
    files = (each for each in path.rglob("*") if not each.is_dir()) if path.is_dir() else (name,)
    for each in files:
        identity = _identity(each, standard=0)
        if identity is not None:
            yield identity


def _identity(name: str | Path, *, standard: int) -> Identity | None:
    """Return the identity of a file: its device and inode, or its full path if it does not exist yet.

    None for a device, which has no content to lose. `standard` is the descriptor that ``-`` stands for.
    """
    descriptor = standard if str(name) == STREAM else _own_descriptor(Path(name))
    try:
        found = Path(name).stat() if descriptor is None else os.fstat(descriptor)
    except OSError:
        return (os.path.realpath(name),) if descriptor is None else None
    if stat.S_ISREG(found.st_mode) or (stat.S_ISFIFO(found.st_mode) and descriptor is None):
        return found.st_dev, found.st_ino
    return None if descriptor is None else (STREAM, descriptor)


def _refused(code: str, message: str, path: Path, *, hint: str = "name another output", got: str = "") -> MgRiskError:
    found = {"got": got} if got else {}
    return bad_input(f"output.{code}", message, where=str(path), hint=hint, **found)

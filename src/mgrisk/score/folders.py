"""List the files of a folder that are parts of one table, in order."""

from __future__ import annotations

from pathlib import Path

from mgrisk.errors import MgRiskError, bad_input
from mgrisk.score.file_names import ENDINGS


def part_names(source: Path) -> tuple[list[str], dict[str, str]]:
    """Return the parts in a folder and its subfolders, in order, and the files that are skipped, with the reason.

    Links are followed. Names that begin with . or _ are skipped. The case of an ending is ignored.

    Raises
    ------
    MgRiskError
        `input.not_a_part` for a file that cannot be scored, since skipping it would lose its rows; `input.part_twice`
        for a file or folder under two names, whose rows would be scored twice; and `input.no_parts`.
    OSError
        Where a file or folder cannot be read.
    """
    parts: list[Path] = []
    skipped: dict[str, str] = {}
    met: dict[tuple[int, int], Path] = {}
    folders = [source]
    for folder in folders:
        for path in folder.iterdir():
            if path.name.startswith((".", "_")):
                skipped[path.relative_to(source).as_posix()] = f"its name begins with {path.name[0]}"
                continue
            if not path.exists():
                raise _not_a_part("a broken link", path, hint="correct the link, or remove it")
            found = path.stat()
            other = met.setdefault((found.st_dev, found.st_ino or len(met)), path)
            if other != path or (path.is_dir() and path.samefile(source)):
                raise bad_input(
                    "input.part_twice",
                    "the folder contains this twice through a link, so its rows would be scored twice",
                    where=str(path),
                    got=f"the same as {source if path.samefile(source) else other}",
                    hint="remove the link",
                )
            if path.is_dir():
                folders.append(path)
            elif not path.name.lower().endswith(ENDINGS):
                raise _not_a_part(
                    "a file that is not part of the table", path, hint="move it elsewhere, or begin its name with _"
                )
            elif not path.is_file():
                raise _not_a_part(
                    "a pipe or device named like a part",
                    path,
                    hint="name the folder of the files that are read from it",
                )
            else:
                path.open("rb").close()  # raises now if it cannot be read
                parts.append(path)
    if not parts:
        raise bad_input(
            "input.no_parts",
            "the folder has no files to score",
            where=str(source),
            expected=" or ".join(ENDINGS),
            hint="check the path",
        )
    return [path.relative_to(source).as_posix() for path in sorted(parts)], dict(sorted(skipped.items()))


def _not_a_part(what: str, path: Path, *, hint: str) -> MgRiskError:
    return bad_input(
        "input.not_a_part", f"the folder contains {what}", where=str(path), expected=" or ".join(ENDINGS), hint=hint
    )

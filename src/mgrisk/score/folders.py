"""The files of a folder that are parts of one table, in order; nothing is left out without a word."""

from __future__ import annotations

from pathlib import Path

from mgrisk.errors import MgRiskError, bad_input
from mgrisk.score.file_names import ENDINGS


def part_names(source: Path) -> tuple[list[str], dict[str, str]]:
    """Return the parts of a folder and of the folders below it, in order, and what is passed over, with the reason.

    Links are followed. Names that begin with . or _ are passed over; whether a name ends in capitals does not matter.

    Raises
    ------
    MgRiskError
        `input.not_a_part` for a file that cannot be scored, since to leave it out would lose its rows;
        `input.part_twice` for a file or folder that stands under two names, whose rows would come out twice, and
        `input.no_parts`.
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
                raise _not_a_part("a link that leads nowhere", path, hint="mend the link, or remove it")
            found = path.stat()
            other = met.setdefault((found.st_dev, found.st_ino or len(met)), path)
            if other != path or (path.is_dir() and path.samefile(source)):
                raise bad_input(
                    "input.part_twice",
                    "the folder holds this twice, by a link, and its rows would come out twice",
                    where=str(path),
                    got=f"the same as {source if path.samefile(source) else other}",
                    hint="remove the link",
                )
            if path.is_dir():
                folders.append(path)
            elif not path.name.lower().endswith(ENDINGS):
                raise _not_a_part(
                    "a file that is no part of the table", path, hint="move it elsewhere, or let its name begin with _"
                )
            elif not path.is_file():
                raise _not_a_part(
                    "a pipe or device under the name of a part",
                    path,
                    hint="name the folder of the files that are read from it",
                )
            else:
                path.open("rb").close()  # whoever may not read it hears of it now
                parts.append(path)
    if not parts:
        raise bad_input(
            "input.no_parts",
            "the folder holds nothing to score",
            where=str(source),
            expected=" or ".join(ENDINGS),
            hint="check the path",
        )
    return [path.relative_to(source).as_posix() for path in sorted(parts)], dict(sorted(skipped.items()))


def _not_a_part(what: str, path: Path, *, hint: str) -> MgRiskError:
    return bad_input(
        "input.not_a_part", f"the folder holds {what}", where=str(path), expected=" or ".join(ENDINGS), hint=hint
    )

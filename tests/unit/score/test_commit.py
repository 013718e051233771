"""Outputs appear together: all at the end, none after an error, and none or all after a kill."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from mgrisk.errors import MgRiskError, Terminated
from mgrisk.score import commit
from mgrisk.score.commit import Staged, finish, locked, open_files
from mgrisk.score.journal import Entry, Journal, journal_of, part_of

NAMES = ("rejects.csv", "out.csv.summary.json", "out.csv")


def targets(folder: Path) -> list[Path]:
    return [folder / name for name in NAMES]


def tree(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def write(folder: Path, *, resume: bool = False, stop: BaseException | None = None) -> None:
    """Write each file's own name into it, in two blocks."""
    files = targets(folder)
    with locked(files):
        journal = Journal(files[-1], key="k", resume=resume)
        if journal.sizes:
            finish(files, journal)
            return
        with open_files(files, journal=journal) as streams:
            for block in range(len(journal.done), 2):
                for stream, name in zip(streams, NAMES, strict=True):
                    stream.write(f"{name} {block}\n".encode())
                ends = tuple(stream.tell() for stream in streams)
                journal.add(Entry(block=str(block), ends=ends, tally={}))
                if stop:
                    for stream in streams:
                        stream.write(b"half a block")
                    raise stop


WHOLE = {name: f"{name} 0\n{name} 1\n".encode() for name in NAMES}


def test_files_appear_together_and_nothing_is_left_beside_them(tmp_path: Path) -> None:
    folder = tmp_path / "new"
    write(folder)
    assert tree(folder) == WHOLE


@pytest.mark.skipif(os.name != "posix", reason="there are no such permissions")
def test_only_the_owner_may_read_what_is_not_complete(tmp_path: Path) -> None:
    (tmp_path / "out.csv").touch(mode=0o640)
    with pytest.raises(KeyboardInterrupt):
        write(tmp_path, stop=KeyboardInterrupt())
    assert {part_of(target).stat().st_mode & 0o777 for target in targets(tmp_path)} == {0o600}
    write(tmp_path, resume=True)
    umask = os.umask(0o022)
    os.umask(umask)
    # A file that is replaced keeps its permissions; a new one has those of every new file.
    assert [target.stat().st_mode & 0o777 for target in targets(tmp_path)] == [0o666 & ~umask, 0o666 & ~umask, 0o640]


@pytest.mark.parametrize("stop", [ZeroDivisionError(), Terminated()])
def test_an_error_and_a_termination_leave_the_old_files_alone(stop: BaseException, tmp_path: Path) -> None:
    for target in targets(tmp_path):
        target.write_bytes(b"old")
    with pytest.raises(type(stop)):
        write(tmp_path, stop=stop)
    assert tree(tmp_path) == dict.fromkeys(NAMES, b"old")


@pytest.mark.parametrize("stop", [ZeroDivisionError(), Terminated()])
def test_an_error_leaves_no_folder_that_was_not_there(stop: BaseException, tmp_path: Path) -> None:
    with pytest.raises(type(stop)):
        write(tmp_path / "new" / "deep", stop=stop)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("stop", "resume"), [(KeyboardInterrupt(), False), (Terminated(), True), (ZeroDivisionError(), True)]
)
def test_what_may_be_continued_is_kept_and_continued_after_its_last_whole_block(
    stop: BaseException, resume: bool, tmp_path: Path
) -> None:
    with pytest.raises(type(stop)):
        write(tmp_path, resume=resume, stop=stop)
    assert sorted(tree(tmp_path)) == sorted(
        [journal_of(tmp_path / "out.csv").name, *(f".{name}.part" for name in NAMES)]
    )
    write(tmp_path, resume=True)
    assert tree(tmp_path) == WHOLE


def test_an_output_that_cannot_be_continued_is_removed_after_ctrl_c(tmp_path: Path) -> None:
    def stopped(journal: Journal | None) -> None:
        target = tmp_path / "out.parquet"
        with locked([target]), open_files([target], journal=journal) as (stream,):
            stream.write(b"PAR1")
            raise KeyboardInterrupt

    for journal in (None, Journal(tmp_path / "out.parquet", key="k", resume=False, block_by_block=False)):
        with pytest.raises(KeyboardInterrupt):
            stopped(journal)
        assert list(tmp_path.iterdir()) == []


class _Killed(BaseException):
    pass


def killed_at_rename(monkeypatch: pytest.MonkeyPatch, nth: int) -> None:
    """Let the process be gone before its nth rename: nothing that it does afterwards happens."""
    replace, count = Path.replace, 0

    def counted(self: Path, target: Path) -> Path:
        nonlocal count
        count += 1
        if count == nth:
            raise _Killed
        return replace(self, target)

    monkeypatch.setattr(Path, "replace", counted)


@pytest.mark.parametrize("nth", [1, 2, 3])
def test_after_a_kill_between_two_renames_the_rest_are_made_up_for(
    nth: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for target in targets(tmp_path):
        target.write_bytes(b"old")
    killed_at_rename(monkeypatch, nth)
    with pytest.raises(_Killed):
        write(tmp_path)
    monkeypatch.undo()
    assert [(tmp_path / name).read_bytes() == WHOLE[name] for name in NAMES] == [place < nth - 1 for place in range(3)]
    write(tmp_path, resume=True)
    assert tree(tmp_path) == WHOLE


def test_a_termination_between_two_renames_does_not_keep_the_rest_from_appearing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stops = iter([Terminated()])
    rename = commit._rename

    def stopped(*arguments: object) -> None:
        for stop in stops:
            raise stop
        rename(*arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(commit, "_rename", stopped)
    with pytest.raises(Terminated):
        write(tmp_path)
    assert tree(tmp_path) == WHOLE


@pytest.mark.parametrize("change", [lambda part: part.unlink(), lambda part: part.write_bytes(b"short")])
def test_what_was_complete_and_is_no_longer_there_is_refused(
    change: Callable[[Path], object], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    killed_at_rename(monkeypatch, 1)
    with pytest.raises(_Killed):
        write(tmp_path)
    monkeypatch.undo()
    change(part_of(tmp_path / "out.csv"))
    before = tree(tmp_path)
    with pytest.raises(MgRiskError) as caught:
        write(tmp_path, resume=True)
    assert caught.value.code == "resume.bad_journal"
    assert tree(tmp_path) == before
    write(tmp_path)
    assert tree(tmp_path) == WHOLE


@pytest.mark.parametrize("nth", [1, 2, 3])
def test_a_folder_appears_with_its_files(nth: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    target, rejects = tmp_path / "scored", tmp_path / "rejects.csv"
    folder = Staged(tmp_path / "staging", tmp_path / "staging" / "parts", target)
    files = [rejects, tmp_path / "summary.json"]

    def attempt(*, resume: bool) -> None:
        with locked([*files, target]):
            journal = Journal(target, key="k", resume=resume)
            if journal.sizes:
                finish(files, journal, folder=folder)
                return
            folder.made.mkdir(parents=True)
            (folder.made / "a.csv").write_bytes(b"a")
            (folder.staging / "receipt").write_bytes(b"more")
            with open_files(files, journal=journal, folder=folder) as streams:
                for stream in streams:
                    stream.write(b"x")

    target.mkdir()  # an empty folder is as good as none
    killed_at_rename(monkeypatch, nth)
    with pytest.raises(_Killed):
        attempt(resume=False)
    monkeypatch.undo()
    assert not target.exists() or not any(target.iterdir())
    attempt(resume=True)
    assert tree(tmp_path) == {"rejects.csv": b"x", "summary.json": b"x", "scored/a.csv": b"a"}
    assert not folder.staging.exists()


def test_two_cannot_write_one_output(tmp_path: Path) -> None:
    files = targets(tmp_path)
    with locked(files[1:]), pytest.raises(MgRiskError) as caught, locked(files):
        pass
    assert (caught.value.code, caught.value.where) == ("output.in_use", str(files[1]))
    assert list(tmp_path.iterdir()) == []


def test_an_output_in_a_place_that_cannot_be_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("", encoding="utf-8")
    with pytest.raises(MgRiskError) as caught:
        write(tmp_path / "file")
    assert caught.value.code == "output.cannot_write"


@pytest.mark.skipif(not hasattr(os, "O_NOFOLLOW"), reason="links cannot be told when a file is opened")
def test_a_link_in_place_of_a_temporary_file_is_not_written_through(tmp_path: Path) -> None:
    (tmp_path / "precious").write_bytes(b"precious")
    part_of(tmp_path / "out.csv").symlink_to(tmp_path / "precious")
    with pytest.raises(MgRiskError) as caught:
        write(tmp_path)
    assert caught.value.code == "output.cannot_write"
    assert (tmp_path / "precious").read_bytes() == b"precious"

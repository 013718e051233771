"""Files and folders are written completely or not at all."""

from __future__ import annotations

import hashlib
import io
import json
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_array_equal

from mgrisk.errors import MgRiskError
from mgrisk.storage import files
from mgrisk.storage.destinations import prepare_folder
from mgrisk.storage.files import (
    atomic,
    atomic_folder,
    is_intact,
    read_arrays,
    read_json,
    sha256,
    to_json,
    write_json,
    write_parquet,
    write_text,
)
from mgrisk.storage.temporary import temporary


class Stop(BaseException):
    """As KeyboardInterrupt: no `except Exception` sees it."""


def write_folder(path: Path, name: str) -> None:
    """Write a folder with a file whose content is its name."""
    with atomic_folder(path) as part:
        (part / name).write_text(name)


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


@pytest.mark.parametrize("there_before", [True, False])
@pytest.mark.parametrize("error", [ValueError, Stop])
def test_a_file_whose_writing_fails_is_what_it_was_and_leaves_nothing_beside_it(
    tmp_path: Path, there_before: bool, error: type[BaseException]
) -> None:
    path = tmp_path / "numbers.txt"
    if there_before:
        path.write_text("old")

    def write_half() -> None:
        with atomic(path) as part:
            part.write_text("half of the n")
            assert path.exists() == there_before
            raise error

    with pytest.raises(error):
        write_half()
    assert names(tmp_path) == (["numbers.txt"] if there_before else [])
    assert not there_before or path.read_text() == "old"


def test_a_file_is_the_old_one_until_the_block_ends_and_then_the_new_one(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "numbers.txt"
    write_text(path, "old")
    with atomic(path) as part:
        part.write_text("new")
        assert path.read_text() == "old"
    assert path.read_text() == "new"
    assert names(path.parent) == ["numbers.txt"]


@pytest.mark.parametrize("there_before", [True, False])
@pytest.mark.parametrize("error", [ValueError, Stop])
def test_a_folder_whose_making_fails_is_what_it_was_and_leaves_nothing_beside_it(
    tmp_path: Path, there_before: bool, error: type[BaseException]
) -> None:
    path = tmp_path / "bundle"
    if there_before:
        write_folder(path, "old.txt")

    def make_half() -> None:
        with atomic_folder(path) as part:
            (part / "new.txt").write_text("half")
            raise error

    with pytest.raises(error):
        make_half()
    assert names(tmp_path) == (["bundle"] if there_before else [])
    assert not there_before or names(path) == ["SHA256SUMS", "old.txt"]


@pytest.mark.parametrize("at_once", [True, False])
def test_a_new_folder_takes_the_place_of_the_old_one_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, at_once: bool
) -> None:
    if not at_once:
        monkeypatch.setattr(files, "_renamed_at_once", lambda *_: False)
    path = tmp_path / "bundle"
    for name in ("old.txt", "new.txt"):
        write_folder(path, name)
    assert names(path) == ["SHA256SUMS", "new.txt"]
    assert names(tmp_path) == ["bundle"]
    link = tmp_path / "link"
    link.symlink_to(path)
    write_folder(link, "newest.txt")
    assert link.is_symlink()
    assert names(path) == ["SHA256SUMS", "newest.txt"]


def test_the_old_folder_comes_back_where_the_new_one_cannot_take_its_place(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "bundle"
    write_folder(path, "old.txt")
    replace = Path.replace

    def fails_for_the_new(self: Path, target: Path) -> Path:
        if self.suffix == ".part":
            raise Stop
        return replace(self, target)

    monkeypatch.setattr(files, "_renamed_at_once", lambda *_: False)
    monkeypatch.setattr(Path, "replace", fails_for_the_new)
    with pytest.raises(Stop):
        write_folder(path, "new.txt")
    assert names(path) == ["SHA256SUMS", "old.txt"]
    assert names(tmp_path) == ["bundle"]


KILLED = """
import os, signal, sys
from pathlib import Path
from mgrisk.errors import MgRiskError
from mgrisk.storage import files
from mgrisk.storage.destinations import prepare_folder
if sys.argv[2] == "two renames":
    files._renamed_at_once = lambda *_: False
renames = []
def kill_at(function):
    def wrapped(*arguments):
        renames.append(arguments)
        if len(renames) > int(sys.argv[3]):
            os.kill(os.getpid(), signal.SIGKILL)
        return function(*arguments)
    return wrapped
Path.replace = kill_at(Path.replace)
files._renamed_at_once = kill_at(files._renamed_at_once)
files.shutil.rmtree = kill_at(files.shutil.rmtree)
with files.atomic_folder(Path(sys.argv[1])) as part:
    (part / "new.txt").write_text("new")
"""


@pytest.mark.skipif(sys.platform == "win32", reason="no SIGKILL")
@pytest.mark.parametrize("how", ["one rename", "two renames"])
@pytest.mark.parametrize("calls", range(5))
def test_a_kill_at_any_rename_leaves_a_folder_that_the_next_writer_finds(tmp_path: Path, how: str, calls: int) -> None:
    path = tmp_path / "bundle"
    write_folder(path, "old.txt")
    subprocess.run([sys.executable, "-c", KILLED, str(path), how, str(calls)], check=False)
    if how == "one rename" and sys.platform == "linux":
        assert is_intact(path)
    prepare_folder(path, is_ours=is_intact)
    assert is_intact(path)
    assert names(path) in (["SHA256SUMS", "old.txt"], ["SHA256SUMS", "new.txt"])
    assert names(tmp_path) == ["bundle"]


@pytest.mark.parametrize(
    "change",
    [
        lambda path: (path / "mine.txt").write_text("mine"),
        lambda path: (path / "deep").mkdir() or (path / "deep" / "mine.txt").write_text("mine"),
        lambda path: (path / "old.txt").write_text("mine"),
        lambda path: (path / "old.txt").unlink(),
        lambda path: (path / "SHA256SUMS").unlink(),
        lambda path: (path / "mine").symlink_to(path / "old.txt"),
        lambda path: (path / "SHA256SUMS").write_bytes(b"\xff\x00"),
    ],
)
def test_a_folder_that_somebody_changed_is_not_replaced(tmp_path: Path, change: Callable[[Path], object]) -> None:
    path = tmp_path / "bundle"
    write_folder(path, "old.txt")
    change(path)
    before = {each: each.read_bytes() for each in path.rglob("*") if each.is_file()}
    with pytest.raises(MgRiskError) as refused:
        write_folder(path, "new.txt")
    assert refused.value.code == "output.foreign_folder"
    assert {each: each.read_bytes() for each in path.rglob("*") if each.is_file()} == before


def test_the_sums_of_a_folder_are_what_sha256sum_checks(tmp_path: Path) -> None:
    write_folder(tmp_path / "bundle", "a.txt")
    digest = hashlib.sha256(b"a.txt").hexdigest()
    assert (tmp_path / "bundle" / "SHA256SUMS").read_text() == f"{digest}  a.txt\n"
    assert not is_intact(tmp_path / "bundle", marker="bundle.json")


def test_the_target_of_a_link_is_replaced_and_keeps_its_permissions(tmp_path: Path) -> None:
    target, link = tmp_path / "deep" / "numbers.txt", tmp_path / "link"
    link.symlink_to(target)
    target.parent.mkdir()
    write_text(link, "made")
    target.chmod(0o600)
    write_text(link, "replaced")
    assert link.is_symlink()
    assert target.read_text() == "replaced"
    assert target.stat().st_mode & 0o777 == 0o600
    assert names(tmp_path) == ["deep", "link"]


def test_a_link_that_lies_in_wait_under_a_temporary_name_is_not_written_through(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    own = tmp_path / "mine.txt"
    own.write_text("mine")
    waiting = temporary(tmp_path / "numbers.txt")
    waiting.symlink_to(own)
    monkeypatch.setattr(files, "temporary", lambda _: waiting)
    with pytest.raises(MgRiskError, match="cannot be written"):
        write_text(tmp_path / "numbers.txt", "1 2 3")
    assert own.read_text() == "mine"
    assert waiting.is_symlink()


def test_a_write_that_fails_leaves_no_empty_folder(tmp_path: Path) -> None:
    def fails(path: Path) -> None:
        with atomic(path):
            raise Stop

    with pytest.raises(Stop):
        fails(tmp_path / "a" / "b" / "numbers.txt")
    with pytest.raises(Stop), atomic_folder(tmp_path / "a" / "b" / "bundle"):
        raise Stop
    assert names(tmp_path) == []


def test_the_sum_of_a_folder_changes_with_content_name_and_place_of_a_file_and_not_with_order(tmp_path: Path) -> None:
    def folder(name: str, **contents: str) -> str:
        for file, text in contents.items():
            path = tmp_path / name / file.replace("__", "/")
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        return sha256(tmp_path / name)

    reference = folder("a", x="1", y="2")
    assert folder("b", y="2", x="1") == reference
    others = {
        folder("c", x="1", y="3"),
        folder("d", x="2", y="1"),
        folder("e", x="1", z="2"),
        folder("f", x="1", y__y="2"),
    }
    assert len(others | {reference}) == 5


def test_the_sum_of_a_file_is_its_sha256(tmp_path: Path) -> None:
    path = tmp_path / "a"
    path.write_bytes(b"content")
    assert sha256(path) == hashlib.sha256(b"content").hexdigest()


def test_json_has_null_for_what_is_no_number_and_keeps_numpy_numbers_to_the_bit(tmp_path: Path) -> None:
    third = np.float64(1) / 3
    content = {
        "a": [np.inf, -np.inf, float("nan"), third],
        "b": np.array([[1, 2]]),
        "c": np.bool_(True),
        3: Path("x/y"),
    }
    write_json(tmp_path / "a.json", content)
    assert read_json(tmp_path / "a.json") == {
        "a": [None, None, None, float(third)],
        "b": [[1, 2]],
        "c": True,
        "3": "x/y",
    }


def test_json_that_cannot_be_written_leaves_the_old_file(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    write_json(path, [1])
    with pytest.raises(TypeError):
        write_json(path, {"a": object()})
    assert read_json(path) == [1]
    assert names(tmp_path) == ["a.json"]


def test_texts_are_written_as_people_read_them() -> None:
    assert json.loads(to_json("HbA1c ≥ 6.5 %")) == "HbA1c ≥ 6.5 %"
    assert "≥" in to_json("≥")


def test_the_same_frame_gives_the_same_parquet_bytes(tmp_path: Path) -> None:
    frame = pd.DataFrame({"a": [1.5, np.nan], "b": pd.Categorical(["x", None], categories=["x", "y"])})
    write_parquet(tmp_path / "1.parquet", frame)
    write_parquet(tmp_path / "2.parquet", frame.copy())
    assert (tmp_path / "1.parquet").read_bytes() == (tmp_path / "2.parquet").read_bytes()
    pd.testing.assert_frame_equal(pd.read_parquet(tmp_path / "1.parquet"), frame)


def test_parquet_that_cannot_be_written_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(Exception, match=r"."):
        files.write_parquet(tmp_path / "a.parquet", pd.DataFrame({"a": [object()]}))
    assert names(tmp_path) == []


def packed(**arrays: np.ndarray) -> bytes:
    content = io.BytesIO()
    np.savez_compressed(content, **arrays)
    return content.getvalue()


def test_arrays_come_back_in_their_kind_and_order() -> None:
    given = {"a": np.arange(6.0).reshape(2, 3), "b": np.asfortranarray(np.arange(6).reshape(2, 3)), "c": np.float64(1)}
    found = read_arrays(packed(**given))
    for name, array in given.items():
        assert_array_equal(found[name], array)
        assert found[name].dtype == array.dtype


def test_arrays_that_would_be_unpickled_are_refused() -> None:
    with pytest.raises(ValueError, match="not of numbers"):
        read_arrays(packed(a=np.array([{}], dtype=object)))


def test_a_header_that_promises_more_than_there_is_allocates_nothing() -> None:
    plain = io.BytesIO()
    np.save(plain, np.zeros(3))
    forged = plain.getvalue().replace(b"(3,)", b"(9,)")
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as target:
        target.writestr("a.npy", forged)
    with pytest.raises(ValueError, match="not as long as its header says"):
        read_arrays(archive.getvalue())


def test_a_file_that_unpacks_to_more_than_any_of_ours_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mgrisk.storage.files.LARGEST_UNPACKED", 10_000)
    with pytest.raises(ValueError, match="too large when unpacked"):
        read_arrays(packed(a=np.zeros(2_000)))

"""What an output may replace, for each kind of path; commands are tested in test_planted_outputs."""

from __future__ import annotations

import errno
import os
import socket
import stat
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from mgrisk.errors import ExitStatus, MgRiskError
from mgrisk.storage.destinations import (
    folders_above,
    is_standard_output,
    open_stream,
    output_file,
    prepare_files,
    prepare_folder,
    writes_to,
)

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="names of devices are others there")


def refusal(function: Callable[[], object]) -> str:
    with pytest.raises(MgRiskError) as refused:
        function()
    assert refused.value.status is ExitStatus.INPUT
    return refused.value.code


def ours(_: Path) -> bool:
    return True


def foreign(_: Path) -> bool:
    return False


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "people.csv"
    path.write_text("people")
    return path


def test_a_file_there_or_not_is_itself(tmp_path: Path, file: Path) -> None:
    assert output_file(file) == file
    assert output_file(tmp_path / "deep" / "new.csv") == tmp_path / "deep" / "new.csv"


def test_of_a_link_the_target_is_meant_there_or_not(tmp_path: Path, file: Path) -> None:
    (tmp_path / "deep").mkdir()
    for target in (file, tmp_path / "new.csv"):
        link = tmp_path / "deep" / f"to-{target.name}"
        link.symlink_to(Path("..") / target.name)
        assert output_file(link) == target


def test_a_link_that_leads_nowhere_is_refused(tmp_path: Path) -> None:
    (tmp_path / "gone").symlink_to(tmp_path / "no-such-folder" / "out.csv")
    assert refusal(lambda: output_file(tmp_path / "gone")) == "output.broken_link"
    (tmp_path / "loop").symlink_to(tmp_path / "loop")
    assert refusal(lambda: output_file(tmp_path / "loop")) == "output.cannot_write"


def test_what_is_no_file_is_refused(tmp_path: Path, file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "link").symlink_to(tmp_path)
    for folder in (tmp_path, tmp_path / "link", Path(), Path("/")):
        assert refusal(lambda name=folder: output_file(name)) == "output.is_folder"
    monkeypatch.chdir(tmp_path)  # the whole path of a socket may be too long
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind("socket")
        assert refusal(lambda: output_file(tmp_path / "socket")) == "output.not_a_file"
    assert refusal(lambda: output_file(file / "out.csv")) == "output.cannot_write"
    assert refusal(lambda: output_file(tmp_path / ("long" * 100))) == "output.cannot_write"


def test_pipes_devices_and_standard_output_are_streams(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "link").symlink_to(tmp_path / "pipe")
    (tmp_path / "stdout").symlink_to("/dev/stdout")
    for name in ("-", os.devnull, tmp_path / "pipe", tmp_path / "link", "/dev/stdout", "/dev/fd/1", "/proc/self/fd/1"):
        assert output_file(name) is None
    assert [is_standard_output(name) for name in ("-", tmp_path / "stdout", "/dev/fd/2", "x")] == [
        True, True, False, False,
    ]  # fmt: skip


def test_a_pipe_is_written_to_and_stays_a_pipe(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    read: list[bytes] = []
    reader = threading.Thread(target=lambda: read.append((tmp_path / "pipe").read_bytes()))
    reader.start()
    with open_stream(tmp_path / "pipe") as stream:
        stream.write(b"rows")
    reader.join()
    assert read == [b"rows"]
    assert stat.S_ISFIFO((tmp_path / "pipe").lstat().st_mode)


STREAMED = """
import sys
from mgrisk.storage.destinations import open_stream
print("before", flush=True)
with open_stream(sys.argv[1]) as stream:
    stream.write(b"rows\\n")
print("after")
"""


@pytest.mark.parametrize("name", ["-", "/dev/stdout", "/proc/self/fd/1"])
def test_standard_output_that_is_a_file_is_added_to_in_order(file: Path, name: str) -> None:
    with file.open("a") as out:
        subprocess.run([sys.executable, "-c", STREAMED, name], stdout=out, check=True)
    assert file.read_text() == "peoplebefore\nrows\nafter\n"


def names_of(file: Path) -> list[Path]:
    """Return a file by other names."""
    link, hard = file.with_name("link"), file.with_name("hard")
    link.symlink_to(file)
    hard.hardlink_to(file)
    (file.parent / "deep").mkdir()
    return [file, link, hard, file.parent / "deep" / ".." / file.name, Path(os.path.relpath(file))]


def test_an_input_is_no_output_by_any_name(file: Path) -> None:
    for output in names_of(file):
        assert refusal(lambda name=output: prepare_files(name, inputs=[file])) == "output.is_input"
        assert refusal(lambda name=output: prepare_files("-", inputs=[file], also=[name])) == "output.is_input"
        assert refusal(lambda name=output: prepare_files(name, inputs=[file.parent])) == "output.is_input"
    assert file.read_text() == "people"


def test_two_outputs_are_not_the_same_by_any_name(file: Path, tmp_path: Path) -> None:
    new = tmp_path / "new.csv"
    (tmp_path / "to-new").symlink_to(new)
    for output in names_of(file):
        assert refusal(lambda name=output: prepare_files(name, file)) == "output.twice"
    for one, other in (
        (new, tmp_path / "to-new"),
        ("-", "-"),
        ("-", "/dev/stdout"),
        (new, tmp_path / "x" / ".." / "new.csv"),
    ):
        assert refusal(lambda a=one, b=other: prepare_files(a, b)) == "output.twice"
    prepare_files(os.devnull, os.devnull, inputs=[os.devnull])
    prepare_files("-", new, inputs=["-", file])


def test_standard_input_that_is_the_output_is_an_input(file: Path) -> None:
    code = "import sys; from mgrisk.storage.destinations import prepare_files; prepare_files(sys.argv[1], inputs=['-'])"
    with file.open() as given:
        done = subprocess.run([sys.executable, "-c", code, str(file)], stdin=given, capture_output=True, check=False)
    assert b"the output is an input" in done.stderr
    with file.open("a") as out, file.open() as given:
        done = subprocess.run([sys.executable, "-c", code, "-"], stdin=given, stdout=out, stderr=-1, check=False)
    assert b"the output is an input" in done.stderr


def test_a_file_is_replaced_only_where_that_is_asked_for(file: Path, tmp_path: Path) -> None:
    prepare_files(file)
    prepare_files(tmp_path / "new.csv", "-", overwrite=False)
    prepare_files("-", overwrite=False, also=[file])
    (tmp_path / "link").symlink_to(file)
    for output in (file, tmp_path / "link"):
        assert refusal(lambda name=output: prepare_files(name, overwrite=False)) == "output.exists"


def test_a_folder_is_written_where_it_is_missing_empty_or_ours(tmp_path: Path, file: Path) -> None:
    empty, full = tmp_path / "empty", tmp_path / "full"
    empty.mkdir()
    (full / "deep").mkdir(parents=True)
    assert prepare_folder(tmp_path / "new" / "deep", is_ours=foreign) == tmp_path / "new" / "deep"
    assert prepare_folder(empty, is_ours=foreign) == empty
    assert prepare_folder(full, is_ours=ours) == full
    assert refusal(lambda: prepare_folder(full, is_ours=foreign)) == "output.foreign_folder"
    (tmp_path / "link").symlink_to(full)
    assert prepare_folder(tmp_path / "link", is_ours=ours) == full
    assert refusal(lambda: prepare_folder(tmp_path / "link", is_ours=foreign)) == "output.foreign_folder"
    assert refusal(lambda: prepare_folder(file, is_ours=ours)) == "output.not_a_folder"
    assert refusal(lambda: prepare_folder(file / "deep", is_ours=ours)) == "output.cannot_write"


def test_a_folder_with_an_input_or_the_current_folder_is_refused_though_it_be_ours(
    tmp_path: Path, file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for inputs in ([file], [tmp_path], [tmp_path / "deep" / "no-such-file"]):
        assert refusal(lambda given=inputs: prepare_folder(tmp_path, is_ours=ours, inputs=given)) == "output.is_input"
    prepare_folder(tmp_path / "deep", is_ours=ours, inputs=[file])
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    for folder in (Path(), Path(".."), tmp_path):
        assert refusal(lambda name=folder: prepare_folder(name, is_ours=ours)) == "output.current_folder"


def test_an_empty_lock_is_nothing_and_one_with_content_is_something(tmp_path: Path) -> None:
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / ".lock").touch()
    prepare_folder(tmp_path / "run", is_ours=foreign)
    (tmp_path / "run" / ".lock").write_text("mine")
    assert refusal(lambda: prepare_folder(tmp_path / "run", is_ours=foreign)) == "output.foreign_folder"


def test_an_error_of_another_file_keeps_its_name_and_a_reader_that_has_gone_is_no_error(tmp_path: Path) -> None:
    out = tmp_path / "out.csv"
    with pytest.raises(OSError, match="elsewhere"), writes_to(out):
        raise OSError(errno.EACCES, "denied", str(tmp_path / "elsewhere.csv"))
    with pytest.raises(BrokenPipeError), writes_to(out):
        raise BrokenPipeError
    part = tmp_path / ".out.csv.0a1b2c3d.1.part"
    for named in (None, str(out), str(out / "a.csv"), str(tmp_path), str(part), str(part / "deep" / "a.csv")):
        with pytest.raises(MgRiskError) as refused, writes_to(out):
            raise OSError(errno.ENOSPC, "No space left on device", named)
        assert (refused.value.code, refused.value.where) == ("output.cannot_write", str(out))


def test_an_output_within_a_folder_that_is_being_made_is_told_as_the_folder(tmp_path: Path) -> None:
    part = tmp_path / ".out.0a1b2c3d.1.part"
    with pytest.raises(MgRiskError) as refused, writes_to(tmp_path / "out"), writes_to(part / "a.json"):
        raise OSError(errno.ENOSPC, "No space left on device")
    assert refused.value.where == str(tmp_path / "out")


def test_folders_that_were_there_stay_when_a_write_fails(tmp_path: Path) -> None:
    (tmp_path / "there").mkdir()
    for path in (tmp_path / "there" / "out.csv", tmp_path / "there" / "a" / "b" / "out.csv"):
        with pytest.raises(KeyboardInterrupt), folders_above(path):
            raise KeyboardInterrupt
    assert [each.name for each in tmp_path.rglob("*")] == ["there"]


def test_a_writer_that_fails_leaves_a_new_folder_to_the_others_and_the_last_one_takes_it_away(tmp_path: Path) -> None:
    """As threads do it that fetch tables into one folder: the first one has made it, and fails first."""
    first, second, third = (folders_above(tmp_path / "new" / "deep" / name) for name in "abc")
    first.__enter__()
    second.__enter__()
    stopped = KeyboardInterrupt()
    assert not first.__exit__(type(stopped), stopped, None)
    (tmp_path / "new" / "deep" / "b").write_text("whole")
    (tmp_path / "new" / "deep" / "b").unlink()
    third.__enter__()
    assert not second.__exit__(type(stopped), stopped, None)
    assert (tmp_path / "new" / "deep").exists()
    assert not third.__exit__(type(stopped), stopped, None)
    assert list(tmp_path.iterdir()) == []

"""A journal: its valid part after a kill, and refusal of damaged or foreign ones."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from mgrisk.errors import ExitStatus, MgRiskError
from mgrisk.score.journal import Entry, Journal, journal_of, part_of, sealed

BLOCKS = [Entry(block=f"block {n}", ends=(4 * n,), tally={"rows": 2, "problems": {"a:b": n}}) for n in (1, 2, 3)]


def written(target: Path, *, entries: Sequence[Entry] = BLOCKS, sizes: Sequence[int] = (), key: str = "k") -> Journal:
    """Leave the journal, and the bytes that it tells of."""
    part_of(target).write_bytes(b"x" * 4 * len(entries))
    journal = Journal(target, key=key, resume=False)
    journal.open([part_of(target)])
    for entry in entries:
        journal.add(entry)
    if sizes:
        journal.complete(sizes)
    journal.close()
    return journal


def read(target: Path, *, key: str = "k") -> Journal:
    return Journal(target, key=key, resume=True)


def refused(target: Path, *, key: str = "k") -> str:
    with pytest.raises(MgRiskError) as caught:
        read(target, key=key)
    assert caught.value.status == ExitStatus.USAGE
    assert caught.value.where == str(journal_of(target))
    return caught.value.code


def test_what_was_noted_is_read_again(tmp_path: Path) -> None:
    target = tmp_path / "out.csv"
    written(target)
    journal = read(target)
    assert (journal.done, journal.sizes) == (BLOCKS, None)
    assert journal.open([part_of(target)]) == [12]
    journal.close()


def test_that_all_is_complete_is_read_again(tmp_path: Path) -> None:
    target = tmp_path / "out.csv"
    written(target, sizes=(12,))
    assert read(target).sizes == (12,)


def test_only_its_owner_may_read_it(tmp_path: Path) -> None:
    written(tmp_path / "out.csv")
    assert journal_of(tmp_path / "out.csv").stat().st_mode & 0o077 == 0


def test_without_resume_it_is_begun_anew(tmp_path: Path) -> None:
    target = tmp_path / "out.csv"
    written(target, sizes=(12,))
    journal = Journal(target, key="k", resume=False)
    assert (journal.done, journal.sizes) == ([], None)
    assert journal.open([part_of(target)]) == [0]
    journal.close()
    assert journal_of(target).read_text("utf-8").count("\n") == 1


@pytest.mark.parametrize("lost", range(1, 12))
def test_blocks_whose_bytes_were_lost_do_not_count(tmp_path: Path, lost: int) -> None:
    target = tmp_path / "out.csv"
    written(target)
    os.truncate(part_of(target), 12 - lost)
    journal = read(target)
    kept = (12 - lost) // 4
    assert journal.open([part_of(target)]) == [4 * kept]
    assert journal.done == BLOCKS[:kept]
    # What is noted next stands after the lines that count.
    journal.add(BLOCKS[kept])
    journal.close()
    assert read(target).done == BLOCKS[: kept + 1]


def test_a_part_that_is_gone_is_begun_anew(tmp_path: Path) -> None:
    target = tmp_path / "out.csv"
    written(target)
    part_of(target).unlink()
    journal = read(target)
    assert journal.open([part_of(target)]) == [0]
    assert journal.done == []
    journal.close()


def test_wherever_the_kill_cut_it_the_whole_lines_count(tmp_path: Path) -> None:
    target = tmp_path / "out.csv"
    written(target, sizes=(12,))
    content = journal_of(target).read_bytes()
    for length in range(len(content)):
        journal_of(target).write_bytes(content[:length])
        journal = read(target)
        lines = content[:length].count(b"\n")
        assert journal.done == BLOCKS[: max(lines - 1, 0)]
        assert journal.sizes is None
        journal.open([part_of(target)])
        journal.close()
        # What was cut is gone, and what is whole is not written again.
        whole = content[: content[:length].rfind(b"\n") + 1]
        assert journal_of(target).read_bytes() == (whole or content[: content.find(b"\n") + 1])


def test_another_batch_is_not_continued(tmp_path: Path) -> None:
    target = tmp_path / "out.csv"
    written(target, key="another")
    assert refused(target) == "resume.other_batch"


RUBBISH = {
    "random bytes": bytes(range(256)) * 9,
    "random bytes on one line": bytes(range(11, 256)),
    "zeros": bytes(4096),
    "text": b"hello\nworld\n",
    "a JSON object": b"{}\n",
    "a JSON list": b"[]\n[]\n",
    "JSON of other types": b'{"key": 1}\n{"block": [], "ends": {}, "tally": 7}\n',
    "deep JSON": b"[" * 100_000 + b"\n",
    "huge numbers": b'{"sizes": [1e400, 99999999999999999999999999]}\n',
    "journals before checksums": b'{"key": "k"}\n{"digest": "d", "written": 4, "rejects": 0, "tally": {}}\n',
    "an empty line": b"\n",
    "sealed rubbish": sealed("[]").encode(),
    "sealed JSON of other types": sealed(json.dumps({"key": 1})).encode(),
    "no head": sealed(BLOCKS[0].model_dump_json()).encode(),
    "lines of another encoding": "ä\n".encode("latin-1"),
}


@pytest.mark.parametrize("name", RUBBISH)
def test_rubbish_is_refused(name: str, tmp_path: Path) -> None:
    target = tmp_path / "out.csv"
    journal_of(target).write_bytes(RUBBISH[name])
    assert refused(target) == "resume.bad_journal"


def test_rubbish_after_whole_lines_is_refused(tmp_path: Path) -> None:
    target = tmp_path / "out.csv"
    written(target)
    content = journal_of(target).read_bytes()
    head = content.splitlines(keepends=True)[0]
    for more in (*RUBBISH.values(), head, content):
        if b"\n" in more:
            journal_of(target).write_bytes(content + more)
            assert refused(target) == "resume.bad_journal"


@pytest.mark.parametrize("line", range(5))
def test_a_line_that_is_missing_is_noticed(line: int, tmp_path: Path) -> None:
    target = tmp_path / "out.csv"
    written(target, sizes=(12,))
    lines = journal_of(target).read_bytes().splitlines(keepends=True)
    journal_of(target).write_bytes(b"".join(lines[:line] + lines[line + 1 :]))
    if line == 4:
        assert read(target).sizes is None
    else:
        assert refused(target) == "resume.bad_journal"


@given(place=st.integers(0, 10_000), byte=st.integers(0, 255))
@example(place=45, byte=13)
def test_a_changed_byte_is_noticed(tmp_path_factory: pytest.TempPathFactory, place: int, byte: int) -> None:
    target = tmp_path_factory.mktemp("journal") / "out.csv"
    written(target, sizes=(12,))
    content = bytearray(journal_of(target).read_bytes())
    place %= len(content) - 1
    if content[place] == byte:
        return
    content[place] = byte
    journal_of(target).write_bytes(content)
    with pytest.raises(MgRiskError) as caught:
        read(target)
    assert caught.value.code in {"resume.bad_journal", "resume.other_batch"}


@pytest.mark.parametrize("kind", ["folder", "pipe"])
def test_what_is_no_file_is_refused(kind: str, tmp_path: Path) -> None:
    target = tmp_path / "out.csv"
    if kind == "pipe" and not hasattr(os, "mkfifo"):
        pytest.skip("there are no named pipes")
    (os.mkfifo if kind == "pipe" else os.mkdir)(journal_of(target))
    assert refused(target) == "resume.bad_journal"


def test_a_link_in_its_place_is_not_written_through(tmp_path: Path) -> None:
    target = tmp_path / "out.csv"
    (tmp_path / "precious").write_bytes(b"precious")
    journal_of(target).symlink_to(tmp_path / "precious")
    with pytest.raises(OSError, match="symbolic links"):
        Journal(target, key="k", resume=False).open([])
    assert (tmp_path / "precious").read_bytes() == b"precious"


def test_an_output_that_is_not_written_block_by_block_is_continued_only_when_complete(tmp_path: Path) -> None:
    target = tmp_path / "out.parquet"
    written(target)
    with pytest.raises(MgRiskError) as caught:
        Journal(target, key="k", resume=True, block_by_block=False)
    assert caught.value.code == "resume.not_possible"
    written(target, sizes=(12,))
    assert Journal(target, key="k", resume=True, block_by_block=False).sizes == (12,)

"""Files that are written in parts: whole at the end, gone after an error, gone on with after a kill."""

from __future__ import annotations

from pathlib import Path

import pytest

from mgrisk.errors import MgRiskError
from mgrisk.score.journal import Entry, Journal, journal_of, open_part, part_of


def interrupted(target: Path, *, key: str = "k") -> None:
    """Leave what a kill leaves: a block of 4 bytes that is complete, and 3 bytes of one that is not."""
    journal = Journal(target, key=key, resume=False)

    def killed() -> None:
        with open_part(target) as stream, journal.opened():
            stream.write(b"abcd")
            stream.flush()
            journal.add(Entry("digest", 4, 0, {"rows": 2}))
            stream.write(b"efg")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        killed()


def test_a_file_appears_whole(tmp_path: Path) -> None:
    target = tmp_path / "new" / "out.csv"
    with open_part(target) as stream:
        stream.write(b"abc")
        assert not target.exists()
    assert target.read_bytes() == b"abc"
    assert list(target.parent.iterdir()) == [target]


def test_an_error_leaves_the_old_file_alone(tmp_path: Path) -> None:
    target = tmp_path / "out.csv"
    target.write_bytes(b"old")
    journal = Journal(target, key="k", resume=False)

    def failed() -> None:
        with open_part(target) as stream, journal.opened():
            stream.write(b"abc")
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        failed()
    assert target.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [target]


def test_what_was_interrupted_is_gone_on_with_after_its_last_complete_block(tmp_path: Path) -> None:
    target = tmp_path / "out.csv"
    interrupted(target)
    journal = Journal(target, key="k", resume=True)
    assert journal.done == [Entry("digest", 4, 0, {"rows": 2})]
    with open_part(target, keep=4) as stream, journal.opened():
        stream.write(b"EFG")
    assert target.read_bytes() == b"abcdEFG"
    assert list(tmp_path.iterdir()) == [target]


def test_without_resume_it_is_begun_anew(tmp_path: Path) -> None:
    target = tmp_path / "out.csv"
    interrupted(target)
    journal = Journal(target, key="k", resume=False)
    assert journal.done == []
    with open_part(target) as stream, journal.opened():
        stream.write(b"x")
    assert target.read_bytes() == b"x"


def test_a_line_that_the_kill_cut_and_bytes_that_were_lost_do_not_count(tmp_path: Path) -> None:
    target = tmp_path / "out.csv"
    interrupted(target)
    with journal_of(target).open("a", encoding="utf-8") as journal:
        journal.write('{"digest": "x", "wri')
    assert len(Journal(target, key="k", resume=True).done) == 1
    part_of(target).write_bytes(b"abc")
    assert Journal(target, key="k", resume=True).done == []


@pytest.mark.parametrize("left", ["", '{"key": "k'])
def test_a_journal_that_was_killed_in_its_first_line_is_begun_anew(tmp_path: Path, left: str) -> None:
    target = tmp_path / "out.csv"
    interrupted(target)
    journal_of(target).write_text(left, "utf-8")
    journal = Journal(target, key="k", resume=True)
    assert journal.done == []
    with open_part(target) as stream, journal.opened():
        stream.write(b"x")
        assert journal_of(target).read_text("utf-8") == '{"key": "k"}\n'
    assert target.read_bytes() == b"x"


def test_what_is_gone_on_with_keeps_its_lines_as_they_are(tmp_path: Path) -> None:
    target = tmp_path / "out.csv"
    interrupted(target)
    before = journal_of(target).read_bytes()
    with journal_of(target).open("a", encoding="utf-8") as torn:
        torn.write('{"digest": "x", "wri')
    journal = Journal(target, key="k", resume=True)
    with journal.opened():
        assert journal_of(target).read_bytes() == before
        journal.add(Entry("next", 8, 0, {}))
        assert journal_of(target).read_bytes().startswith(before)


def test_another_batch_is_not_gone_on_with(tmp_path: Path) -> None:
    interrupted(tmp_path / "out.csv")
    with pytest.raises(MgRiskError) as caught:
        Journal(tmp_path / "out.csv", key="another", resume=True)
    assert caught.value.code == "resume.other_batch"


def test_two_cannot_write_one_output(tmp_path: Path) -> None:
    target = tmp_path / "out.csv"
    with open_part(target) as first:
        first.write(b"first")
        with pytest.raises(MgRiskError) as caught, open_part(target):
            pass
        assert caught.value.code == "output.in_use"
    assert target.read_bytes() == b"first"


def test_a_file_that_another_finished_since_its_journal_was_read_is_left_alone(tmp_path: Path) -> None:
    target = tmp_path / "out.csv"
    interrupted(target)
    keep = Journal(target, key="k", resume=True).done[-1].written
    with open_part(target, keep=keep) as stream:
        stream.write(b"EFG")
    with pytest.raises(MgRiskError) as caught, open_part(target, keep=keep):
        pass
    assert caught.value.code == "output.in_use"
    assert target.read_bytes() == b"abcdEFG"


def test_an_output_in_a_place_that_cannot_be_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("", encoding="utf-8")
    for target, code in [(tmp_path, "output.is_folder"), (tmp_path / "file" / "out.csv", "output.cannot_write")]:
        with pytest.raises(MgRiskError) as caught, open_part(target):
            pass
        assert caught.value.code == code

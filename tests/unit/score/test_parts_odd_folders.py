"""Folders with links, pipes and misplaced outputs: no row is lost or doubled, and no file destroyed."""

from __future__ import annotations

import errno
import os
import socket
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from mgrisk.errors import MgRiskError, Terminated
from mgrisk.model.bundle import Bundle
from mgrisk.score import commit, parts
from mgrisk.score.batch import BatchOptions, Progress, score_table
from mgrisk.score.folders import part_names
from mgrisk.score.journal import journal_of
from mgrisk.score.parts import on_cluster, on_threads, score_folder
from mgrisk.score.scorer import load_scorer
from mgrisk.score.summary import Summary

PEOPLE = "person_id,age_years,sex\n{0},50,male\n{0}-2,430,male\n"


@pytest.fixture(scope="module")
def bundle(toy_bundles: dict[str, Bundle], tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("bundle") / "bundle"
    toy_bundles["spline_logistic"].write(folder)
    return folder


@pytest.fixture
def source(tmp_path: Path) -> Path:
    (tmp_path / "people" / "deep").mkdir(parents=True)
    for name in ("a.csv", "deep/b.csv"):
        (tmp_path / "people" / name).write_text(PEOPLE.format(name), "utf-8")
    return tmp_path / "people"


def scored(
    bundle: Path,
    source: Path,
    target: Path,
    *,
    rejects: Path | None = None,
    resume: bool = False,
    engine: parts.Engine | None = None,
) -> Summary:
    options = BatchOptions(reasons=0, rejects=rejects and str(rejects), resume=resume)
    return score_folder(bundle, source, target, options, engine=engine or on_threads(1))


def tree(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def refused(code: str, attempt: Callable[[], object]) -> MgRiskError:
    with pytest.raises(MgRiskError) as caught:
        attempt()
    assert caught.value.code == code
    return caught.value


def test_a_linked_folder_and_a_linked_file_are_scored_like_any_other(
    bundle: Path, source: Path, tmp_path: Path
) -> None:
    away = tmp_path / "away"
    away.mkdir()
    for name in ("c.csv", "d.csv"):
        (away / name).write_text(PEOPLE.format(name), "utf-8")
    (tmp_path / "e.csv").write_text(PEOPLE.format("e.csv"), "utf-8")
    (source / "linked").symlink_to("../away")
    (source / "e.csv").symlink_to(tmp_path / "e.csv")
    assert scored(bundle, source, tmp_path / "out").tally.rows == 10
    people = [row for path in (tmp_path / "out").rglob("*.csv") for row in pd.read_csv(path)["person_id"]]
    names = ("a.csv", "deep/b.csv", "c.csv", "d.csv", "e.csv")
    assert sorted(people) == sorted(f"{name}{more}" for name in names for more in ("", "-2"))
    assert (tmp_path / "out" / "linked" / "c.csv").is_file()
    assert (source / "linked").is_symlink()


@pytest.mark.parametrize(
    ("name", "target"), [("twice", "deep"), ("loop", "."), ("deep/up", ".."), ("deep/loop", "."), ("copy.csv", "a.csv")]
)
def test_a_link_that_would_double_rows_is_refused(name: str, target: str, source: Path) -> None:
    (source / name).symlink_to(target)
    refusal = refused("input.part_twice", lambda: part_names(source))
    assert {Path(refusal.where).name, Path(str(refusal.got)).name} & {Path(name).name}


def test_a_hard_link_to_a_part_is_refused(source: Path) -> None:
    os.link(source / "a.csv", source / "deep" / "c.csv")
    refused("input.part_twice", lambda: part_names(source))


def make_socket(path: Path) -> None:
    # Its address may have some 100 letters.
    here = Path.cwd()
    os.chdir(path.parent)
    try:
        with socket.socket(socket.AF_UNIX) as made:
            made.bind(path.name)
    finally:
        os.chdir(here)


@pytest.mark.skipif(os.name != "posix", reason="there are no pipes and sockets of this kind")
@pytest.mark.parametrize(
    "make",
    [
        os.mkfifo,
        make_socket,
        lambda path: path.symlink_to("nowhere.csv"),
        lambda path: path.symlink_to(path.name),
        lambda path: path.symlink_to("/dev/null"),
    ],
    ids=["pipe", "socket", "broken link", "link to itself", "device"],
)
def test_what_is_no_file_is_named_before_any_work(
    make: Callable[[Path], None], bundle: Path, source: Path, tmp_path: Path
) -> None:
    make(source / "c.csv")
    refusal = refused("input.not_a_part", lambda: scored(bundle, source, tmp_path / "out"))
    assert refusal.where == str(source / "c.csv")
    assert [path.name for path in tmp_path.iterdir()] == ["people"]


def test_a_part_that_may_not_be_read_is_named_before_any_work(
    bundle: Path, source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    read = Path.open

    def kept_from(self: Path, *arguments: object, **options: object) -> object:
        if self.name == "b.csv":
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(self))
        return read(self, *arguments, **options)  # type: ignore[call-overload]

    monkeypatch.setattr(Path, "open", kept_from)
    with pytest.raises(PermissionError, match=r"b\.csv"):
        scored(bundle, source, tmp_path / "out")
    assert [path.name for path in tmp_path.iterdir()] == ["people"]


def test_what_is_passed_over_is_told_with_the_reason(bundle: Path, source: Path, tmp_path: Path) -> None:
    (source / "_SUCCESS").touch()
    (source / "deep" / "._b.csv").write_text("age_years,sex\n50,male\n", "utf-8")
    (source / "_temporary").mkdir()
    (source / "_temporary" / "c.csv").write_text("age_years,sex\n50,male\n", "utf-8")
    summary = scored(bundle, source, tmp_path / "out")
    assert summary.about["skipped"] == {
        "_SUCCESS": "its name begins with _",
        "_temporary": "its name begins with _",
        "deep/._b.csv": "its name begins with .",
    }
    assert sum(part["rows"] for part in summary.about["parts"].values()) == summary.tally.rows == 4
    (told,) = [line for line in summary.lines() if line.startswith("files skipped")]
    assert "(3): _SUCCESS, _temporary, deep/._b.csv" in told


@pytest.mark.parametrize("output", ["people", "people/out", "people/deep", "."])
def test_an_output_in_the_input_is_refused(output: str, bundle: Path, source: Path, tmp_path: Path) -> None:
    before = tree(tmp_path)
    with pytest.raises(MgRiskError) as caught:
        scored(bundle, source, tmp_path / output)
    assert caught.value.code in {"output.nested", "output.is_input"}
    assert tree(tmp_path) == before


@pytest.mark.parametrize(
    "rejects", ["people/a.csv", "people/rejects.csv", "people/deep/_r.csv", "out/a.csv", "out/r.csv"]
)
def test_rejected_rows_in_the_input_or_the_output_are_refused(
    rejects: str, bundle: Path, source: Path, tmp_path: Path
) -> None:
    before = tree(tmp_path)
    refused("output.nested", lambda: scored(bundle, source, tmp_path / "out", rejects=tmp_path / rejects))
    assert tree(tmp_path) == before
    assert not (tmp_path / "out").exists()


def test_an_empty_folder_and_a_link_to_one_take_the_output(bundle: Path, source: Path, tmp_path: Path) -> None:
    for name in ("empty", "behind"):
        (tmp_path / name).mkdir()
    (tmp_path / "link").symlink_to("behind")
    for name in ("new", "empty", "link"):
        scored(bundle, source, tmp_path / name)
    assert (tmp_path / "link").is_symlink()
    assert tree(tmp_path / "new") == tree(tmp_path / "empty") == tree(tmp_path / "behind")
    assert sorted(tree(tmp_path / "new")) == ["a.csv", "deep/b.csv"]


def test_a_foreign_folder_under_the_name_of_ours_is_left_alone(bundle: Path, source: Path, tmp_path: Path) -> None:
    staging = tmp_path / ".out.parts"
    staging.mkdir()
    (staging / "thesis.txt").write_text("precious", "utf-8")
    refused("output.not_ours", lambda: scored(bundle, source, tmp_path / "out"))
    (tmp_path / ".linked.parts").symlink_to(source)
    with pytest.raises(MgRiskError):
        scored(bundle, source, tmp_path / "linked")
    assert tree(staging) == {"thesis.txt": b"precious"}
    assert sorted(tree(source)) == ["a.csv", "deep/b.csv"]


def stopping(stop: BaseException) -> parts.Engine:
    def engine(job: parts.Job, names: object) -> parts.Iterator[tuple[str, parts.Receipt]]:
        yield "a.csv", parts.score_part(job, "a.csv")
        raise stop

    return engine


def test_a_termination_leaves_nothing_unless_it_is_to_be_continued(bundle: Path, source: Path, tmp_path: Path) -> None:
    with pytest.raises(Terminated):
        scored(bundle, source, tmp_path / "out", engine=stopping(Terminated()))
    assert [path.name for path in tmp_path.iterdir()] == ["people"]
    with pytest.raises(Terminated):
        scored(bundle, source, tmp_path / "out", engine=stopping(Terminated()), resume=True)
    staging = tmp_path / ".out.parts"
    assert stat.S_IMODE(staging.stat().st_mode) == 0o700
    assert scored(bundle, source, tmp_path / "out", resume=True).tally.rows == 4
    assert sorted(path.name for path in tmp_path.iterdir()) == ["out", "out.summary.json", "people"]


def killed_once_complete(output: Path, work: Callable[[], object], monkeypatch: pytest.MonkeyPatch) -> None:
    rename = commit._rename

    def killed(moves: commit.Moves, *more: Any) -> None:
        if moves[-1][1] == output:
            raise KeyboardInterrupt
        rename(moves, *more)

    monkeypatch.setattr(commit, "_rename", killed)
    with pytest.raises(KeyboardInterrupt):
        work()
    monkeypatch.undo()


@pytest.mark.parametrize("changed", ["", "a.csv", "new.csv", "deep/b.csv"])
def test_what_is_complete_is_not_finished_for_another_input(
    changed: str, bundle: Path, source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    killed_once_complete(tmp_path / "out", lambda: scored(bundle, source, tmp_path / "out"), monkeypatch)
    if changed.startswith("deep"):
        (source / changed).unlink()
    elif changed:
        (source / changed).write_text(PEOPLE.format("another"), "utf-8")
    if changed:
        refused("resume.other_input", lambda: scored(bundle, source, tmp_path / "out", resume=True))
        assert not (tmp_path / "out").exists()
    # Without a change it is finished; with one the batch can begin anew.
    rows = {"": 4, "a.csv": 4, "new.csv": 6, "deep/b.csv": 2}[changed]
    assert scored(bundle, source, tmp_path / "out", resume=not changed).tally.rows == rows
    assert sorted(path.name for path in tmp_path.iterdir()) == ["out", "out.summary.json", "people"]


@pytest.mark.parametrize("more", ["", "x,61,male\n"])
def test_a_file_that_is_complete_is_not_finished_for_another_input(
    more: str, bundle: Path, source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    one, output, scorer = source / "a.csv", tmp_path / "o.csv", load_scorer(bundle)

    def work(*, resume: bool = True) -> Summary:
        return score_table(scorer, str(one), str(output), BatchOptions(reasons=0, resume=resume))

    killed_once_complete(output, lambda: work(resume=False), monkeypatch)
    one.write_text(f"{PEOPLE.format('a.csv')}{more}", "utf-8")
    if more:
        refused("resume.other_input", work)
        assert not output.exists()
    else:
        assert work().tally.rows == 2


def test_an_error_says_that_complete_parts_stay(bundle: Path, source: Path, tmp_path: Path) -> None:
    (source / "deep" / "b.csv").write_text("sex\nmale\n", "utf-8")
    refusal = refused("input.missing_column", lambda: scored(bundle, source, tmp_path / "out"))
    assert refusal.hint.endswith(f"complete parts stay in {tmp_path / '.out.parts'} for --resume")


RUBBISH = (b"", b"{}", b"[]", b"\xff\xfe", b'{"key": 1, "digest": [], "size": 1e400, "tally": {}}', b"[" * 100_000)


@pytest.mark.parametrize(
    "change", [*(lambda _, it=it: it for it in RUBBISH), lambda it: it.replace(b'"rows":2', b'"rows":9')]
)
def test_a_part_whose_receipt_was_changed_is_made_again(
    change: Callable[[bytes], bytes], bundle: Path, source: Path, tmp_path: Path
) -> None:
    with pytest.raises(KeyboardInterrupt):
        scored(bundle, source, tmp_path / "out", engine=stopping(KeyboardInterrupt()))
    receipt = tmp_path / ".out.parts" / parts.RECEIPTS / "a.csv.json"
    changed = change(receipt.read_bytes())
    assert changed != receipt.read_bytes()
    receipt.write_bytes(changed)
    assert scored(bundle, source, tmp_path / "out", resume=True).tally.rows == 4
    scored(bundle, source, tmp_path / "whole")
    assert tree(tmp_path / "out") == tree(tmp_path / "whole")


def test_a_rubbish_journal_is_refused(bundle: Path, source: Path, tmp_path: Path) -> None:
    journal_of(tmp_path / "out").write_text("rubbish\n", "utf-8")
    refused("resume.bad_journal", lambda: scored(bundle, source, tmp_path / "out", resume=True))
    assert scored(bundle, source, tmp_path / "out").tally.rows == 4
    assert sorted(path.name for path in tmp_path.iterdir()) == ["out", "out.summary.json", "people"]


def test_parts_stop_soon_where_the_batch_stops(
    bundle: Path, source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A part that is being scored while another one is refused ends after a block, not after its last."""
    (source / "a.csv").write_text("sex\nmale\n", "utf-8")
    told: list[int] = []
    score_part = parts.score_part

    def slow(job: parts.Job, name: str, *, progress: Callable[[Progress], None]) -> parts.Receipt:
        if name == "a.csv":
            return score_part(job, name, progress=progress)
        for block in range(10_000):
            told.append(block)
            parts.Event().wait(0.005)
            progress(Progress(block, None))
        raise AssertionError("not stopped")

    monkeypatch.setattr(parts, "score_part", slow)
    refused("input.missing_column", lambda: scored(bundle, source, tmp_path / "out", engine=on_threads(2)))
    assert len(told) < 9_000
    assert [path.name for path in tmp_path.iterdir()] == ["people"]


@pytest.mark.parametrize(
    ("address", "code"),
    [
        ("", "cluster.unreachable"),
        ("nonsense", "cluster.unreachable"),
        ("foo://127.0.0.1:1", "cluster.unreachable"),
        ("tcp://127.0.0.1:port", "cluster.unreachable"),
        ("tls://127.0.0.1:8786", "cluster.no_certificate"),
        ("wss://127.0.0.1:8786", "cluster.no_certificate"),
    ],
)
def test_what_is_no_address_is_refused_at_once(address: str, code: str) -> None:
    pytest.importorskip("distributed")
    refused(code, lambda: on_cluster(address))

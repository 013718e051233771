from __future__ import annotations

import hashlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from mgrisk.cli.main import main
from mgrisk.errors import ExitStatus, MgRiskError
from mgrisk.nhanes.cycles import cycle
from mgrisk.nhanes.store import CDC, FetchResult, Store, default_cache, default_source, fetch

if TYPE_CHECKING:
    from tests.unit.nhanes.conftest import Site

DEMO = cycle("2017-2018").path("DEMO")
BMX = cycle("2017-2018").path("BMX")
GLU = cycle("2017-2018").path("GLU")
BEFORE = "2017-2018/DEMO_J.XPT"
Make = Callable[..., bytes]


@pytest.fixture
def store(site: Site, tmp_path: Path) -> Store:
    return Store(source=site.base, cache=tmp_path / "cache", pauses=(0.0, 0.0))


def refusal(store: Store, relative: str = DEMO, *, status: ExitStatus = ExitStatus.SOURCE) -> MgRiskError:
    with pytest.raises(MgRiskError) as refused:
        store.path(relative)
    assert refused.value.status is status
    return refused.value


def files(folder: Path) -> list[str]:
    # But for the empty files that processes lock.
    return sorted(path.name for path in folder.rglob("*") if path.is_file() and path.parent.name != ".locks")


# --- a web site -------------------------------------------------------------------------------------------


def test_a_table_is_fetched_once_and_locked(store: Store, site: Site) -> None:
    path = store.path(DEMO)
    assert path.read_bytes() == site.content
    assert path.as_posix().endswith(f"Nhanes/{DEMO}")
    assert store.path(DEMO) == path
    assert site.asked == {DEMO: 1}
    locked = store.locked()[site.base + DEMO]
    assert (locked.size, locked.rows) == (len(site.content), 50)
    assert locked.sha256 == hashlib.sha256(site.content).hexdigest()
    assert files(store.cache) == ["DEMO_J.xpt", "lock.json"]


def test_a_base_without_a_slash_at_its_end_is_the_same_site(store: Store, site: Site) -> None:
    path = store.path(DEMO)
    assert Store(source=site.base.rstrip("/"), cache=store.cache).path(DEMO) == path
    assert site.asked == {DEMO: 1}


def test_html_with_status_200_is_refused_and_not_tried_again(store: Store, site: Site) -> None:
    site.faults[DEMO] = ["html"]
    refused = refusal(store)
    assert refused.code == "xpt.html"
    assert refused.where == site.base + DEMO
    assert site.asked == {DEMO: 1, BEFORE: 1}
    assert files(store.cache) == []


@pytest.mark.parametrize("fault", ["503", "500", "429", "cut", "reset"])
def test_a_passing_fault_is_survived(store: Store, site: Site, fault: str) -> None:
    site.faults[DEMO] = [fault, fault]
    assert store.path(DEMO).read_bytes() == site.content
    assert site.asked[DEMO] == 3
    assert files(store.cache) == ["DEMO_J.xpt", "lock.json"]


@pytest.mark.parametrize(("fault", "said"), [("503", "HTTP 503"), ("cut", "bytes of"), ("reset", "bytes of")])
def test_a_lasting_fault_is_refused_with_what_happened_last(store: Store, site: Site, fault: str, said: str) -> None:
    site.tag, site.modified = "none", None  # so that a cut body cannot be continued
    site.faults[DEMO] = [fault] * 3
    refused = refusal(store)
    assert refused.code == "store.download_failed"
    assert said in refused.message
    assert refused.where == site.base + DEMO
    assert "DEMO_J.xpt" not in files(store.cache)


def test_what_arrived_before_a_lasting_fault_is_kept_and_continued(store: Store, site: Site) -> None:
    site.faults[DEMO] = ["cut", "503", "503"]
    assert refusal(store).code == "store.download_failed"
    assert files(store.cache) == [".DEMO_J.xpt.part", ".DEMO_J.xpt.part.json"]
    assert store.path(DEMO).read_bytes() == site.content
    assert files(store.cache) == ["DEMO_J.xpt", "lock.json"]


def test_a_cut_that_the_server_does_not_announce_is_seen_by_the_format(store: Store, site: Site) -> None:
    site.faults[DEMO] = ["unannounced cut"] * 3
    assert refusal(store).code == "xpt.truncated"
    assert files(store.cache) == []


def test_a_cut_behind_a_record_is_seen_by_the_lock(store: Store, site: Site) -> None:
    store.path(DEMO).unlink()
    site.faults[DEMO] = ["border cut", "border cut"]
    refused = refusal(store)
    assert refused.code == "store.changed"
    assert "50 rows" in str(refused.expected)
    assert "40 rows" in str(refused.got)
    assert files(store.cache) == ["lock.json"]
    assert store.path(DEMO).read_bytes() == site.content


def test_a_table_with_fewer_records_than_published_does_not_enter(store: Store, site: Site, make_table: Make) -> None:
    whole = site.content
    site.content = make_table(label="")
    refused = refusal(store)
    assert (refused.code, refused.where) == ("published.cut_table", site.base + DEMO)
    assert site.asked[DEMO] == 3
    assert files(store.cache) == []
    site.content = whole
    assert store.path(DEMO).read_bytes() == whole


@pytest.mark.parametrize("elsewhere", ["404", "html"])
@pytest.mark.parametrize(
    ("base", "folder"),
    [
        ("Nchs/Data/Nhanes", "/Nchs/Nhanes/2017-2018/"),
        ("", "/Nchs/Nhanes/2017-2018/"),
        ("", "/Nchs/Data/Nhanes/Public/"),
        ("mirror", "/mirror/2017-2018/"),
    ],
)
def test_both_layouts_of_the_cdc_site_are_known(
    store: Store, site: Site, base: str, folder: str, elsewhere: str
) -> None:
    site.folders, site.elsewhere = [folder], elsewhere
    there = Store(source=site.root + base, cache=store.cache)
    path = there.path(DEMO)
    assert path.read_bytes() == site.content
    assert path.as_posix().endswith(DEMO)  # in the cache, all lie alike
    (locked,) = there.locked().values()
    assert locked.url.startswith(site.root.rstrip("/") + folder)
    assert there.path(DEMO) == path


def test_404_is_a_missing_table_and_not_tried_again(store: Store, site: Site) -> None:
    site.faults[DEMO] = ["404"]
    refused = refusal(store)
    assert refused.code == "store.missing_table"
    assert refused.where == site.base + DEMO
    assert site.asked == {DEMO: 1, BEFORE: 1}


def test_403_is_refused_and_not_tried_again(store: Store, site: Site) -> None:
    site.faults[DEMO] = ["403"]
    assert refusal(store).code == "store.refused"
    assert site.asked[DEMO] == 1


def test_a_site_that_nobody_serves_is_refused(store: Store, site: Site) -> None:
    gone = Store(source="http://127.0.0.1:9/", cache=store.cache, pauses=(0.0,))
    refused = refusal(gone)
    assert refused.code == "store.download_failed"
    assert "refused" in refused.message


def test_a_cache_that_cannot_be_written_is_refused(store: Store, site: Site) -> None:
    store.cache.write_text("a file where the folder should be")
    assert refusal(store, status=ExitStatus.INPUT).code == "output.cannot_write"


# --- the lock ---------------------------------------------------------------------------------------------


def test_a_file_that_changed_in_the_cache_stops(store: Store, site: Site, make_table: Make) -> None:
    path = store.path(DEMO)
    path.write_bytes(make_table(first=2))
    refused = refusal(store)
    assert refused.code == "store.changed"
    assert refused.where == str(path)
    assert str(store.cache / "lock.json") in refused.hint


def test_a_file_that_changed_at_the_source_stops_and_does_not_enter(store: Store, site: Site, make_table: Make) -> None:
    store.path(DEMO).unlink()
    site.content = make_table(first=2)
    refused = refusal(store)
    assert refused.code == "store.changed"
    assert refused.where == site.base + DEMO
    assert files(store.cache) == ["lock.json"]


def test_removing_record_and_file_accepts_the_new_one(store: Store, site: Site, make_table: Make) -> None:
    store.path(DEMO).unlink()
    (store.cache / "lock.json").unlink()
    site.content = make_table(first=2)
    assert store.path(DEMO).read_bytes() == site.content


@pytest.mark.parametrize("content", ["{", "[]", '{"tables": {"a": {"size": 1}}}', '{"tables": 1}'])
def test_an_unreadable_lock_file_stops(store: Store, site: Site, content: str) -> None:
    store.path(DEMO)
    (store.cache / "lock.json").write_text(content)
    assert refusal(store).code == "store.bad_lock"


def test_the_lock_file_is_readable_json_with_an_entry_for_each_table(store: Store, site: Site) -> None:
    fetch(store, [DEMO, BMX])
    content = json.loads((store.cache / "lock.json").read_text())
    assert list(content["tables"]) == [site.base + BMX, site.base + DEMO]
    assert set(content["tables"][site.base + DEMO]) == {"size", "sha256", "rows", "first_used", "url"}


# --- offline and folders ----------------------------------------------------------------------------------


def test_offline_uses_the_cache_and_asks_nobody(store: Store, site: Site) -> None:
    path = store.path(DEMO)
    offline = Store(source=site.base, cache=store.cache, offline=True)
    assert offline.path(DEMO) == path
    assert refusal(offline, BMX).code == "store.offline"
    assert site.asked == {DEMO: 1}


@pytest.mark.parametrize("form", ["plain", "file address"])
def test_a_folder_is_read_where_it_is(tmp_path: Path, make_table: Make, form: str) -> None:
    mirror = tmp_path / "a mirror"
    (mirror / DEMO).parent.mkdir(parents=True)
    (mirror / DEMO).write_bytes(make_table())
    source = str(mirror) if form == "plain" else mirror.as_uri()
    store = Store(source=source, cache=tmp_path / "cache", offline=True)
    assert store.path(DEMO) == mirror / DEMO
    assert not store.cache.exists()


def test_a_table_in_the_folder_that_was_cut_off_is_refused(tmp_path: Path, make_table: Make) -> None:
    (tmp_path / DEMO).parent.mkdir(parents=True)
    (tmp_path / DEMO).write_bytes(make_table(label=""))
    refused = refusal(Store(source=str(tmp_path)))
    assert (refused.code, refused.where) == ("published.cut_table", str(tmp_path / DEMO))


def test_a_table_that_the_folder_does_not_have_is_named_with_its_path(tmp_path: Path) -> None:
    refused = refusal(Store(source=str(tmp_path), cache=tmp_path / "cache"))
    assert refused.code == "store.missing_table"
    assert refused.where == str(tmp_path / DEMO)


def test_a_folder_that_does_not_exist_is_named(tmp_path: Path) -> None:
    refused = refusal(Store(source=str(tmp_path / "nowhere"), cache=tmp_path / "cache"))
    assert refused.code == "store.missing_source"
    assert refused.where == str(tmp_path / "nowhere")


def test_a_web_page_in_the_folder_is_refused(tmp_path: Path) -> None:
    (tmp_path / DEMO).parent.mkdir(parents=True)
    (tmp_path / DEMO).write_bytes(b"<!DOCTYPE html>" + b" " * 800)
    assert refusal(Store(source=str(tmp_path), cache=tmp_path / "cache")).code == "xpt.html"


@pytest.mark.parametrize("relative", ["/etc/passwd", "../secret.xpt", "Public/../../secret.xpt"])
def test_a_path_out_of_the_source_is_an_error_of_the_caller(tmp_path: Path, relative: str) -> None:
    with pytest.raises(ValueError, match="relative to the source"):
        Store(source=str(tmp_path), cache=tmp_path / "cache").path(relative)


def test_the_default_source_is_the_cdc_site_and_the_environment_names_another(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.delenv("MGRISK_NHANES", raising=False)
    monkeypatch.delenv("MGRISK_CACHE", raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    assert default_source() == CDC
    assert default_cache() == tmp_path / ".cache" / "mgrisk" / "nhanes"
    assert Store().local(DEMO) == default_cache() / "wwwn.cdc.gov_Nchs_Data_Nhanes" / DEMO
    monkeypatch.setenv("MGRISK_NHANES", "/data/nhanes")
    monkeypatch.setenv("MGRISK_CACHE", str(tmp_path / "elsewhere"))
    assert default_source() == "/data/nhanes"
    assert Store().cache == tmp_path / "elsewhere"


# --- many tables ------------------------------------------------------------------------------------------


def test_fetch_gives_every_table_once_in_the_order_asked_for(store: Store, site: Site) -> None:
    seen: list[str] = []
    store.path(BMX)
    results = fetch(store, [DEMO, BMX, GLU, DEMO], progress=lambda _, done, wanted: seen.append(f"{done}/{wanted}"))
    assert [result.relative for result in results] == [DEMO, BMX, GLU]
    assert [result.was_there for result in results] == [False, True, False]
    assert all(result.path.stat().st_size == result.size == len(site.content) for result in results)
    assert seen == ["1/3", "2/3", "3/3"]
    assert site.asked == {DEMO: 1, BMX: 1, GLU: 1}


def test_fetch_reports_every_failure_and_keeps_what_it_got(store: Store, site: Site) -> None:
    site.faults = {DEMO: ["html"], GLU: ["404"]}
    outcomes: list[FetchResult | MgRiskError] = []
    with pytest.raises(MgRiskError) as refused:
        fetch(store, [DEMO, BMX, GLU], progress=lambda outcome, done, wanted: outcomes.append(outcome))
    assert refused.value.code == "store.fetch_failed"
    assert refused.value.message == "2 of 3 tables are not available", refused.value.where
    for part in (DEMO, "xpt.html", GLU, "store.missing_table"):
        assert part in refused.value.where
    assert len(outcomes) == 3
    assert files(store.cache) == ["BMX_J.xpt", "lock.json"]


def test_fetch_reports_a_single_failure_as_itself(store: Store, site: Site) -> None:
    site.faults = {GLU: ["404"]}
    with pytest.raises(MgRiskError) as refused:
        fetch(store, [DEMO, BMX, GLU])
    assert refused.value.code == "store.missing_table"


def test_fetch_again_gets_only_what_failed(store: Store, site: Site) -> None:
    site.faults = {GLU: ["404"]}
    with pytest.raises(MgRiskError):
        fetch(store, [DEMO, BMX, GLU])
    assert [result.was_there for result in fetch(store, [DEMO, BMX, GLU])] == [True, True, False]
    assert site.asked[GLU] == 2


# --- a full disk, other processes, and the end of one -----------------------------------------------------

FETCH = """
import sys
from mgrisk.nhanes.store import Store, fetch
print("ready", flush=True)
fetch(Store(source=sys.argv[1]), sys.argv[2:])
"""


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    folder = tmp_path / "disk"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=64k", "mgrisk-test", str(folder)]
    if sys.platform != "linux" or subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("a small disk cannot be mounted here")
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


def run(site: Site, cache: Path, *relatives: str) -> subprocess.Popen[bytes]:
    environment = {**os.environ, "MGRISK_CACHE": str(cache), "NO_PROXY": "127.0.0.1"}
    command = [sys.executable, "-c", FETCH, site.base, *relatives]
    process = subprocess.Popen(command, env=environment, stdout=subprocess.PIPE)
    assert process.stdout is not None
    with process.stdout:
        assert process.stdout.readline() == b"ready\n"
    return process


def test_a_full_disk_is_refused_leaves_nothing_and_keeps_what_was_there(
    site: Site, small_disk: Path, make_table: Make
) -> None:
    store = Store(source=site.base, cache=small_disk, pauses=())
    there = store.path(BMX)
    before = files(small_disk)
    site.content = make_table(rows=12_000)
    refused = refusal(store, status=ExitStatus.INPUT)
    assert refused.code == "output.cannot_write"
    assert "No space left" in refused.message
    assert "free disk space" in refused.hint
    assert files(small_disk) == before
    assert store.path(BMX) == there


def test_two_processes_fetch_into_one_cache_at_once(store: Store, site: Site) -> None:
    tables = [cycle("2017-2018").path(name) for name in ("DEMO", "BMX", "GLU", "GHB", "BPX", "DIQ")]
    both = [run(site, store.cache, *tables), run(site, store.cache, *reversed(tables))]
    assert [process.wait(60) for process in both] == [0, 0]
    assert site.asked == dict.fromkeys(tables, 1)
    assert len(store.locked()) == len(tables)
    assert files(store.cache) == sorted([*(Path(each).name for each in tables), "lock.json"])
    assert all(store.path(each).read_bytes() == site.content for each in tables)


def test_the_second_of_two_waits_for_the_table_that_the_first_is_at(store: Store, site: Site) -> None:
    site.faults[DEMO] = ["stall"]
    first = run(site, store.cache, DEMO)
    assert site.stalled.wait(30)
    second = run(site, store.cache, DEMO)
    for _ in range(50):
        if site.asked[DEMO] > 1:
            break  # it did not wait
        time.sleep(0.01)
    site.released.set()
    assert [first.wait(60), second.wait(60)] == [0, 0]
    assert site.asked == {DEMO: 1}
    assert files(store.cache) == ["DEMO_J.xpt", "lock.json"]


@pytest.mark.skipif(sys.platform == "win32", reason="no SIGKILL")
def test_what_a_killed_process_left_is_continued(store: Store, site: Site) -> None:
    site.faults[DEMO] = ["stall"]
    process = run(site, store.cache, DEMO)
    assert site.stalled.wait(30)
    part = store.local(DEMO).with_name(".DEMO_J.xpt.part")
    half = len(site.content) // 2
    for _ in range(3000):
        if part.is_file() and part.stat().st_size == half:
            break
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    assert process.wait(60) == -signal.SIGKILL
    site.released.set()
    assert files(store.cache) == [".DEMO_J.xpt.part", ".DEMO_J.xpt.part.json"]
    fetch(store, [DEMO])
    assert site.ranges == [None, f"bytes={half}-"]
    assert store.path(DEMO).read_bytes() == site.content
    assert files(store.cache) == ["DEMO_J.xpt", "lock.json"]


def test_temporary_files_of_dead_processes_are_swept_before_a_fetch(store: Store, site: Site) -> None:
    gone = subprocess.Popen([sys.executable, "-c", ""])
    gone.wait()
    store.cache.mkdir()
    (store.cache / f".lock.json.0a1b2c3d.{gone.pid}.part").write_text("{")
    fetch(store, [DEMO])
    assert files(store.cache) == ["DEMO_J.xpt", "lock.json"]


def test_a_cache_in_a_folder_with_other_files_leaves_them_as_they_are(store: Store, site: Site) -> None:
    others = [store.cache / name for name in ("thesis.txt", "parsed/mine.parquet", ".thesis.txt.old", ".1.part")]
    for path in others:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("mine")
    fetch(store, [DEMO])
    assert [path.read_text() for path in others] == ["mine"] * len(others)
    (store.cache / "lock.json").write_text('{"name": "another product"}')
    assert refusal(store, BMX).code == "store.bad_lock"
    assert (store.cache / "lock.json").read_text() == '{"name": "another product"}'


def test_offline_names_every_table_that_is_missing(store: Store, site: Site) -> None:
    store.path(BMX)
    offline = Store(source=site.base, cache=store.cache, offline=True)
    with pytest.raises(MgRiskError) as refused:
        fetch(offline, [DEMO, BMX, GLU])
    assert refused.value.status is ExitStatus.SOURCE
    assert "DEMO_J.xpt" in refused.value.where
    assert "GLU_J.xpt" in refused.value.where
    assert "BMX_J.xpt" not in refused.value.where
    assert site.asked == {BMX: 1}


# --- the command ------------------------------------------------------------------------------------------


@pytest.fixture
def command(site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., int]:
    monkeypatch.setenv("MGRISK_CACHE", str(tmp_path / "cache"))
    return lambda *more: main(["fetch", "--cycle", "2017-2018", "--source", site.base, *more])


def test_the_command_shows_each_table_and_ends_with_counts(
    command: Callable[..., int], capsys: pytest.CaptureFixture[str]
) -> None:
    assert command() == 0
    first = capsys.readouterr()
    lines = first.err.splitlines()
    wanted = len(lines)
    assert wanted > 5
    assert lines[-1].startswith(f"{wanted}/{wanted} Public/")
    assert lines[-1].endswith(" bytes, downloaded")
    assert first.out.startswith(
        f"{wanted} tables: 0 in the cache already, {wanted} downloaded, 0 failed; http://127.0.0.1"
    )
    assert command() == 0
    assert f"{wanted} in the cache already, 0 downloaded, 0 failed" in capsys.readouterr().out


def test_the_command_offline_lists_what_is_missing_or_changed_and_asks_nobody(
    command: Callable[..., int], site: Site, store: Store, make_table: Make, capsys: pytest.CaptureFixture[str]
) -> None:
    assert command() == 0
    asked = dict(site.asked)
    assert command("--offline") == 0
    store.local(DEMO).unlink()
    store.local(BMX).write_bytes(make_table(first=2))
    capsys.readouterr()
    assert command("--offline") == ExitStatus.SOURCE
    said = capsys.readouterr()
    assert f"missing: {store.local(DEMO)}\n" in said.err
    assert f"failed: {store.local(BMX)}: this table has changed since" in said.err
    assert f"{len(asked) - 2} in the cache already, 0 downloaded, 2 failed" in said.out
    assert "[store.fetch_failed]" in said.err
    assert dict(site.asked) == asked

from __future__ import annotations

import hashlib
import json
import threading
from collections import Counter
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from mgrisk.errors import ExitStatus, MgRiskError
from mgrisk.nhanes import xpt
from mgrisk.nhanes.cycles import cycle
from mgrisk.nhanes.store import CDC, FetchResult, Store, default_cache, default_source, fetch

DEMO = cycle("2017-2018").path("DEMO")
BMX = cycle("2017-2018").path("BMX")
GLU = cycle("2017-2018").path("GLU")
PAGE = b"<!DOCTYPE html>\n<html><body>This page has moved</body></html>" * 50


class Site(ThreadingHTTPServer):
    """A web site that has tables and can be told to misbehave about each, once for each entry of its list."""

    daemon_threads = True

    def __init__(self, content: bytes) -> None:
        super().__init__(("127.0.0.1", 0), Answer)
        self.content = content
        self.faults: dict[str, list[str]] = {}
        self.asked: Counter[str] = Counter()

    @property
    def base(self) -> str:
        return f"http://127.0.0.1:{self.server_port}/Nhanes/"


class Answer(BaseHTTPRequestHandler):
    server: Site

    def do_GET(self) -> None:
        relative = self.path.removeprefix("/Nhanes/")
        self.server.asked[relative] += 1
        faults = self.server.faults.get(relative, [])
        fault = faults.pop(0) if faults else "none"
        content = PAGE if fault == "html" else self.server.content
        if fault.isdigit():
            self.send_error(int(fault))
            return
        self.send_response(200)
        if fault != "unannounced cut":
            self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        if fault == "reset":
            self.wfile.flush()
            self.connection.shutdown(2)
            return
        cut = len(content) // 2 + 13
        self.wfile.write(content[:cut] if fault in ("cut", "unannounced cut") else content)

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing."""


def table(path: Path, *, first: int = 1) -> bytes:
    xpt.write(pd.DataFrame({"SEQN": np.arange(first, first + 50)}), path, table="DEMO_J")
    return path.read_bytes()


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Site]:
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    with Site(table(tmp_path / "made.xpt")) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield server
        server.shutdown()
        thread.join()


@pytest.fixture
def store(site: Site, tmp_path: Path) -> Store:
    return Store(source=site.base, cache=tmp_path / "cache", pauses=(0.0, 0.0))


def refusal(store: Store, relative: str = DEMO) -> MgRiskError:
    with pytest.raises(MgRiskError) as refused:
        store.path(relative)
    assert refused.value.status is ExitStatus.SOURCE
    return refused.value


def files(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.rglob("*") if path.is_file())


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
    assert site.asked[DEMO] == 1
    assert files(store.cache) == []


@pytest.mark.parametrize("fault", ["503", "500", "429", "cut", "reset"])
def test_a_passing_fault_is_survived(store: Store, site: Site, fault: str) -> None:
    site.faults[DEMO] = [fault, fault]
    assert store.path(DEMO).read_bytes() == site.content
    assert site.asked[DEMO] == 3
    assert files(store.cache) == ["DEMO_J.xpt", "lock.json"]


@pytest.mark.parametrize(("fault", "said"), [("503", "HTTP 503"), ("cut", "bytes of"), ("reset", "bytes of")])
def test_a_lasting_fault_is_refused_with_what_happened_last(store: Store, site: Site, fault: str, said: str) -> None:
    site.faults[DEMO] = [fault] * 3
    refused = refusal(store)
    assert refused.code == "store.download_failed"
    assert said in refused.message
    assert refused.where == site.base + DEMO
    assert files(store.cache) == []


def test_a_cut_that_the_server_does_not_announce_is_seen_by_the_format(store: Store, site: Site) -> None:
    site.faults[DEMO] = ["unannounced cut"]
    assert refusal(store).code == "xpt.truncated"
    assert files(store.cache) == []


def test_404_is_a_missing_table_and_not_tried_again(store: Store, site: Site) -> None:
    site.faults[DEMO] = ["404"]
    refused = refusal(store)
    assert refused.code == "store.missing_table"
    assert refused.where == site.base + DEMO
    assert site.asked[DEMO] == 1


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
    assert refusal(store).code == "store.cannot_write"


# --- the lock ---------------------------------------------------------------------------------------------


def test_a_file_that_changed_in_the_cache_stops(store: Store, site: Site, tmp_path: Path) -> None:
    path = store.path(DEMO)
    path.write_bytes(table(tmp_path / "other.xpt", first=2))
    refused = refusal(store)
    assert refused.code == "store.changed"
    assert refused.where == str(path)
    assert str(store.cache / "lock.json") in refused.hint


def test_a_file_that_changed_at_the_source_stops_and_does_not_enter(store: Store, site: Site, tmp_path: Path) -> None:
    store.path(DEMO).unlink()
    site.content = table(tmp_path / "other.xpt", first=2)
    refused = refusal(store)
    assert refused.code == "store.changed"
    assert refused.where == site.base + DEMO
    assert files(store.cache) == ["lock.json"]


def test_removing_record_and_file_accepts_the_new_one(store: Store, site: Site, tmp_path: Path) -> None:
    store.path(DEMO).unlink()
    (store.cache / "lock.json").unlink()
    site.content = table(tmp_path / "other.xpt", first=2)
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
    assert set(content["tables"][site.base + DEMO]) == {"size", "sha256", "rows", "first_used"}


# --- offline and folders ----------------------------------------------------------------------------------


def test_offline_uses_the_cache_and_asks_nobody(store: Store, site: Site) -> None:
    path = store.path(DEMO)
    offline = Store(source=site.base, cache=store.cache, offline=True)
    assert offline.path(DEMO) == path
    assert refusal(offline, BMX).code == "store.offline"
    assert site.asked == {DEMO: 1}


@pytest.mark.parametrize("form", ["plain", "file address"])
def test_a_folder_is_read_where_it_is(tmp_path: Path, form: str) -> None:
    mirror = tmp_path / "a mirror"
    (mirror / DEMO).parent.mkdir(parents=True)
    table(mirror / DEMO)
    source = str(mirror) if form == "plain" else mirror.as_uri()
    store = Store(source=source, cache=tmp_path / "cache", offline=True)
    assert store.path(DEMO) == mirror / DEMO
    assert not store.cache.exists()


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
    (tmp_path / DEMO).write_bytes(PAGE)
    assert refusal(Store(source=str(tmp_path), cache=tmp_path / "cache")).code == "xpt.html"


@pytest.mark.parametrize("relative", ["/etc/passwd", "../secret.xpt", "Public/../../secret.xpt"])
def test_a_path_out_of_the_source_is_an_error_of_the_caller(tmp_path: Path, relative: str) -> None:
    with pytest.raises(ValueError, match="below the source"):
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
    assert refused.value.message == "2 of 3 tables cannot be had"
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
    assert site.asked == {DEMO: 1, BMX: 1, GLU: 2}

"""A local web server with tables, which can simulate failures."""

from __future__ import annotations

import hashlib
import threading
from collections import Counter
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from mgrisk.nhanes import xpt
from mgrisk.nhanes.codebook import SYNTHETIC

PAGE = b"<!DOCTYPE html>\n<html><body>This page has moved</body></html>" * 50


class Site(ThreadingHTTPServer):
    """It misbehaves about each path once for each entry of its list of faults.

    Faults: a status as digits; "html" with status 200; "cut" short of the announced length; "reset" before the
    first byte; "unannounced": no length; "unannounced cut"; "border cut": unannounced, and behind a record;
    "chunked": in pieces, each announced; "chunked cut" before the last of them; "stall" in the middle until
    `released`; "other piece" in answer to a range, or "piece of another"; "unsatisfied range".
    """

    daemon_threads = True

    def __init__(self, content: bytes) -> None:
        super().__init__(("127.0.0.1", 0), Answer)
        self.content = content
        self.faults: dict[str, list[str]] = {}
        self.asked: Counter[str] = Counter()
        self.ranges: list[str | None] = []
        self.knows_ranges = True
        self.tag = "strong"
        self.modified: str | None = "Wed, 01 Jan 2025 00:00:00 GMT"
        self.retry_after: str | None = None
        # Below which folders there are tables, and what there is elsewhere: a status, or a page with 200.
        self.folders = ["/Nhanes/Public/"]
        self.elsewhere = "404"
        self.released = threading.Event()
        self.stalled = threading.Event()
        self.counting = threading.Lock()

    @property
    def root(self) -> str:
        return f"http://127.0.0.1:{self.server_port}/"

    @property
    def base(self) -> str:
        return f"{self.root}Nhanes/"

    @property
    def etag(self) -> str | None:
        known = {"strong": '"{}"', "weak": 'W/"{}"'}.get(self.tag)
        return known and known.format(hashlib.sha256(self.content).hexdigest()[:12])


class Answer(BaseHTTPRequestHandler):
    server: Site

    def do_GET(self) -> None:
        site, relative = self.server, self.path.removeprefix("/Nhanes/")
        with site.counting:
            site.asked[relative] += 1
            site.ranges.append(self.headers["Range"])
            faults = site.faults.get(relative, [])
            fault = faults.pop(0) if faults else "none"
        if fault == "none" and not self.path.startswith(tuple(site.folders)):
            fault = site.elsewhere
        if fault.isdigit():
            self.send_response(int(fault))
            if site.retry_after is not None:
                self.send_header("Retry-After", site.retry_after)
            self.send_header("Content-Length", "0")
            self.end_headers()
            return
        content, start = PAGE if fault == "html" else site.content, 0
        asked = self.headers["Range"] if site.knows_ranges and fault != "html" else None
        same = self.headers["If-Range"] in (site.etag, site.modified) or fault == "piece of another"
        if asked is not None and same:
            start = int(asked.removeprefix("bytes=").removesuffix("-"))
        if start >= len(content) or fault == "unsatisfied range":
            self.send_response(416)
            self.send_header("Content-Length", "0")
            self.end_headers()
            return
        self.send_response(206 if start else 200)
        if start:
            said = start + 8 if fault == "other piece" else start
            self.send_header("Content-Range", f"bytes {said}-{len(content) - 1}/{len(content)}")
        body = content[start:]
        if fault.startswith("chunked"):
            self.send_header("Transfer-Encoding", "chunked")
            pieces = [body[at : at + 80] for at in range(0, len(body), 80)]
            body = b"".join(b"%x\r\n%s\r\n" % (len(each), each) for each in pieces) + b"0\r\n\r\n"
        elif fault not in ("unannounced", "unannounced cut", "border cut"):
            self.send_header("Content-Length", str(len(body)))
        if site.etag:
            self.send_header("ETag", site.etag)
        if site.modified:
            self.send_header("Last-Modified", site.modified)
        self.end_headers()
        if fault == "reset":
            self.wfile.flush()
            self.connection.shutdown(2)
            return
        if fault == "stall":
            half = len(body) // 2
            self.wfile.write(body[:half])
            self.wfile.flush()
            site.stalled.set()
            site.released.wait(30)
            body = body[half:]
        half = len(body) // 2 + 13
        cuts = {"cut": half, "unannounced cut": half, "border cut": len(body) - 80, "chunked cut": len(body) - 91}
        try:
            self.wfile.write(body[: cuts.get(fault, len(body))])
        except (BrokenPipeError, ConnectionResetError):
            self.close_connection = True  # the other side was killed, which is what the test is about

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing."""


def table(path: Path, *, first: int = 1, rows: int = 50, label: str = SYNTHETIC) -> bytes:
    """Write and return a table; 50 rows of 8 bytes are five cards."""
    # Of real people DEMO_J has 9,254 records.
    people = pd.DataFrame({"SEQN": np.arange(first, first + rows)})
    xpt.write(people, path, table="DEMO_J", dataset_label=label)
    return path.read_bytes()


@pytest.fixture
def make_table(tmp_path: Path) -> object:
    """Return a function that makes the bytes of a table."""
    return lambda **how: table(tmp_path / "made.xpt", **how)


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Site]:
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    with Site(table(tmp_path / "made.xpt")) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield server
        server.released.set()
        server.shutdown()
        thread.join()

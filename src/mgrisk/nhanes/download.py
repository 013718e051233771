"""Download of one table over HTTP, with retries, continuation of partial files, and a check that the file is complete.

A web site has a table in CDC's current layout, or in the layout that CDC used before November 2024:

    current  Nchs/Data/Nhanes/Public/2017/DataFiles/DEMO_J.xpt
    old      Nchs/Nhanes/2017-2018/DEMO_J.XPT

A mirror may use either. Source: the addresses on wwwn.cdc.gov/nchs/nhanes. An interrupted download is continued or
retried; an error that a retry cannot fix is raised at once.
"""

from __future__ import annotations

import json
import random
import re
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from email.message import Message
from http.client import HTTPException
from pathlib import Path, PurePosixPath
from ssl import SSLError
from typing import Final
from urllib.error import HTTPError, URLError
from urllib.parse import urlsplit
from urllib.request import Request, urlopen

from mgrisk.errors import MgRiskError, bad_source
from mgrisk.nhanes.lock_file import refuse_cut_file
from mgrisk.storage.files import sha256

CURRENT_LAYOUT: Final = "Nchs/Data/Nhanes/"
"""Folder of the current layout, relative to the root of the site."""
OLD_LAYOUT: Final = "Nchs/Nhanes/"
"""Folder of the old layout, relative to the root of the site."""
_TABLE: Final = re.compile(r"Public/(\d{4})/DataFiles/(\w+)\.xpt")


def addresses(base: str, relative: str) -> tuple[str, ...]:
    """Return the addresses at which a site may have a table, the most likely first.

    Parameters
    ----------
    base
        Base address of the site: its root, or the folder of either layout.
    relative
        Path of the table in the current layout, for example ``"Public/2017/DataFiles/DEMO_J.xpt"``; any other
        path gives one address.

    Examples
    --------
    >>> for address in addresses("https://wwwn.cdc.gov/Nchs/Data/Nhanes/", "Public/2017/DataFiles/DEMO_J.xpt"):
    ...     print(address)
    https://wwwn.cdc.gov/Nchs/Data/Nhanes/Public/2017/DataFiles/DEMO_J.xpt
    https://wwwn.cdc.gov/Nchs/Nhanes/2017-2018/DEMO_J.XPT
    """
    base = base.rstrip("/") + "/"
    found = [base + relative]
    old = _old_path(relative)
    if old is None:
        return tuple(found)
    if base.lower().endswith("/" + CURRENT_LAYOUT.lower()):
        found.append(base[: -len(CURRENT_LAYOUT)] + OLD_LAYOUT + old)
    else:
        if urlsplit(base).path == "/":
            found += [base + CURRENT_LAYOUT + relative, base + OLD_LAYOUT + old]
        found.append(base + old)
    return tuple(found)


def _old_path(relative: str) -> str | None:
    matched = _TABLE.fullmatch(relative)
    if matched is None:
        return None
    first = int(matched[1])
    # The folder always had two years in its name: 2017-2018 has P_DEMO.XPT of 2017 to March 2020, and
    # 2021-2022 has DEMO_L.XPT of August 2021 to August 2023.
    return f"{first}-{first + 1}/{matched[2]}.XPT"


PAUSES: Final = (0.5, 2.0, 8.0)
"""Seconds before each retry, randomly varied by up to half."""
_TIMEOUT: Final = 60.0  # seconds without a byte
_CHUNK: Final = 1 << 20
_LONGEST_PAUSE: Final = 60.0  # seconds, even if the server asks for more
_NOT_FOUND: Final = (404, 410)
_RANGE_NOT_SATISFIABLE: Final = 416
_RETRYABLE: Final = (408, 425, 429, 500, 502, 503, 504)
_TRY_NEXT_ADDRESS: Final = ("store.missing_table", "xpt.html")
_TRUNCATED: Final = ("xpt.truncated", "published.cut_table")
_RANGE: Final = re.compile(r"bytes (\d+)-\d+/(\d+|\*)")


class _RetryableError(Exception):
    """An error that a retry may resolve."""

    def __init__(self, reason: str, *, wait: float = 0.0) -> None:
        super().__init__(reason)
        self.wait = wait


@dataclass(frozen=True)
class _PartialDownload:
    """Address and version of a partially downloaded file, stored beside it so that another process can continue.

    `validator` identifies the version of the content on the server (a strong ETag, else Last-Modified). Without
    one it is unknown whether the content has changed since, and the download starts again.
    """

    url: str
    validator: str


def download(
    urls: Sequence[str],
    part: Path,
    *,
    pauses: Sequence[float] = PAUSES,
    sleep: Callable[[float], None] = time.sleep,
) -> str:
    """Download a SAS transport file and check that it is valid and complete.

    Parameters
    ----------
    urls
        Addresses, http or https, tried in order until one has the table (and not a web page in its place).
    part
        Where to write. A partial file from an earlier call is continued if the content on the server has not
        changed. No other process may write there at the same time.
    pauses
        Seconds to wait before each retry, randomly varied by up to half. Retries follow a busy or failing
        server, a lost connection, or a truncated download; the bytes received are kept and continued.
    sleep
        Function that waits for a number of seconds.

    Returns
    -------
    str
        The address that had the table.

    Raises
    ------
    MgRiskError
        ``store.missing_table`` if no address has the table; ``xpt.html`` for a web page in its place, and the
        other errors of `nhanes.lock_file.refuse_cut_file`; ``store.refused`` for any other HTTP error that a
        retry cannot resolve; ``store.download_failed`` with the last error after all retries: the bytes
        received are then kept for the next call. Exit status 4.
    OSError
        If the file cannot be written; no partial file is left.

    Notes
    -----
    If the server does not state the length, a download cut off after a record looks like a complete table. Such a
    table is downloaded until two downloads in a row are identical.
    """
    refusals: list[MgRiskError] = []
    for url in urls:
        try:
            _with_retries(url, part, pauses, sleep)
        except MgRiskError as error:
            if error.code not in _TRY_NEXT_ADDRESS:
                raise
            refusals.append(error)
        except OSError:
            forget(part)
            raise
        else:
            _state(part).unlink(missing_ok=True)
            return url
    first, *others = refusals
    first.got = "; ".join([first.got or "nothing", *(f"{error.got} at {error.where}" for error in others)])
    raise first


def forget(part: Path) -> None:
    """Remove a partial file and its state file."""
    part.unlink(missing_ok=True)
    _state(part).unlink(missing_ok=True)


def _with_retries(url: str, part: Path, pauses: Sequence[float], sleep: Callable[[float], None]) -> None:
    problem: Exception | None = None
    unannounced = ""
    for pause in (0.0, *pauses):
        if problem is not None:
            asked = getattr(problem, "wait", 0.0)
            # Randomly varied, so that clients that failed at the same time do not all retry at the same time.
            sleep(max(pause * random.uniform(0.5, 1.5), asked))
        try:
            announced = _try_once(url, part)
        except _RetryableError as again:
            problem = again
            continue
        try:
            refuse_cut_file(part, PurePosixPath(urlsplit(url).path).stem, where=url)
        except MgRiskError as error:
            forget(part)
            # The address is more useful than the name of a temporary file.
            error.where = url
            if error.code not in _TRUNCATED:
                raise
            problem = error
            continue
        last, unannounced = unannounced, sha256(part)
        if announced or last == unannounced:
            return
        forget(part)
        problem = _RetryableError("the server did not state the length, and no two downloads were identical")
    if isinstance(problem, MgRiskError):
        raise problem
    raise bad_source(
        "store.download_failed",
        f"the download failed {len(pauses) + 1} times; last error: {problem}",
        where=url,
        hint="try again later (the bytes received are kept), or set another --source",
    ) from problem


def _try_once(url: str, part: Path) -> bool:
    """Complete `part`; return whether the server stated the length. Raises `_RetryableError` if a retry may help."""
    begun, there = _read_begun(url, part)
    headers = {"User-Agent": "mgrisk", "Accept-Encoding": "identity"}
    if begun is not None:
        headers |= {"Range": f"bytes={there}-", "If-Range": begun.validator}
    try:
        # The store has already handled addresses of other schemes.
        with urlopen(Request(url, headers=headers), timeout=_TIMEOUT) as answer:  # nosec B310
            total = _length(answer.headers)
            in_chunks = answer.headers.get("Transfer-Encoding", "").lower() == "chunked"
            if answer.status == 206:
                total = _check_range(answer.headers, begun, there, part)
            else:
                # The whole file: a first download, a changed file, or a server without range requests.
                there = 0
                _begin(url, answer.headers, part)
            with part.open("ab") as out:
                # `read1` returns what has arrived, so that a killed process has saved it.
                while chunk := answer.read1(_CHUNK):
                    there += out.write(chunk)
                    out.flush()
    except HTTPError as error:
        error.close()
        if error.code == _RANGE_NOT_SATISFIABLE and begun is not None:
            forget(part)
            return _try_once(url, part)
        raise _http_error(url, error) from error
    except (URLError, TimeoutError, ConnectionError, HTTPException, SSLError) as error:
        raise _RetryableError(f"{type(error).__name__}: {getattr(error, 'reason', None) or error}") from error
    # http.client does not report a truncated body that is read in pieces.
    if total is not None and there != total:
        if there > total:
            forget(part)
        raise _RetryableError(f"{there} bytes of {total}")
    return in_chunks or total is not None


def _state(part: Path) -> Path:
    return part.with_name(f"{part.name}.json")


def _read_begun(url: str, part: Path) -> tuple[_PartialDownload | None, int]:
    """Return the state of the partial file of this address and its size, or (None, 0)."""
    try:
        begun = _PartialDownload(**json.loads(_state(part).read_text(encoding="utf-8")))
        there = part.stat().st_size
    except (FileNotFoundError, ValueError, TypeError):
        return None, 0
    return (begun, there) if begun.url == url and begun.validator and there else (None, 0)


def _begin(url: str, headers: Message, part: Path) -> None:
    # In this order, so that the state file never describes another file's bytes.
    _state(part).unlink(missing_ok=True)
    part.write_bytes(b"")
    begun = _PartialDownload(url=url, validator=_validator(headers))
    if begun.validator:
        _state(part).write_text(json.dumps(asdict(begun)), encoding="utf-8")


def _validator(headers: Message) -> str:
    tag = headers.get("ETag", "")
    # A weak ETag may be the same for different bytes.
    return tag if tag.startswith('"') else headers.get("Last-Modified", "")


def _length(headers: Message) -> int | None:
    announced = headers.get("Content-Length", "")
    return int(announced) if announced.isdigit() else None


def _check_range(headers: Message, begun: _PartialDownload | None, there: int, part: Path) -> int | None:
    """Return the size of the whole file; raise `_RetryableError` if this is not the requested range."""
    matched = _RANGE.fullmatch(headers.get("Content-Range", ""))
    given = _validator(headers)
    if begun is None or matched is None or int(matched[1]) != there or (given and given != begun.validator):
        forget(part)
        raise _RetryableError(f"the server did not send the bytes from {there} on")
    return None if matched[2] == "*" else int(matched[2])


def _http_error(url: str, error: HTTPError) -> Exception:
    if error.code in _RETRYABLE:
        after = error.headers.get("Retry-After", "")
        wait = min(float(after), _LONGEST_PAUSE) if after.isdigit() else 0.0
        return _RetryableError(f"HTTP {error.code} {error.reason}", wait=wait)
    if error.code in _NOT_FOUND:
        return bad_source(
            "store.missing_table",
            "the source does not have this table",
            where=url,
            hint="check the address in a browser: the cycle may lack the table, or the site may have moved it",
            got=f"HTTP {error.code}",
        )
    return bad_source(
        "store.refused",
        "the source refused to send this table",
        where=url,
        hint="check the address and your access to the site, or set another --source",
        got=f"HTTP {error.code} {error.reason}",
    )

"""Downloading one table over HTTP: where it lies on the site, and into a file that is whole or not there.

A table lies on a web site in CDC's layout of today, or in that of before November 2024.

    today   Nchs/Data/Nhanes/Public/2017/DataFiles/DEMO_J.xpt
    before  Nchs/Nhanes/2017-2018/DEMO_J.XPT

Mirrors keep the one or the other. Source: the addresses on wwwn.cdc.gov/nchs/nhanes. A download that broke off is
continued or tried again where that can help, and refused where it cannot.
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

TODAY: Final = "Nchs/Data/Nhanes/"
"""Folder of today's layout, below the root of the site."""
BEFORE: Final = "Nchs/Nhanes/"
"""Folder of the layout of before, below the root of the site."""
_TABLE: Final = re.compile(r"Public/(\d{4})/DataFiles/(\w+)\.xpt")


def addresses(base: str, relative: str) -> tuple[str, ...]:
    """Return the addresses at which a site may have a table, the likeliest first.

    Parameters
    ----------
    base
        Base address of the site: its root, or the folder of either layout.
    relative
        Path of the table in today's layout, for example ``"Public/2017/DataFiles/DEMO_J.xpt"``; any other
        path has one address.

    Examples
    --------
    >>> for address in addresses("https://wwwn.cdc.gov/Nchs/Data/Nhanes/", "Public/2017/DataFiles/DEMO_J.xpt"):
    ...     print(address)
    https://wwwn.cdc.gov/Nchs/Data/Nhanes/Public/2017/DataFiles/DEMO_J.xpt
    https://wwwn.cdc.gov/Nchs/Nhanes/2017-2018/DEMO_J.XPT
    """
    base = base.rstrip("/") + "/"
    found = [base + relative]
    before = _before(relative)
    if before is None:
        return tuple(found)
    if base.lower().endswith("/" + TODAY.lower()):
        found.append(base[: -len(TODAY)] + BEFORE + before)
    else:
        if urlsplit(base).path == "/":
            found += [base + TODAY + relative, base + BEFORE + before]
        found.append(base + before)
    return tuple(found)


def _before(relative: str) -> str | None:
    matched = _TABLE.fullmatch(relative)
    if matched is None:
        return None
    first = int(matched[1])
    # The folder was named for two years whatever the files in it: 2017-2018 has P_DEMO.XPT of 2017 to March
    # 2020, and 2021-2022 has DEMO_L.XPT of August 2021 to August 2023.
    return f"{first}-{first + 1}/{matched[2]}.XPT"


PAUSES: Final = (0.5, 2.0, 8.0)
"""Seconds before each further try, give or take half."""
_TIMEOUT: Final = 60.0  # seconds without a byte
_CHUNK: Final = 1 << 20
_LONGEST_PAUSE: Final = 60.0  # seconds, whatever the server asks for
_GONE: Final = (404, 410)
_NOT_THAT_RANGE: Final = 416
_WORTH_TRYING_AGAIN: Final = (408, 425, 429, 500, 502, 503, 504)
_ELSEWHERE_PERHAPS: Final = ("store.missing_table", "xpt.html")
_CUT: Final = ("xpt.truncated", "published.cut_table")
_RANGE: Final = re.compile(r"bytes (\d+)-\d+/(\d+|\*)")


class _AgainError(Exception):
    """Something that another try may mend."""

    def __init__(self, reason: str, *, wait: float = 0.0) -> None:
        super().__init__(reason)
        self.wait = wait


@dataclass(frozen=True)
class _Begun:
    """What a partial file is the beginning of; written beside it, so that another process can go on.

    `validator` is the server's name for this very content (a strong ETag, else Last-Modified): without one
    nobody can tell whether the rest still fits, and the download starts again.
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
    """Fetch a SAS transport file and check that it is one, and whole.

    Parameters
    ----------
    urls
        Addresses, http or https: the next is asked where one does not have the table (or has a web page).
    part
        Where to write. A partial file that an earlier call left there is continued if the server says that
        its copy is still the same. Nobody else may write there meanwhile.
    pauses
        Seconds to wait before each further try, give or take half: after a busy or failing server, a lost
        connection, or a body that is cut short. What arrived is kept and continued.
    sleep
        What waits.

    Returns
    -------
    str
        The address that had it.

    Raises
    ------
    MgRiskError
        ``store.missing_table`` where the server does not have it; ``xpt.html`` for a web page in its place,
        and the other refusals of `nhanes.lock_file.refuse_cut_file`; ``store.refused`` for any other answer that trying
        again does not change; ``store.download_failed`` with what happened last once all tries are used up:
        then what arrived stays for the next call. Exit status 4.
    OSError
        Where the file cannot be written; nothing is left.

    Notes
    -----
    A body of which the server does not say how long it is may end early behind a record, which looks like a whole
    table: it is fetched until two are the same.
    """
    refusals: list[MgRiskError] = []
    for url in urls:
        try:
            _persist(url, part, pauses, sleep)
        except MgRiskError as error:
            if error.code not in _ELSEWHERE_PERHAPS:
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
    """Remove a partial file and what is known of it."""
    part.unlink(missing_ok=True)
    _state(part).unlink(missing_ok=True)


def _persist(url: str, part: Path, pauses: Sequence[float], sleep: Callable[[float], None]) -> None:
    problem: Exception | None = None
    unannounced = ""
    for pause in (0.0, *pauses):
        if problem is not None:
            asked = getattr(problem, "wait", 0.0)
            # Not all at the same moment: those who failed together would come back together.
            sleep(max(pause * random.uniform(0.5, 1.5), asked))
        try:
            announced = _try_once(url, part)
        except _AgainError as again:
            problem = again
            continue
        try:
            refuse_cut_file(part, PurePosixPath(urlsplit(url).path).stem, where=url)
        except MgRiskError as error:
            forget(part)
            # The address says more than the name of a temporary file.
            error.where = url
            if error.code not in _CUT:
                raise
            problem = error
            continue
        last, unannounced = unannounced, sha256(part)
        if announced or last == unannounced:
            return
        forget(part)
        problem = _AgainError("a body of which nobody said how long it is, and no second one like it")
    if isinstance(problem, MgRiskError):
        raise problem
    raise bad_source(
        "store.download_failed",
        f"the download failed {len(pauses) + 1} times, the last time with: {problem}",
        where=url,
        hint="try later; what has been fetched is kept. Or name another --source",
    ) from problem


def _try_once(url: str, part: Path) -> bool:
    """Bring `part` to its end and return whether that was announced, or raise `_AgainError` if another try may help."""
    begun, there = _read_begun(url, part)
    headers = {"User-Agent": "mgrisk", "Accept-Encoding": "identity"}
    if begun is not None:
        headers |= {"Range": f"bytes={there}-", "If-Range": begun.validator}
    try:
        # A source of another scheme is a folder, or was refused by the store.
        with urlopen(Request(url, headers=headers), timeout=_TIMEOUT) as answer:  # nosec B310
            total = _length(answer.headers)
            in_chunks = answer.headers.get("Transfer-Encoding", "").lower() == "chunked"
            if answer.status == 206:
                total = _check_range(answer.headers, begun, there, part)
            else:
                # The whole: for the first time, or because the copy changed or the server knows no ranges.
                there = 0
                _begin(url, answer.headers, part)
            with part.open("ab") as out:
                # What is there now and not what fills a chunk: a process that is killed has kept it.
                while chunk := answer.read1(_CHUNK):
                    there += out.write(chunk)
                    out.flush()
    except HTTPError as error:
        error.close()
        if error.code == _NOT_THAT_RANGE and begun is not None:
            forget(part)
            return _try_once(url, part)
        raise _judge(url, error) from error
    except (URLError, TimeoutError, ConnectionError, HTTPException, SSLError) as error:
        raise _AgainError(f"{type(error).__name__}: {getattr(error, 'reason', None) or error}") from error
    # http.client ends a body that was cut off like any other when it is read in pieces.
    if total is not None and there != total:
        if there > total:
            forget(part)
        raise _AgainError(f"{there} bytes of {total}")
    return in_chunks or total is not None


def _state(part: Path) -> Path:
    return part.with_name(f"{part.name}.json")


def _read_begun(url: str, part: Path) -> tuple[_Begun | None, int]:
    """Return what is there to go on from and its size, or (None, 0)."""
    try:
        begun = _Begun(**json.loads(_state(part).read_text(encoding="utf-8")))
        there = part.stat().st_size
    except (FileNotFoundError, ValueError, TypeError):
        return None, 0
    return (begun, there) if begun.url == url and begun.validator and there else (None, 0)


def _begin(url: str, headers: Message, part: Path) -> None:
    # In this order: a state never stands beside bytes of something else.
    _state(part).unlink(missing_ok=True)
    part.write_bytes(b"")
    begun = _Begun(url=url, validator=_validator(headers))
    if begun.validator:
        _state(part).write_text(json.dumps(asdict(begun)), encoding="utf-8")


def _validator(headers: Message) -> str:
    tag = headers.get("ETag", "")
    # A weak tag calls things the same that are not the same bytes.
    return tag if tag.startswith('"') else headers.get("Last-Modified", "")


def _length(headers: Message) -> int | None:
    announced = headers.get("Content-Length", "")
    return int(announced) if announced.isdigit() else None


def _check_range(headers: Message, begun: _Begun | None, there: int, part: Path) -> int | None:
    """Return the size of the whole file, or raise `_AgainError` if this is not the piece that was asked for."""
    matched = _RANGE.fullmatch(headers.get("Content-Range", ""))
    given = _validator(headers)
    if begun is None or matched is None or int(matched[1]) != there or (given and given != begun.validator):
        forget(part)
        raise _AgainError(f"another piece than the one from byte {there} on")
    return None if matched[2] == "*" else int(matched[2])


def _judge(url: str, error: HTTPError) -> Exception:
    if error.code in _WORTH_TRYING_AGAIN:
        after = error.headers.get("Retry-After", "")
        wait = min(float(after), _LONGEST_PAUSE) if after.isdigit() else 0.0
        return _AgainError(f"HTTP {error.code} {error.reason}", wait=wait)
    if error.code in _GONE:
        return bad_source(
            "store.missing_table",
            "the source does not have this table",
            where=url,
            hint="the cycle may not have it, or the site has moved it: check the address in a browser",
            got=f"HTTP {error.code}",
        )
    return bad_source(
        "store.refused",
        "the source does not give this table",
        where=url,
        hint="check the address and whether the site is open to you; or name another --source",
        got=f"HTTP {error.code} {error.reason}",
    )

"""One table over HTTP, into a file: tried again where that can help, refused where it cannot."""

from __future__ import annotations

import time
from collections.abc import Sequence
from http.client import HTTPException
from pathlib import Path
from ssl import SSLError
from typing import Final
from urllib.error import HTTPError, URLError
from urllib.request import Request, urlopen

from mgrisk.errors import MgRiskError, bad_source
from mgrisk.nhanes import xpt_header
from mgrisk.nhanes.xpt_header import XptHeader

PAUSES: Final = (0.5, 2.0, 8.0)
"""Seconds before each further try."""

_TIMEOUT: Final = 60.0  # seconds without a byte
_CHUNK: Final = 1 << 20
_GONE: Final = (404, 410)
_WORTH_TRYING_AGAIN: Final = (408, 425, 429, 500, 502, 503, 504)


def download(url: str, path: Path, *, pauses: Sequence[float] = PAUSES) -> XptHeader:
    """Fetch a SAS transport file and check that it is one, and whole.

    Parameters
    ----------
    url
        Address, http or https.
    path
        Where to write. What is there after an error is of no use: remove it.
    pauses
        Seconds to wait before each further try: after a busy or failing server, a lost connection, or a body
        that is shorter than announced.

    Returns
    -------
    XptHeader
        The header of the file.

    Raises
    ------
    MgRiskError
        ``store.missing_table`` where the server does not have it; ``xpt.html`` for a web page in its place,
        and the other refusals of `xpt_header.header`; ``store.refused`` for any other answer that trying
        again does not change; ``store.download_failed`` with what happened last once all tries are used up.
        Exit status 4.
    OSError
        Where the file cannot be written.
    """
    reason = ""
    for pause in (0.0, *pauses):
        time.sleep(pause)
        failure = _try_once(url, path)
        if failure is None:
            return _check(url, path)
        reason = failure
    raise bad_source(
        "store.download_failed",
        f"the download failed {len(pauses) + 1} times, the last time with: {reason}",
        where=url,
        hint="try later; what has been fetched is kept. Or name another --source",
    )


def _try_once(url: str, path: Path) -> str | None:
    """Return what went wrong, if another try may help."""
    request = Request(url, headers={"User-Agent": "mgrisk", "Accept-Encoding": "identity"})
    try:
        with urlopen(request, timeout=_TIMEOUT) as answer, path.open("wb") as out:
            received = 0
            while chunk := answer.read(_CHUNK):
                received += out.write(chunk)
            announced = answer.headers.get("Content-Length")
    except HTTPError as error:
        error.close()
        return _judge(url, error)
    except (URLError, TimeoutError, ConnectionError, HTTPException, SSLError) as error:
        return f"{type(error).__name__}: {getattr(error, 'reason', None) or error}"
    # http.client ends a body that was cut off like any other when it is read in pieces.
    if announced is not None and announced.isdigit() and received != int(announced):
        return f"{received} bytes of {announced}"
    return None


def _judge(url: str, error: HTTPError) -> str:
    if error.code in _WORTH_TRYING_AGAIN:
        return f"HTTP {error.code} {error.reason}"
    if error.code in _GONE:
        raise bad_source(
            "store.missing_table",
            "the source does not have this table",
            where=url,
            hint="the cycle may not have it, or the site has moved it: check the address in a browser",
            got=f"HTTP {error.code}",
        ) from error
    raise bad_source(
        "store.refused",
        "the source does not give this table",
        where=url,
        hint="check the address and whether the site is open to you; or name another --source",
        got=f"HTTP {error.code} {error.reason}",
    ) from error


def _check(url: str, path: Path) -> XptHeader:
    try:
        return xpt_header.header(path)
    except MgRiskError as error:
        # The address says more than the name of a temporary file.
        error.where = url
        raise

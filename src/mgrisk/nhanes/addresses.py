"""Where a table lies on a web site: in CDC's layout of today, or in that of before November 2024.

    today   Nchs/Data/Nhanes/Public/2017/DataFiles/DEMO_J.xpt
    before  Nchs/Nhanes/2017-2018/DEMO_J.XPT

Mirrors keep the one or the other. Source: the addresses on wwwn.cdc.gov/nchs/nhanes, and as other clients
recorded them before the move (nhanesA issues 96 and 97).
"""

from __future__ import annotations

import re
from typing import Final
from urllib.parse import urlsplit

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

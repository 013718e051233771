from __future__ import annotations

import pytest

from mgrisk.nhanes.addresses import addresses
from mgrisk.nhanes.cycles import CYCLES
from mgrisk.nhanes.store import CDC

DEMO = "Public/2017/DataFiles/DEMO_J.xpt"


@pytest.mark.parametrize("base", [CDC, CDC.rstrip("/"), CDC.lower()])
def test_the_cdc_site_has_two_layouts_and_the_one_of_today_comes_first(base: str) -> None:
    first, second = addresses(base, DEMO)
    assert first == base.rstrip("/") + "/" + DEMO
    assert second == "https://wwwn.cdc.gov/Nchs/Nhanes/2017-2018/DEMO_J.XPT".replace(
        "https://wwwn.cdc.gov/", base[: len("https://wwwn.cdc.gov/")]
    )


@pytest.mark.parametrize(
    ("relative", "before"),
    [
        ("Public/2017/DataFiles/P_DEMO.xpt", "2017-2018/P_DEMO.XPT"),
        ("Public/2021/DataFiles/DEMO_L.xpt", "2021-2022/DEMO_L.XPT"),
        ("Public/1999/DataFiles/DEMO.xpt", "1999-2000/DEMO.XPT"),
    ],
)
def test_the_folder_of_before_is_named_for_two_years(relative: str, before: str) -> None:
    assert addresses(CDC, relative)[1] == f"https://wwwn.cdc.gov/Nchs/Nhanes/{before}"


def test_the_root_of_a_site_may_have_either_layout_in_full_or_a_bare_one() -> None:
    assert addresses("http://mirror.example", DEMO) == (
        f"http://mirror.example/{DEMO}",
        f"http://mirror.example/Nchs/Data/Nhanes/{DEMO}",
        "http://mirror.example/Nchs/Nhanes/2017-2018/DEMO_J.XPT",
        "http://mirror.example/2017-2018/DEMO_J.XPT",
    )


def test_any_folder_may_have_either_layout() -> None:
    assert addresses("http://mirror.example/nhanes/", DEMO) == (
        f"http://mirror.example/nhanes/{DEMO}",
        "http://mirror.example/nhanes/2017-2018/DEMO_J.XPT",
    )


def test_a_path_that_is_not_in_the_layout_of_today_has_one_address() -> None:
    assert addresses(CDC, "elsewhere/DEMO_J.xpt") == (f"{CDC}elsewhere/DEMO_J.xpt",)


@pytest.mark.parametrize("cycle", CYCLES, ids=lambda cycle: cycle.years)
def test_demographics_of_every_cycle_have_both(cycle: object) -> None:
    assert len(addresses(CDC, cycle.path("DEMO"))) == 2

from __future__ import annotations

import errno
import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from mgrisk.errors import MgRiskError
from mgrisk.nhanes.cycles import CYCLES
from mgrisk.nhanes.download import addresses, download
from mgrisk.nhanes.store import CDC

if TYPE_CHECKING:
    from tests.unit.nhanes.conftest import Site

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


Make = Callable[..., bytes]


@pytest.fixture
def part(tmp_path: Path) -> Path:
    (tmp_path / "cache").mkdir()
    return tmp_path / "cache" / ".DEMO_J.xpt.part"


def get(site: Site, part: Path, *, tries: int = 3, sleep: Callable[[float], None] = lambda _: None) -> bytes:
    assert download([site.base + DEMO], part, pauses=(0.5, 2.0, 8.0)[: tries - 1], sleep=sleep) == site.base + DEMO
    return part.read_bytes()


def refusal(site: Site, part: Path, *, tries: int = 1) -> MgRiskError:
    with pytest.raises(MgRiskError) as refused:
        get(site, part, tries=tries)
    return refused.value


def beside(part: Path) -> list[str]:
    return sorted(path.name for path in part.parent.iterdir())


# --- going on where it stopped ----------------------------------------------------------------------------


def test_a_cut_body_is_continued_and_not_fetched_again(site: Site, part: Path) -> None:
    site.faults[DEMO] = ["cut"]
    assert get(site, part) == site.content
    assert site.ranges == [None, f"bytes={len(site.content) // 2 + 13}-"]
    assert beside(part) == [part.name]


def test_the_next_call_continues_what_the_last_one_left(site: Site, part: Path) -> None:
    site.faults[DEMO] = ["cut"]
    assert refusal(site, part).code == "store.download_failed"
    assert part.stat().st_size == len(site.content) // 2 + 13
    assert get(site, part) == site.content
    assert site.ranges[1] == f"bytes={len(site.content) // 2 + 13}-"
    assert beside(part) == [part.name]


def test_a_copy_that_changed_meanwhile_is_fetched_from_its_start(site: Site, part: Path, make_table: Make) -> None:
    site.faults[DEMO] = ["cut"]
    refusal(site, part)
    site.content = make_table(first=1000)
    assert get(site, part) == site.content
    assert site.ranges[1] is not None  # it asked for the rest, and was given the whole


def test_a_server_that_knows_no_ranges_gives_the_whole_again(site: Site, part: Path) -> None:
    site.faults[DEMO] = ["cut"]
    site.knows_ranges = False
    assert get(site, part) == site.content


def test_without_a_name_for_its_content_nothing_is_continued(site: Site, part: Path) -> None:
    site.faults[DEMO] = ["cut"]
    site.tag, site.modified = "none", None
    assert get(site, part) == site.content
    assert site.ranges == [None, None]


def test_a_weak_tag_is_no_name_and_the_date_is(site: Site, part: Path) -> None:
    site.faults[DEMO] = ["cut"]
    site.tag = "weak"
    refusal(site, part)
    assert json.loads(part.with_name(f"{part.name}.json").read_text())["validator"] == site.modified
    assert get(site, part) == site.content


@pytest.mark.parametrize("fault", ["other piece", "unsatisfied range"])
def test_a_wrong_answer_to_a_range_starts_again(site: Site, part: Path, fault: str) -> None:
    site.faults[DEMO] = ["cut", fault]
    assert get(site, part) == site.content
    assert site.ranges[-1] is None


def test_a_piece_of_another_copy_is_not_joined_to_what_is_there(site: Site, part: Path, make_table: Make) -> None:
    site.faults[DEMO] = ["cut"]
    refusal(site, part)
    site.content = make_table(first=1000)
    site.faults[DEMO] = ["piece of another"]  # a server that knows ranges and not If-Range
    assert get(site, part) == site.content
    assert site.ranges[-1] is None


def test_the_beginning_from_another_site_is_not_continued(site: Site, part: Path) -> None:
    site.faults[DEMO] = ["cut"]
    refusal(site, part)
    state = part.with_name(f"{part.name}.json")
    state.write_text(state.read_text().replace(site.base, "https://elsewhere.example/"))
    assert get(site, part) == site.content
    assert site.ranges == [None, None]


@pytest.mark.parametrize("state", ["", "{", "[]", '{"url": 1}', "null"])
def test_a_state_that_cannot_be_read_is_no_state(site: Site, part: Path, state: str) -> None:
    part.write_bytes(b"left over")
    part.with_name(f"{part.name}.json").write_text(state)
    assert get(site, part) == site.content
    assert site.ranges == [None]


# --- waiting ----------------------------------------------------------------------------------------------


def test_pauses_grow_and_are_not_the_same_for_everybody(site: Site, part: Path) -> None:
    site.faults[DEMO] = ["503", "503"]
    waited: list[float] = []
    get(site, part, sleep=waited.append)
    assert len(waited) == 2
    assert 0.25 <= waited[0] <= 0.75
    assert 1.0 <= waited[1] <= 3.0


@pytest.mark.parametrize(("asked", "least", "most"), [("7", 7, 7), ("86400", 60, 60), ("soon", 0.25, 0.75)])
def test_a_server_that_names_its_pause_gets_it_up_to_a_minute(
    site: Site, part: Path, asked: str, least: float, most: float
) -> None:
    site.faults[DEMO] = ["429"]
    site.retry_after = asked
    waited: list[float] = []
    get(site, part, sleep=waited.append)
    assert least <= waited[0] <= most


# --- what arrives is not a table --------------------------------------------------------------------------


def test_a_cut_that_nobody_announced_is_seen_by_the_format_and_tried_again(site: Site, part: Path) -> None:
    site.faults[DEMO] = ["unannounced cut"]
    assert get(site, part) == site.content
    site.faults[DEMO] = ["unannounced cut"] * 2
    refused = refusal(site, part, tries=2)
    assert (refused.code, refused.where) == ("xpt.truncated", site.base + DEMO)
    assert beside(part) == []


def test_a_body_without_a_length_is_taken_once_two_are_the_same(site: Site, part: Path) -> None:
    site.faults[DEMO] = ["unannounced"] * 2
    assert get(site, part) == site.content
    assert site.asked[DEMO] == 2
    assert beside(part) == [part.name]


@pytest.mark.parametrize("faults", [["border cut"], ["border cut", "unannounced", "unannounced"]])
def test_a_cut_behind_a_record_that_nobody_announced_is_seen_by_the_second_body(
    site: Site, part: Path, faults: list[str]
) -> None:
    site.faults[DEMO] = [*faults]
    assert get(site, part) == site.content
    assert site.asked[DEMO] == max(2, len(faults))


def test_bodies_without_a_length_that_differ_each_time_are_refused(site: Site, part: Path) -> None:
    site.faults[DEMO] = ["unannounced", "border cut"]
    refused = refusal(site, part, tries=2)
    assert refused.code == "store.download_failed"
    assert "did not state the length" in refused.message
    assert beside(part) == []


def test_a_body_in_chunks_says_where_it_ends(site: Site, part: Path) -> None:
    site.faults[DEMO] = ["chunked"]
    assert get(site, part) == site.content
    assert site.asked[DEMO] == 1
    site.faults[DEMO] = ["chunked cut"]
    part.unlink()
    assert get(site, part) == site.content
    assert site.asked[DEMO] == 3


@pytest.mark.parametrize(("fault", "code"), [("html", "xpt.html"), ("404", "store.missing_table")])
def test_the_next_address_is_asked_where_one_has_no_table(site: Site, part: Path, fault: str, code: str) -> None:
    site.faults[DEMO] = [fault]
    other = site.base + DEMO.replace("2017", "2018")
    assert download([site.base + DEMO, other], part, pauses=()) == other
    assert part.read_bytes() == site.content
    site.faults = {DEMO: [fault], DEMO.replace("2017", "2018"): ["404"]}
    with pytest.raises(MgRiskError) as refused:
        download([site.base + DEMO, other], part, pauses=())
    assert (refused.value.code, refused.value.where) == (code, site.base + DEMO)
    assert f"HTTP 404 at {other}" in str(refused.value.got)


def test_a_refusal_is_not_carried_to_the_next_address(site: Site, part: Path) -> None:
    site.faults[DEMO] = ["403"]
    with pytest.raises(MgRiskError) as refused:
        download([site.base + DEMO, site.base + "elsewhere"], part, pauses=())
    assert refused.value.code == "store.refused"
    assert site.asked == {DEMO: 1}


def test_a_disk_that_is_full_leaves_nothing(site: Site, part: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Full(io.BytesIO):
        def write(self, _: Any) -> int:
            raise OSError(errno.ENOSPC, "No space left on device")

    really = Path.open

    def open_(path: Path, mode: str = "r", *how: Any, **more: Any) -> Any:
        return Full() if path == part and mode == "ab" else really(path, mode, *how, **more)

    monkeypatch.setattr(Path, "open", open_)
    with pytest.raises(OSError, match="No space left"):
        get(site, part)
    assert beside(part) == []
    assert site.asked[DEMO] == 1

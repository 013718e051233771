"""The report as a browser shows it: nothing fetched, nothing run but our script, and as much on paper or without it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tests.integration.conftest import Opened

from mgrisk.pipeline.finished import Run


def test_dark_and_light_are_told_apart_and_text_stands_out_in_both(
    visit: Callable[..., Opened], small_run: Run
) -> None:
    paper = {}
    for scheme in ("light", "dark"):
        page = visit(small_run.report, color_scheme=scheme).page
        paper[scheme] = page.evaluate("getComputedStyle(document.body).backgroundColor")
    assert paper == {"light": "rgb(252, 252, 250)", "dark": "rgb(20, 24, 29)"}


def test_the_page_of_one_s_own_people_asks_first_whether_they_are_like_those_of_the_model(
    visit: Callable[..., Opened], own_page: Path
) -> None:
    page = visit(own_page).page
    assert page.inner_text("main > section:nth-of-type(2) h2").startswith("Are they like the people")
    assert "39 scored, 1 rejected" in page.inner_text("#summary")
    assert page.inner_text("#explorer-status").startswith("SYNTHETIC: 39 of 39 people; mean risk")
    page.fill("#explorer-find", "<script>")
    page.keyboard.press("Enter")
    assert page.inner_text("#explorer-heading").startswith("SYNTHETIC: person_id <script>")
    assert "SYNTHETIC" in page.locator("#explorer-waterfall svg").text_content()
    assert page.title().startswith("SYNTHETIC: ")


@pytest.mark.parametrize("scheme", ["light", pytest.param("dark", marks=pytest.mark.slow)])
@pytest.mark.parametrize("which", [pytest.param("run", marks=pytest.mark.slow), "own"])
def test_axe_finds_nothing_serious(
    visit: Callable[..., Opened], small_run: Run, own_page: Path, scheme: str, which: str
) -> None:
    axe = pytest.importorskip("axe_playwright_python.sync_playwright", reason="axe-playwright-python is not here")
    page = visit(small_run.report if which == "run" else own_page, color_scheme=scheme).page
    page.focus("#explorer-table")
    page.keyboard.press("Enter")
    page.eval_on_selector_all("details", "all => all.forEach(one => one.open = true)")
    found = axe.Axe().run(page).response["violations"]
    worst = {each["id"]: [node["html"][:200] for node in each["nodes"][:3]] for each in found
             if each["impact"] in {"serious", "critical"}}  # fmt: skip
    assert worst == {}


def test_the_first_screen_holds_the_five_answers(visit: Callable[..., Opened], small_run: Run) -> None:
    page = visit(small_run.report, viewport={"width": 1280, "height": 900}).page
    cards = page.locator("#summary .fact")
    assert cards.count() == 7
    for place in range(7):
        box = cards.nth(place).bounding_box()
        assert box["y"] + box["height"] <= 900


def test_a_narrow_screen_needs_no_sideways_scrolling(visit: Callable[..., Opened], small_run: Run) -> None:
    page = visit(small_run.report, viewport={"width": 390, "height": 800}).page
    assert page.evaluate("document.documentElement.scrollWidth") <= 390


def test_without_javascript_the_rest_of_the_report_is_there(browser: Any, small_run: Run) -> None:
    page = browser.new_page(java_script_enabled=False)
    page.goto(small_run.report.as_uri())
    assert "needs JavaScript" in page.inner_text("#people")
    assert not page.is_visible("#explorer-all")
    assert page.is_visible("#person-median-waterfall")
    page.close()

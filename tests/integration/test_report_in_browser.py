"""The report in a browser: no request, only its own script, and complete when printed or without script."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from tests.integration.conftest import Opened

from mgrisk.pipeline.finished import Run
from mgrisk.report.blocks import blocks_of
from mgrisk.report.content import report_content
from mgrisk.report.explained import explained_people
from mgrisk.run_folder.folder import RunFolder


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


def test_the_first_screen_holds_the_answers_and_the_checks(visit: Callable[..., Opened], small_run: Run) -> None:
    page = visit(small_run.report, viewport={"width": 1280, "height": 900}).page
    cards = page.locator("#summary .fact")
    assert cards.count() == 8
    for place in range(8):
        box = cards.nth(place).bounding_box()
        assert box["y"] + box["height"] <= 900


def test_dots_of_a_dependence_plot_take_the_colours_of_a_second_feature(
    visit: Callable[..., Opened], small_run: Run
) -> None:
    run = RunFolder(small_run.folder)
    people = explained_people(run)
    (age,) = (
        each for each in blocks_of(report_content(small_run.folder), "figure") if each["id"] == "dependence-age_years"
    )
    drawn = people.data.iloc[age["data"]["people"]]
    page = visit(small_run.report).page
    assert page.locator(".colours > span").count() == 0
    page.select_option("#dependence-age_years-colour", label="Sex")
    assert page.inner_text("#dependence-age_years .colours").split("\n") == ["● female", "● male"]
    assert colours(page) == [int((drawn["sex"] == level).sum()) for level in ("female", "male")]
    # Fifths of a number: each range has its dots, and together they are all of them.
    page.select_option("#dependence-age_years-colour", label="Age, years")
    ranges = page.inner_text("#dependence-age_years .colours").split("\n")
    ages = (drawn["age_years"] / 5).round() * 5
    ends = [[float(end) for end in each.removeprefix("● ").split(" to ")] for each in ranges]
    assert len(ends) == 5
    assert colours(page) == [int(((ages >= low) & (ages <= high)).sum()) for low, high in ends]
    assert sum(colours(page)) == len(drawn)
    page.select_option("#dependence-age_years-colour", label="none")
    assert page.locator(".colours > span").count() == 0
    assert colours(page) == [len(drawn)]


def colours(page: Any) -> list[int]:
    """Count the dots of each colour that are seen in the plot of age."""
    paths = "[...document.querySelectorAll('[id=\"dependence-age_years-dots\"] path')]"
    seen = f"{paths}.filter(each => each.style.display !== 'none')"
    found = page.evaluate(f"{seen}.map(each => [each.style.stroke, each.getAttribute('d').match(/M/g).length])")
    assert len({colour for colour, _ in found}) == len(found)
    return [dots for _, dots in found]


def test_contents_follow_the_scroll_with_the_parts_of_the_section(visit: Callable[..., Opened], small_run: Run) -> None:
    page = visit(small_run.report).page
    for part, shown in (("performance-groups", True), ("dependence", False)):
        page.evaluate("name => document.getElementById(name).scrollIntoView({behavior: 'instant'})", part)
        page.wait_for_selector(f"nav a[aria-current][href='#{part}']")
        assert page.locator("nav a[aria-current]").count() == 1
        assert page.is_visible("nav a[href='#performance-thresholds']") is shown


def test_a_link_into_a_closed_section_opens_it_and_paper_gets_it(visit: Callable[..., Opened], small_run: Run) -> None:
    page = visit(small_run.report).page
    assert not page.is_visible("#features-table")
    page.click("nav a[href='#features']")
    page.wait_for_selector("#features-table", state="visible")
    assert not page.is_visible("#table-one-held-out")
    page.evaluate("dispatchEvent(new Event('beforeprint'))")
    page.emulate_media(media="print")
    assert page.is_visible("#table-one-held-out")
    # Nothing is cut off on paper: no table is wider than the page.
    page.set_viewport_size({"width": 718, "height": 1040})
    wide = """all => all.filter(each => each.getBoundingClientRect().right > document.documentElement.clientWidth + 1)
        .map(each => each.id)"""
    assert page.eval_on_selector_all("table", wide) == []
    page.evaluate("dispatchEvent(new Event('afterprint'))")
    page.emulate_media(media="screen")
    assert not page.is_visible("#table-one-held-out")


def test_a_threshold_that_is_moved_gives_the_confusion_matrix_of_the_evaluation(
    visit: Callable[..., Opened], small_run: Run
) -> None:
    page = visit(small_run.report).page

    def shown(name: str) -> float:
        return float(page.inner_text(f".threshold [data-of={name}]").replace(",", "").replace("\u2212", "-"))

    run = RunFolder(small_run.folder)
    for risk in (0.05, 0.1):
        page.eval_on_selector(
            ".threshold input",
            "(input, at) => { input.value = at; input.dispatchEvent(new Event('input')); }",
            round(risk / 0.005) - 1,
        )
        assert shown("risk") == 100 * risk
        records = run.thresholds.where(set=run.held_out_name, model=run.winner, rule=f"risk {risk:g}")
        value = {metric: records.one(metric=metric).value for metric in
                 ("sensitivity", "specificity", "ppv", "npv", "flagged", "net_benefit", "number_to_test")}  # fmt: skip
        for name, metric, factor in (
            ("sensitivity", "sensitivity", 100), ("specificity", "specificity", 100), ("ppv", "ppv", 100),
            ("npv", "npv", 100), ("positive", "flagged", 1000), ("benefit", "net_benefit", 1000),
            ("nns", "number_to_test", 1),
        ):  # fmt: skip
            assert shown(name) == pytest.approx(factor * value[metric], abs=0.06)
        assert shown("tp") + shown("fn") == pytest.approx(shown("cases"), abs=0.11)
        assert shown("fp") + shown("tn") == pytest.approx(shown("others"), abs=0.11)


def test_bars_answer_to_the_pointer_and_to_the_arrow_keys(visit: Callable[..., Opened], small_run: Run) -> None:
    page = visit(small_run.report).page
    assert not page.is_visible(".bubble")
    page.locator("#importance .tip").first.hover()
    first = page.inner_text(".bubble")
    assert re.fullmatch(r"Age: [\d.]+ \([\d.]+ to [\d.]+\)", first)
    page.mouse.move(0, 0)
    page.focus("#importance .drawing")
    page.keyboard.press("ArrowDown")
    assert page.inner_text(".bubble") == first
    page.keyboard.press("ArrowDown")
    assert page.inner_text(".bubble") != first
    page.keyboard.press("Escape")
    assert not page.is_visible(".bubble")


def test_a_picture_and_its_numbers_can_be_saved(visit: Callable[..., Opened], small_run: Run, tmp_path: Path) -> None:
    page = visit(small_run.report).page
    saved = {}
    for words in ("Save picture (SVG)", "Save numbers (CSV)"):
        with page.expect_download() as waiting:
            page.click(f"#importance button:has-text('{words}')")
        path = tmp_path / waiting.value.suggested_filename
        waiting.value.save_as(path)
        saved[path.name] = path.read_text("utf-8-sig")
    assert saved["importance.svg"].startswith("<svg")
    assert "tip" not in saved["importance.svg"]
    numbers = pd.read_csv(tmp_path / "importance.csv")
    assert len(numbers) == len(RunFolder(small_run.folder).features)
    assert numbers.iloc[0, 0] == "Age"


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

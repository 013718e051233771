from __future__ import annotations

import base64
import hashlib
import html
import re
from collections import Counter
from collections.abc import Callable
from html.parser import HTMLParser
from itertools import pairwise
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest

from mgrisk.report.blocks import blocks_of
from mgrisk.report.content import report_content
from mgrisk.report.figures import DRAWINGS, draw
from mgrisk.report.render import write_report
from mgrisk.storage.files import read_json

Edit = Callable[[str, Callable[[Any], Any]], None]


class Page(HTMLParser):
    """Tags with attributes, in order, and the text between them."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.words: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.words.append(data)

    @property
    def text(self) -> str:
        return " ".join(self.words)

    def ids(self) -> list[str]:
        return [str(attributes["id"]) for _, attributes in self.tags if "id" in attributes]


@pytest.fixture(scope="module")
def page(finished_run: Path, tmp_path_factory: pytest.TempPathFactory) -> Page:
    import shutil

    folder = Path(shutil.copytree(finished_run, tmp_path_factory.mktemp("page") / "small"))
    return Page(write_report(folder).path.read_text("utf-8"))


def test_the_summary_says_what_was_written(run_folder: Path) -> None:
    (run_folder / "checks.json").unlink()
    written = write_report(run_folder)
    assert written.path == run_folder / "report.html"
    assert written.size == written.path.stat().st_size < 5 * 2**20
    assert written.failed_sections == ("checks",)
    assert "This section failed, because" in written.path.read_text("utf-8")


def test_the_same_run_gives_the_same_bytes(run_folder: Path) -> None:
    first = write_report(run_folder).path.read_bytes()
    assert write_report(run_folder).path.read_bytes() == first


def test_no_request_leaves_the_file(page: Page, finished_run: Path) -> None:
    loading = {"src", "href", "xlink:href", "srcset", "data", "action", "poster", "background"}
    links = [
        (tag, str(value)) for tag, attributes in page.tags for name, value in attributes.items() if name in loading
    ]
    # Evidence may lie in a file beside the page: a way to go, nothing that is loaded.
    files = {link for tag, link in links if tag == "a" and not link.startswith("#")}
    assert "evaluation.json" in files
    written_later = {"card.md", "bundle"}
    assert {name for name in files - written_later if not (finished_run / name).exists()} == set()
    assert len(links) > 20
    assert all(link.startswith("#") or link in files for _, link in links)
    styles = page.text + " ".join(str(attributes.get("style", "")) for _, attributes in page.tags)
    assert all(found.startswith("#") for found in re.findall(r"url\(\s*['\"]?([^)]*)", styles))
    assert "@import" not in styles
    assert not {"link", "iframe", "img", "object", "embed"} & {tag for tag, _ in page.tags}


def test_the_policy_names_the_one_script_that_may_run(run_folder: Path) -> None:
    text = write_report(run_folder).path.read_text("utf-8")
    scripts = re.findall(r"<script([^>]*)>(.*?)</script>", text, re.DOTALL)
    assert [attributes for attributes, _ in scripts] == [' type="application/json" id="explorer-data"', ""]
    digest = base64.b64encode(hashlib.sha256(scripts[1][1].encode()).digest()).decode()
    (policy,) = re.findall(r'Content-Security-Policy" content="([^"]*)"', text)
    allowed = dict(part.strip().split(" ", 1) for part in html.unescape(policy).split(";"))
    assert allowed["default-src"] == "'none'"
    assert allowed["script-src"] == f"'sha256-{digest}'"


def test_a_page_without_a_table_of_people_has_the_script_of_the_page_alone(run_folder: Path) -> None:
    (run_folder / "features.parquet").unlink()
    text = write_report(run_folder).path.read_text("utf-8")
    assert text.count("<script") == 1
    assert "addEventListener" in text
    assert "explorer-find" not in text


def test_what_is_looked_up_starts_closed_and_what_failed_does_not(run_folder: Path) -> None:
    (run_folder / "table_one.json").unlink()
    text = write_report(run_folder).path.read_text("utf-8")
    parts = re.findall(r'<section id="([^"]+)" class="(\w+)"[^>]*>\s*(<details class="folded">)?', text)
    closed = {name for name, _, details in parts if details}
    assert closed == {"limits", "checks", "attrition", "features", "methods", "reporting", "provenance"}
    assert {name for name, status, _ in parts if status == "failed"} == {"table-one"}


def test_contents_show_sections_with_their_parts(page: Page, finished_run: Path) -> None:
    wanted = []
    for item in report_content(finished_run)["sections"]:
        wanted += [item["id"], *(inner["id"] for inner in item["sections"])]
    links = [str(attributes["href"])[1:] for tag, attributes in page.tags if tag == "a" and "href" in attributes]
    start = links.index(wanted[0], 1)  # the first link leads past the contents
    assert links[start : start + len(wanted)] == wanted


def test_places_that_answer_say_what_the_figure_shows(run_folder: Path) -> None:
    blocks = {block["id"]: block for block in blocks_of(report_content(run_folder), "figure")}
    importance = blocks["importance"]
    said = re.findall(r'data-tip="([^"]*)"', draw(importance))
    assert [html.unescape(each).split(":")[0].removeprefix("SYNTHETIC ") for each in said] == [
        bar["label"] for bar in importance["data"]["bars"]
    ]
    first = importance["data"]["bars"][0]
    assert f"{first['importance']:.3f} ({first['low']:.3f} to {first['high']:.3f})" in said[0]
    # At the end of the bar: as far to the right as it is long.
    at = [float(x) for x in re.findall(r'class="tip" cx="([\d.]+)"', draw(importance))]
    sizes = [bar["importance"] for bar in importance["data"]["bars"]]
    assert (at[0] - at[-1]) / (at[0] - at[1]) == pytest.approx((sizes[0] - sizes[-1]) / (sizes[0] - sizes[1]), rel=0.02)


def test_ids_are_unique_and_every_inner_link_arrives(page: Page) -> None:
    assert [name for name, times in Counter(page.ids()).items() if times > 1] == []
    known = set(page.ids())
    for _, attributes in page.tags:
        for name, value in attributes.items():
            if name == "aria-labelledby" or (name == "href" and str(value).startswith("#")):
                assert str(value).lstrip("#") in known
            for target in re.findall(r"url\(#([^)]+)\)", str(value)):
                assert target in known


def test_every_figure_has_words_and_a_table(page: Page, run_folder: Path) -> None:
    figures = blocks_of(report_content(run_folder), "figure")
    labels = [attributes.get("aria-label") for _, attributes in page.tags if attributes.get("role") == "img"]
    assert len(labels) == len(figures) >= 12
    assert all(labels)
    assert {block["table"]["id"] for block in figures} <= set(page.ids())
    # Batches over time are drawn by `mgrisk monitor`, the risks of a file by `mgrisk explain`.
    assert {block["drawing"] for block in figures} == set(DRAWINGS) - {"heat", "risks", "trend"}


def test_headings_do_not_skip_a_level(page: Page) -> None:
    levels = [int(tag[1]) for tag, _ in page.tags if re.fullmatch(r"h[1-6]", tag)]
    assert levels[0] == 1
    assert levels.count(1) == 1
    assert all(later <= earlier + 1 for earlier, later in pairwise(levels))


def test_the_page_names_its_language_and_title(page: Page) -> None:
    assert ("html", {"lang": "en"}) in page.tags
    assert "SYNTHETIC: Demonstration: undiagnosed diabetes from magnesium intake and lifestyle" in page.text


def test_the_numbers_of_the_evaluation_are_on_the_page(page: Page, run_folder: Path) -> None:
    for record in read_json(run_folder / "evaluation.json"):
        # A recalibrated score ranks as the score does.
        if record["metric"] == "auroc" and record["group"] == "all" and ":" not in record["model"]:
            shown = f"{record['estimate']:.3f} ({record['low']:.3f} to {record['high']:.3f})"
            assert shown in page.text


def test_names_with_markup_are_shown_as_text(edit: Edit, run_folder: Path) -> None:
    nasty = "<script>alert('x')</script> & \"quotes\" $x^2$ \u202eright to left " + "a" * 10_000

    def rename(about: dict[str, Any]) -> None:
        about["title"] = nasty
        about["features"][0]["label"] = nasty

    def relabel(summary: dict[str, Any]) -> None:
        summary["features"][0]["label"] = nasty
        summary["features"][len(summary["features"]) // 2]["label"] = nasty

    edit("trained/spline_logistic/bundle.json", rename)
    edit("explanation_summary.json", relabel)
    edit("attrition.json", lambda steps: [{**step, "rule": "<img src=x onerror=alert(1)>"} for step in steps])
    shown = Page(write_report(run_folder).path.read_text("utf-8"))
    scripts = [attributes for tag, attributes in shown.tags if tag == "script"]
    assert scripts == [{"type": "application/json", "id": "explorer-data"}, {}]
    assert "img" not in {tag for tag, _ in shown.tags}
    assert "<script>alert('x')</script>" in shown.text
    assert "<img src=x onerror=alert(1)>" in shown.text
    assert "$x^2$" in shown.text
    assert r"\u202eright to left" in shown.text
    for path in (run_folder / "figures").glob("*.svg"):
        assert "\u202e" not in path.read_text("utf-8")


def test_synthetic_stands_in_title_banner_and_every_figure(run_folder: Path) -> None:
    text = write_report(run_folder).path.read_text("utf-8")
    assert re.search(r"<title>SYNTHETIC", text)
    assert re.search(r'class="banner"[^>]*>SYNTHETIC data', text)
    assert '"mark":"SYNTHETIC"' in text
    drawn = sorted((run_folder / "figures").glob("*.svg"))
    assert len(drawn) >= 12
    assert all(path.read_text("utf-8").count("SYNTHETIC") >= 2 for path in drawn)
    assert all("SYNTHETIC" in title for title in re.findall(r'<p class="figure-title"[^>]*>([^<]*)', text))


def test_real_data_is_not_called_synthetic(nhanes_run: Path) -> None:
    assert "SYNTHETIC" not in Page(write_report(nhanes_run).path.read_text("utf-8")).text


def test_figures_are_small_well_formed_and_without_a_date(run_folder: Path) -> None:
    write_report(run_folder)
    for path in (run_folder / "figures").glob("*.svg"):
        assert path.stat().st_size < 300_000
        text = path.read_text("utf-8")
        ElementTree.fromstring(text)
        assert "metadata" not in text
        assert "<image" not in text
        assert "<text" in text


def test_every_dot_of_a_swarm_is_drawn(run_folder: Path) -> None:
    block = next(b for b in blocks_of(report_content(run_folder), "figure") if b["drawing"] == "swarm")
    wanted = sum(len(strip["contribution"]) for strip in block["data"]["strips"])
    assert draw(block).count("h0") == wanted


def test_a_failed_render_leaves_the_old_report(run_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = write_report(run_folder).path.read_bytes()

    def broken(content: object, drawn: object) -> str:
        raise RuntimeError("no page")

    monkeypatch.setattr("mgrisk.report.render.render", broken)
    with pytest.raises(RuntimeError, match="no page"):
        write_report(run_folder)
    assert (run_folder / "report.html").read_bytes() == before
    assert [path for path in run_folder.glob(".*") if path.name != ".lock"] == []

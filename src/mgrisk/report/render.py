"""report.html: the content through one template, with its style and its figures inside the file."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Any, Final

import jinja2
from markupsafe import Markup

from mgrisk.errors import shown
from mgrisk.report.blocks import blocks_of, text, walk
from mgrisk.report.content import failed_sections, report_content
from mgrisk.report.figures import draw
from mgrisk.run_folder import names
from mgrisk.storage.files import atomic_folder, write_text

REPORT: Final = names.REPORT
FIGURES: Final = "figures"
PAGE_SCRIPT, PEOPLE_SCRIPTS = "page.js", ("probe.js", "colours.js", "people.js")


@dataclass(frozen=True)
class ReportSummary:
    """What was written.

    Attributes
    ----------
    path
        report.html.
    size
        Its size in bytes.
    failed_sections
        Ids of the sections that could not be made; each stands in the report with the reason.
    """

    path: Path
    size: int
    failed_sections: tuple[str, ...]


def write_report(folder: Path) -> ReportSummary:
    """Write report.html and figures/*.svg into a run folder; each appears whole or not at all.

    Parameters
    ----------
    folder
        A finished run. Missing or damaged files cost their sections only.

    Returns
    -------
    ReportSummary
    """
    content = report_content(folder)
    drawn = {block["id"]: draw(block) for block in blocks_of(content, "figure")}
    with atomic_folder(folder / FIGURES) as part:
        for name, svg in drawn.items():
            (part / f"{name}.svg").write_text(svg, encoding="utf-8")
    page = render(content, drawn)
    write_text(folder / REPORT, page)
    return ReportSummary(folder / REPORT, len(page.encode()), failed_sections(content))


def report_without_people(folder: Path) -> str:
    """Return the report of a run folder, with the figures drawn for it, without its table of people."""
    content = report_content(folder)
    instead = text("The table of people is only in the report of the run folder.")
    for part in walk(content["sections"]):
        part["blocks"] = [instead if block["kind"] == "explorer" else block for block in part["blocks"]]
    drawn = {path.stem: path.read_text("utf-8") for path in (folder / FIGURES).glob("*.svg")}
    return render(content, drawn)


def write_page(content: Mapping[str, Any], target: Path) -> ReportSummary:
    """Write a page of its own, with its figures inside and none beside it."""
    page = render(content, {block["id"]: draw(block) for block in blocks_of(content, "figure")})
    write_text(target, page)
    return ReportSummary(target, len(page.encode()), failed_sections(dict(content)))


def render(content: Mapping[str, Any], drawn: Mapping[str, str]) -> str:
    """Return the HTML page.

    Parameters
    ----------
    content
        From `content.report_content`. All of it is shown as text: markup in a name stays visible and does nothing.
    drawn
        SVG by figure id, from `figures.draw`.
    """
    folder = files("mgrisk.report").joinpath("templates")
    has_people = bool(blocks_of(content, "explorer"))

    def own(*names: str) -> Markup:
        # Our own files; drawings are matplotlib's, which escapes texts.
        return Markup("\n".join(folder.joinpath(name).read_text("utf-8") for name in names))

    script = own(PAGE_SCRIPT, *(PEOPLE_SCRIPTS if has_people else ()))
    environment = jinja2.Environment(
        loader=jinja2.FunctionLoader(lambda name: folder.joinpath(name).read_text("utf-8")),
        autoescape=True,
        finalize=_seen,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["page_json"] = _page_json
    # Only what this package wrote itself is trusted as markup: its style sheet, its script
    # and its own drawings; the policy lets this one script run and nothing be fetched.
    figures = {name: Markup(svg) for name, svg in drawn.items()}
    style = own("report.css", "people.css") if has_people else own("report.css")
    page = environment.get_template("page.html")
    return page.render(content=content, figures=figures, style=style, script=script, policy=_policy(script))


def _seen(value: Any) -> Any:
    """Return a text in which nothing is hidden or turns the direction of reading; markup of our own as it is."""
    if not isinstance(value, str) or isinstance(value, Markup) or value.isprintable():
        return value
    return "".join(sign if sign.isspace() else shown(sign) for sign in value)


def _policy(script: str) -> str:
    """Return the content security policy of a page: no request, and no script but this one."""
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    only = f"script-src 'sha256-{digest}'"
    return f"default-src 'none'; style-src 'unsafe-inline'; {only}; base-uri 'none'; form-action 'none'"


def _page_json(content: Any) -> Markup:
    """Return compact JSON that no text in it can end: every character that means something to HTML is escaped."""
    text = json.dumps(content, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    for character in "<>&\u2028\u2029":
        text = text.replace(character, f"\\u{ord(character):04x}")
    # Every sign that HTML knows has just been replaced.
    return Markup(text)

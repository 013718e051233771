"""The report as one plain dict: every section of it, made from the run folder or present with the reason why not.

`report_content` is what `render` and `model_card` read, and what goes beside the figures into MLflow. It holds
nothing but strings, numbers, lists and dicts.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

from mgrisk import __version__
from mgrisk.errors import MgRiskError
from mgrisk.nhanes.codebook import SYNTHETIC
from mgrisk.report.blocks import FAILED, Section, spread, walk
from mgrisk.report.formats import NBSP
from mgrisk.report.sections import (
    checks,
    cohort,
    dependence,
    drivers,
    magnesium,
    methods,
    people,
    performance,
    summary,
    temporal,
)
from mgrisk.run_folder.folder import UNKNOWN, RunFolder
from mgrisk.storage.files import to_json

FORMAT: Final = 1
BANNERS: Final = {
    SYNTHETIC: (
        "SYNTHETIC data: these people are made up. No number on this page is about real people, magnesium or "
        "diabetes. It only shows that the pipeline runs."
    ),
    UNKNOWN: (
        "No file of this run says whether its people are real or SYNTHETIC. Do not rely on any number on this page."
    ),
}
SECTIONS: Final = (
    summary.SUMMARY,
    drivers.SECTION,
    dependence.SECTION,
    people.SECTION,
    magnesium.SECTION,
    performance.SECTION,
    temporal.SECTION,
    summary.LIMITS,
    checks.CHECKS,
    cohort.TABLE_ONE,
    cohort.ATTRITION,
    checks.KNOWN,
    methods.FEATURES,
    methods.METHODS,
    checks.REPORTING,
    methods.PROVENANCE,
)


def report_content(folder: Path) -> dict[str, Any]:
    """Describe a finished run.

    Parameters
    ----------
    folder
        Run folder. Files that are missing or unreadable cost their sections, which then say so.

    Returns
    -------
    dict
        {format, title, heading, data, synthetic, banner, outcome, winner, mgrisk, sections}. Each section is
        {id, heading, status, reason, blocks, sections}, see `blocks`; ready for JSON.
    """
    run = RunFolder(folder)
    label = run.data_label
    sections = [each.attempt(run) for each in SECTIONS]
    title = _first(lambda: run.about["title"], lambda: run.manifest.title, default=f"Run {folder.name}")
    content = {
        **page_content(title, sections, data=label, synthetic=label == SYNTHETIC, banner=BANNERS.get(label, "")),
        "name": _first(lambda: run.about["name"], default=folder.name),
        "winner": _first(lambda: run.winner, default=""),
        "mgrisk": _first(lambda: run.manifest.mgrisk, lambda: run.about["mgrisk"], default="unknown"),
    }
    # Through JSON and back: what JSON has no word for (NaN, NumPy numbers) is gone before anybody relies on it.
    # And no line ends between a number and its percent sign.
    plain: dict[str, Any] = json.loads(re.sub(r"(?<=\d) %", f"{NBSP}%", to_json(content)))
    return plain


def page_content(
    heading: str, sections: list[Section], *, data: str, synthetic: bool, banner: str, mgrisk: str = __version__
) -> dict[str, Any]:
    """Return what every page holds, with its sections marked where the people are made up."""
    if synthetic:
        mark_synthetic(sections)
    return {
        "format": FORMAT,
        "title": f"{SYNTHETIC}: {heading}" if synthetic else heading,
        "heading": heading,
        "data": data,
        "synthetic": synthetic,
        "banner": banner,
        "mgrisk": mgrisk,
        "sections": sections,
    }


def failed_sections(content: dict[str, Any]) -> tuple[str, ...]:
    """Return the ids of the sections that should be in the report and could not be made."""
    return tuple(item["id"] for item in walk(content["sections"]) if item["status"] == FAILED)


def mark_synthetic(sections: list[Section]) -> None:
    """Put the word SYNTHETIC into every heading and onto every figure and table."""
    for item in walk(sections):
        item["heading"] = f"{item['heading']} ({SYNTHETIC})"
        for block in spread(item["blocks"]):
            if block["kind"] == "figure":
                block["title"] = f"{SYNTHETIC}: {block['title']}"
                block["data"]["mark"] = SYNTHETIC
                block["table"]["caption"] = f"{SYNTHETIC}: {block['table']['caption']}"
            elif block["kind"] == "explorer":
                block["caption"] = f"{SYNTHETIC}: {block['caption']}"
                block["data"]["mark"] = SYNTHETIC
            elif block["kind"] in {"table", "slider"}:
                block["caption"] = f"{SYNTHETIC}: {block['caption']}"


def _first(*places: Callable[[], object], default: str) -> str:
    for read in places:
        try:
            return str(read())
        except (MgRiskError, KeyError):
            continue  # the section that needs it says why
    return default

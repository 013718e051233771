from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from mgrisk.model.released import released_bundles
from mgrisk.report.content import report_content
from mgrisk.report.headline import headline, outcomes_side_by_side
from mgrisk.report.model_card import model_card
from mgrisk.report.sections.magnesium import magnesium
from mgrisk.report.sections.summary import summary
from mgrisk.run_folder.folder import RunFolder

Edit = Callable[[str, Callable[[Any], Any]], None]
FOOD, SUPPLEMENTS = "magnesium from food", "magnesium from supplements"
MAIN, BODY = ("habits", FOOD), ("body", FOOD)
TOLD = {MAIN: (0.71, 0.54, 0.92), BODY: (0.82, 0.62, 1.09), ("habits", SUPPLEMENTS): (1.0, 0.93, 1.08)}


@pytest.fixture
def tell(edit: Edit) -> Callable[..., None]:
    """Write into the run what was found: associations of an outcome, and the p values of the two controls."""

    def told(outcome: str = "undiagnosed", found: Any = TOLD, controls: tuple[float, float] = (0.009, 0.017)) -> None:
        def change(records: Any) -> None:
            for record in records:
                key = (record["model"], record["exposure"])
                corrected = record["correction"] == "regression calibration"
                if record["analysis"] == "association" and record["outcome"] == outcome and corrected:
                    if record["contrast"] == "per 100 mg/d" and key in found:
                        record.update(zip(("estimate", "low", "high"), found[key], strict=True), problem="")
                elif record["analysis"] == "negative control":
                    values = {"relatives": (0.85, 0.75, 0.96), "height": (0.42, 0.08, 0.77)}[record["outcome"]]
                    p = controls[0] if record["outcome"] == "relatives" else controls[1]
                    record.update(zip(("estimate", "low", "high"), values, strict=True), p=p, problem="")

        edit("evidence.json", change)

    return told


ALL_OF_IT = (
    "0.71 (0.54 to 0.92)", "0.82 (0.62 to 1.09)", "1.00 (0.93 to 1.08)", "Both negative controls fail",
    "odds ratio 0.85 (0.75 to 0.96)", "difference +0.42 (0.08 to 0.77) cm", "There is residual confounding.",
)  # fmt: skip


def test_first_screen_first_paragraph_and_card_tell_all_of_the_evidence_together(
    run_folder: Path, tell: Callable[..., None]
) -> None:
    tell()
    run = RunFolder(run_folder)
    card = next(
        item
        for block in summary(run)["blocks"]
        if block["kind"] == "facts"
        for item in block["items"]
        if item["label"] == "Magnesium in prediction and association"
    )
    screen = str([*card["lines"], card["detail"]])
    paragraph = magnesium(run)["blocks"][0]["text"]
    written = model_card(report_content(run_folder)).replace("\u00a0", " ")
    for words in ALL_OF_IT:
        for place in (screen, paragraph, written):
            assert words in place, words
    assert {"term": "Negative controls that fail", "value": "2 of 2"} in card["lines"]


@pytest.mark.parametrize(
    ("p", "said"),
    [
        ((0.2, 0.01), "1 of 2 negative controls fails"),
        ((0.2, 0.3), "No negative control shows an association ("),
    ],
)
def test_what_the_controls_said_is_what_is_told(
    run_folder: Path, tell: Callable[..., None], p: tuple[float, float], said: str
) -> None:
    tell(controls=p)
    found = headline(RunFolder(run_folder))
    assert found is not None
    assert said in found.of_controls
    assert ("There is residual confounding" in found.of_controls) == (p[1] < 0.05)


def test_a_run_without_evidence_tells_of_none(run_folder: Path) -> None:
    (run_folder / "evidence.json").unlink()
    run = RunFolder(run_folder)
    assert headline(run) is None
    assert outcomes_side_by_side(run) == []
    assert "neither an association nor an effect was estimated" in str(summary(run)["blocks"])


def test_a_card_without_evidence_says_where_the_four_outcomes_stand(run_folder: Path) -> None:
    said = "models/README.md, beside the released models, compares four outcomes"
    assert said not in model_card(report_content(run_folder))
    (run_folder / "evidence.json").unlink()
    assert said in model_card(report_content(run_folder))
    readme = (Path(__file__).parents[3] / "models" / "README.md").read_text("utf-8")
    (table,) = (part for part in readme.split("\n\n") if part.startswith("| outcome | odds ratio |"))
    assert all(f"| `{name}` |" in table for name in released_bundles())


def test_the_headline_is_of_another_outcome_by_name_where_the_own_one_was_not_studied(
    run_folder: Path, edit: Edit
) -> None:
    edit("evidence.json", lambda rows: [row for row in rows if row["outcome"] != "undiagnosed"])
    found = headline(RunFolder(run_folder))
    assert found is not None
    assert found.outcome == "HOMA-IR"
    assert "HOMA-IR, ratio per 100 mg/d" in found.lines[0]["term"]


def test_four_outcomes_stand_side_by_side_and_those_that_show_something_are_named(
    run_folder: Path, tell: Callable[..., None], edit: Edit
) -> None:
    def gains(records: Any) -> None:
        for record in records:
            if record["analysis"] == "incremental value":
                better = record["outcome"] == "diabetes"
                record.update(estimate=0.0011 if better else 0.0, low=0.0002 if better else -0.001, high=0.002)
                record["problem"] = ""

    tell(found={**TOLD, BODY: (0.72, 0.63, 0.82)})
    edit("evidence.json", gains)
    said, table = outcomes_side_by_side(RunFolder(run_folder))
    assert "excludes 1 for: Undiagnosed diabetes." in said["text"]
    assert "cross-validated and held-out, for: Diabetes, diagnosed or not." in said["text"]
    cells = {line["cells"][0]: line["cells"][1:] for line in table["rows"]}
    assert list(cells)[:4] == [
        "Undiagnosed diabetes", "Diabetes, diagnosed or not", "Prediabetes or undiagnosed diabetes",
        "Insulin resistance by HOMA-IR",
    ]  # fmt: skip
    assert cells["Undiagnosed diabetes"][:2] == ["0.71 (0.54 to 0.92)", "0.72 (0.63 to 0.82)"]
    assert cells["Diabetes, diagnosed or not"] == [
        "not estimated", "not estimated", "+0.0011 (0.0002 to 0.0020)", "+0.0011 (0.0002 to 0.0020)",
    ]  # fmt: skip

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from mgrisk.report.content import report_content
from mgrisk.report.formats import interval
from mgrisk.report.model_card import model_card
from mgrisk.run_folder.folder import RunFolder
from mgrisk.storage.files import read_json

Edit = Callable[[str, Callable[[Any], Any]], None]


def test_the_card_has_every_part_a_reader_looks_for(run_folder: Path) -> None:
    card = model_card(report_content(run_folder))
    for heading in (
        "What it is", "What it is not", "Population and training data", "Performance", "Features",
        "What drives the risk", "Calibration and methods", "How to score", "Provenance",
    ):  # fmt: skip
        assert f"\n## {heading} (SYNTHETIC)\n" in card
    assert "second test" in card
    assert "A SHAP value is not an effect" in card
    assert "mgrisk score people.csv" in card
    assert "failed, because" not in card


def test_the_card_gives_held_out_numbers_with_intervals(run_folder: Path) -> None:
    card = model_card(report_content(run_folder))
    shown = [
        record
        for record in RunFolder(run_folder).evaluation.where(set="2017-2018", metric="auroc", group="all")
        if ":" not in record.model
    ]
    assert len(shown) > 2
    assert all(interval(record) in card for record in shown)


def test_the_card_gives_groups_as_well_as_features_and_says_whether_other_learners_agree(run_folder: Path) -> None:
    card = model_card(report_content(run_folder))
    assert "| Magnesium, all features together |" in card
    assert "| Age | background |" in card
    assert "> Do not interpret one of these features alone: Magnesium" in card
    (other,) = read_json(run_folder / "explanation_summary.json")["agreement"]
    assert (
        f"have the same largest contribution for {other['same_first']:.0%} of the population".replace("%", " %") in card
    )


def test_a_synthetic_card_says_so_in_title_and_headings(run_folder: Path) -> None:
    lines = model_card(report_content(run_folder)).splitlines()
    assert lines[0].startswith("# SYNTHETIC")
    assert all("SYNTHETIC" in line for line in lines if line.startswith("#") and not line.startswith("```"))
    assert any(line.startswith("> **SYNTHETIC data") for line in lines)


def test_what_could_not_be_made_stands_there_with_its_reason(run_folder: Path) -> None:
    (run_folder / "attrition.json").unlink()
    card = model_card(report_content(run_folder))
    assert "This section failed, because attrition.json is not in the run folder" in card


def test_a_pipe_or_a_tag_in_a_name_does_not_break_a_table(edit: Edit, run_folder: Path) -> None:
    edit("attrition.json", lambda steps: [{**step, "rule": "a | b <script>"} for step in steps])
    card = model_card(report_content(run_folder))
    assert "| a \\| b &lt;script&gt; |" in card
    assert "<script>" not in card

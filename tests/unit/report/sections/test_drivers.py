"""

Stability in the report: shares by kind of refit, ranges of ranks, and models without random draws.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from mgrisk.report.blocks import ABSENT, blocks_of, find_section, find_table
from mgrisk.report.content import report_content
from mgrisk.report.explained import explained_people
from mgrisk.report.formats import interval, number
from mgrisk.report.sections.drivers import stability
from mgrisk.run_folder.folder import RunFolder
from mgrisk.run_folder.records import Importance
from mgrisk.storage.files import write_json, write_parquet

Edit = Callable[[str, Callable[[Any], Any]], None]


def groups(folder: Path) -> dict[str, Any]:
    return find_section(report_content(folder), "drivers-groups")


def test_groups_stand_largest_first_beside_the_sum_of_their_features(run_folder: Path) -> None:
    (figure,) = blocks_of({"sections": [groups(run_folder)]}, "figure")
    groups_ = sorted(
        (each for each in RunFolder(run_folder).explanation.groups if each.set == "held-out"),
        key=lambda each: -each.importance,
    )
    assert [bar["group"] for bar in figure["data"]["bars"]] == [each.group for each in groups_]
    place, mine = next((place, each) for place, each in enumerate(groups_) if each.group == "magnesium")
    people = explained_people(RunFolder(run_folder))
    assert figure["table"]["rows"][place]["cells"] == [
        "Magnesium, all features together", "Magnesium, total, Magnesium from food and drink",
        interval(people.importance([each.name for each in people.family("magnesium")], estimate=mine.importance)),
        number(mine.summed),
    ]  # fmt: skip


def test_features_that_are_correlated_are_named_with_their_correlation(run_folder: Path) -> None:
    part = groups(run_folder)
    found = find_table(part, "correlated")
    assert found is not None
    assert {tuple(line["cells"][:2]) for line in found["rows"]} == {
        ("Magnesium, total", "Magnesium from food and drink"), ("Magnesium, total", "Energy intake"),
        ("Magnesium from food and drink", "Energy intake"),
    }  # fmt: skip
    (warning,) = [block["text"] for block in part["blocks"] if block["kind"] == "callout"]
    assert warning.startswith("Do not interpret one of these features alone: Magnesium")
    assert "Age" not in warning.split(".")[0]


def test_where_nothing_is_correlated_that_is_said(run_folder: Path) -> None:
    table = pd.read_parquet(run_folder / "features.parquet")
    alone = table.assign(
        energy_kcal=2000.0, magnesium_food_mg=300.0, magnesium_supplement_mg=0.0, magnesium_total_mg=300.0
    )
    write_parquet(run_folder / "features.parquet", alone)
    assert any("No two numeric features" in block.get("text", "") for block in groups(run_folder)["blocks"])


RECORDS = [
    Importance(
        set="held-out", feature="age_years", label="Age", group="background", importance=0.5, se=0.1, low=0.4, high=0.6,
        direction=0.9, rank=1.0, rank_low=1.0, rank_high=2.0, among_first=1.0,
    )
]  # fmt: skip


def way(name: str, *, moved: float, high: float) -> dict[str, object]:
    ranks = {"age_years": {"low": 1.0, "high": high}}
    shares = {"same_first": 0.75, "in_common": 0.8, "always_first": 0.5, "log_odds": 0.987}
    return {"way": name, "label": name.upper(), "refits": 4, "moved": moved, "ranks": ranks, **shares}


@pytest.mark.parametrize(("moved", "said"), [(0.0, True), (0.2, False)])
def test_shares_and_ranks_of_each_way_are_shown(tmp_path: Path, moved: float, said: bool) -> None:
    ways = [way("psus", moved=0.3, high=4.0), way("seed", moved=moved, high=1.0)]
    write_json(tmp_path / "stability.json", {"ways": ways})
    found = stability(RunFolder(tmp_path), RECORDS)
    shares, ranks = find_table(found, "stability-ways"), find_table(found, "stability-ranks")
    assert shares is not None
    assert ranks is not None
    assert shares["rows"][0]["cells"] == ["PSUS", "4", "75.0\xa0%", "80.0\xa0%", "50.0\xa0%", "0.987"]
    assert ranks["rows"][0]["cells"] == ["Age", "1", "1 to 2", "1 to 4", "1"]
    assert ("Nothing in this algorithm is random" in shares["notes"][0]) is said


def test_a_run_without_refits_says_so(tmp_path: Path) -> None:
    assert stability(RunFolder(tmp_path), RECORDS)["status"] == ABSENT


def agreement(folder: Path) -> dict[str, Any]:
    return find_section(report_content(folder), "drivers-agreement")


def cells(part: dict[str, Any], name: str) -> list[list[str]]:
    found = find_table(part, name)
    assert found is not None
    return [line["cells"] for line in found["rows"]]


def test_ranks_stand_with_their_range(run_folder: Path) -> None:
    summary = RunFolder(run_folder).explanation
    assert summary.across_learners is not None
    assert cells(agreement(run_folder), "ranks")[:2] == [
        [
            each.label, f"{each.rank:.0f}", f"{each.rank_low:.0f} to {each.rank_high:.0f}",
            f"{each.among_first:.0%}".replace("%", "\u00a0%"),
            f"{summary.across_learners.ranks[each.feature].low:.0f} to "
            f"{summary.across_learners.ranks[each.feature].high:.0f}",
        ]
        for each in [each for each in summary.features if each.set == "held-out"][:2]
    ]  # fmt: skip


def test_other_learners_are_compared_and_disagreement_is_said(edit: Edit, run_folder: Path) -> None:
    def disagree(summary: dict[str, Any]) -> None:
        (other,) = summary["agreement"]
        other.update(same_first=0.7, in_common=0.8, log_odds=0.9, importance=0.95)
        other["features"]["sex"] = None

    edit("explanation_summary.json", disagree)
    part = agreement(run_folder)
    assert cells(part, "agreement") == [["XGBoost", "70\u00a0%", "80\u00a0%", "0.90", "0.95"]]
    assert ["Sex", "not used"] in cells(part, "agreement-features")
    assert "another that predicts as well may give others" in part["blocks"][0]["text"]
    edit("explanation_summary.json", lambda s: {**s, "agreement": [{**s["agreement"][0], "same_first": 0.9}]})
    assert "may give others" not in agreement(run_folder)["blocks"][0]["text"]


def test_of_several_learners_it_is_said_who_keeps_the_reason_in_all(edit: Edit, run_folder: Path) -> None:
    def third(summary: dict[str, Any]) -> None:
        summary["agreement"] *= 2
        summary["across_learners"]["always_first"] = 0.7

    edit("explanation_summary.json", third)
    text = agreement(run_folder)["blocks"][0]["text"]
    assert "All 3 models have the same largest contribution for 70\u00a0% of the population." in text


def test_a_single_learner_has_nobody_to_agree_with(edit: Edit, run_folder: Path) -> None:
    edit("explanation_summary.json", lambda summary: {**summary, "agreement": [], "across_learners": None})
    part = agreement(run_folder)
    assert "one model" in part["blocks"][0]["text"]
    assert find_table(part, "agreement") is None


def test_a_subgroup_of_few_people_shows_no_number(run_folder: Path) -> None:
    few = [each for each in RunFolder(run_folder).explanation.subgroups if each.problem]
    assert {each.by for each in few} == {"race_ethnicity"}
    found = find_table(agreement(run_folder), "subgroups-race_ethnicity")
    assert found is not None
    (place,) = [
        place for place, each in enumerate(found["columns"]) if each["label"] == f"{few[0].level} (n = {few[0].n})"
    ]
    for line in found["rows"]:
        assert [cell for cell, text in enumerate(line["cells"]) if text == "too few"] == [place]

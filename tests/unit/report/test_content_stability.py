"""Refits in the report: shares by way of refitting, ranges of ranks, and a learner that draws nothing."""

from __future__ import annotations

from pathlib import Path

import pytest

from mgrisk.artifacts import write_json
from mgrisk.report.blocks import ABSENT, find_table
from mgrisk.report.content_stability import stability
from mgrisk.report.run_files import RunFiles

RECORDS = [{"feature": "age_years", "label": "Age", "rank": 1.0, "rank_low": 1.0, "rank_high": 2.0}]


def way(name: str, *, moved: float, high: float) -> dict[str, object]:
    ranks = {"age_years": {"low": 1.0, "high": high}}
    shares = {"same_first": 0.75, "in_common": 0.8, "always_first": 0.5, "log_odds": 0.987}
    return {"way": name, "label": name.upper(), "refits": 4, "moved": moved, "ranks": ranks, **shares}


@pytest.mark.parametrize(("moved", "said"), [(0.0, True), (0.2, False)])
def test_shares_and_ranks_of_each_way_are_shown(tmp_path: Path, moved: float, said: bool) -> None:
    ways = [way("psus", moved=0.3, high=4.0), way("seed", moved=moved, high=1.0)]
    write_json(tmp_path / "stability.json", {"ways": ways})
    found = stability(RunFiles(tmp_path), RECORDS)
    shares, ranks = find_table(found, "stability-ways"), find_table(found, "stability-ranks")
    assert shares is not None
    assert ranks is not None
    assert shares["rows"][0]["cells"] == ["PSUS", "4", "75.0\xa0%", "80.0\xa0%", "50.0\xa0%", "0.987"]
    assert ranks["rows"][0]["cells"] == ["Age", "1", "1 to 2", "1 to 4", "1"]
    assert ("Nothing in this learner is drawn" in shares["notes"][0]) is said


def test_a_run_without_refits_says_so(tmp_path: Path) -> None:
    assert stability(RunFiles(tmp_path), RECORDS)["status"] == ABSENT

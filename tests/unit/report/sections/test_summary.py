"""The summary of the report for a model that gives all people the same risk."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from mgrisk.report.sections import summary
from mgrisk.run_folder.folder import RunFolder

Edit = Callable[[str, Callable[[Any], Any]], None]


@pytest.mark.parametrize("size", [0.0, 0.5])
def test_nothing_drives_a_risk_that_is_the_same_for_everybody(size: float, run_folder: Path, edit: Edit) -> None:
    def change(content: dict[str, Any]) -> None:
        for record in content["features"]:
            record["importance"] = size

    edit("explanation_summary.json", change)
    card = summary._drivers(RunFolder(run_folder))
    assert (card["value"] == "Nothing: everybody has the same risk") == (size == 0)
    assert {line["bar"] for line in card["lines"]} == {100 if size else 0}

"""The first example of the page on Python runs as it stands, on NHANES."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

import mgrisk

PAGE = Path(__file__).parents[2] / "docs" / "reference" / "python.md"


@pytest.mark.nhanes
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_an_own_model_is_compared_with_the_ada_test(mirror: Path) -> None:
    code, *_ = re.findall(r"```python\n(.*?)```", PAGE.read_text("utf-8"), re.DOTALL)
    assert mirror.is_dir()  # `load_nhanes` finds it by the same variable
    found: dict[str, Any] = {}
    exec(code, found)
    people, both = found["people"], found["both"]
    assert (len(people), int(people.outcome.sum())) == (3638, 233)
    table = mgrisk.metrics.evaluate(
        people.outcome, found["risk"], people.design, metrics=["auroc", "observed_expected"]
    )
    auroc, calibrated = table.to_dict("records")
    assert 0.65 < auroc["low"] < auroc["estimate"] < auroc["high"] < 0.85
    assert calibrated["low"] < 1.0 < calibrated["high"]
    compared = mgrisk.metrics.compare(people.outcome, both, people.design, ranking_only=["ada"])
    assert compared["metric"].tolist() == ["auroc", "auprc"]
    assert compared["low"].lt(0.05).all()

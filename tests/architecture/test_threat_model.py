"""Each defence in docs/threat-model.md names its tests, and each of them exists."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "threat-model.md").read_text("utf-8")
TESTS = ROOT / "tests"


def promises() -> list[tuple[str, str]]:
    """Return what is done and the cell of its tests, of each row of tables whose last column is `test`."""
    rows: list[tuple[str, str]] = []
    inside = False
    for line in PAGE.splitlines():
        cells = [cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]]
        if not cells:
            inside = False
        elif cells[-1] == "test":
            inside = True
        elif inside and set(line) - set("|-: "):
            rows.append((cells[-2], cells[-1]))
    return rows


def exists(name: str) -> bool:
    """Whether there is a test module, or a folder of tests, and in it the test after `::` where one is named."""
    place, _, test = name.partition("::")
    found = (*TESTS.rglob(f"{place}.py"), *ROOT.glob(place))
    return any(not test or f"def {test}(" in path.read_text("utf-8") for path in found)


@pytest.mark.parametrize(("promise", "held_by"), promises(), ids=lambda cell: re.sub(r"\W+", "-", cell)[:60])
def test_a_promise_names_tests_that_exist(promise: str, held_by: str) -> None:
    named = re.findall("`([^`]+)`", held_by)
    assert named or "no test" in held_by, f"no test holds: {promise}"
    assert [name for name in named if not exists(name)] == []


def test_the_rows_are_found_and_a_test_that_is_gone_is_noticed() -> None:
    assert len(promises()) > 25
    assert exists("test_threat_model::test_the_rows_are_found_and_a_test_that_is_gone_is_noticed")
    assert exists("trees/test_document") is any(TESTS.rglob("trees/test_document.py"))
    assert not exists("test_threat_model::test_that_is_gone")
    assert not exists("test_module_that_is_gone")

"""Rows of TOML files: one file or a folder of them, with what stands above the rows."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from mgrisk.facts import rows


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Make an importable package to lay facts into."""
    folder = tmp_path / "packed_facts"
    folder.mkdir()
    (folder / "__init__.py").touch()
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "packed_facts", raising=False)
    return folder


def test_what_stands_above_the_rows_holds_for_each_that_does_not_say_otherwise(package: Path) -> None:
    (package / "one.toml").write_text('unit = "mg"\n[[row]]\nname = "a"\n[[row]]\nname = "b"\nunit = "g"\n')
    assert rows("packed_facts", "one.toml", "row") == [{"unit": "mg", "name": "a"}, {"unit": "g", "name": "b"}]


def test_the_files_of_a_folder_are_read_in_the_order_of_their_names(package: Path) -> None:
    (package / "many").mkdir()
    (package / "many" / "b.toml").write_text('[[row]]\nname = "second"\n')
    (package / "many" / "a.toml").write_text('kind = "x"\n[[row]]\nname = "first"\n')
    assert rows("packed_facts", "many", "row") == [{"kind": "x", "name": "first"}, {"name": "second"}]

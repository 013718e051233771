"""Only small TOML files are read; any other path is refused.

Rows are read from one TOML file or a folder of them, with the keys above the rows.
"""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from mgrisk.config.toml import LARGEST, read_toml, rows
from mgrisk.errors import MgRiskError


def refused(path: Path) -> MgRiskError:
    with pytest.raises(MgRiskError) as caught:
        read_toml(path, kind="mapping", prefix="mapping", hint="check the path")
    return caught.value


def test_a_file_is_read(tmp_path: Path) -> None:
    (tmp_path / "a.toml").write_text("key = 'é'", encoding="utf-8")
    assert read_toml(tmp_path / "a.toml", kind="mapping", prefix="mapping", hint="") == {"key": "é"}


@pytest.mark.parametrize("name", ["none.toml", ".", "/dev/zero"])
def test_what_is_no_file_is_refused_by_its_kind(tmp_path: Path, name: str) -> None:
    problem = refused(tmp_path / name)
    assert (problem.code, problem.hint) == ("mapping.missing_file", "check the path")
    assert "mapping file does not exist" in problem.message


def test_a_large_file_is_not_read(tmp_path: Path) -> None:
    (tmp_path / "large.toml").write_bytes(b"#" * (LARGEST + 1))
    assert refused(tmp_path / "large.toml").code == "mapping.missing_file"


@pytest.mark.parametrize("content", [b"key = ", b"key = '\xff'", b"a = " + b"[" * 100_000])
def test_what_is_no_toml_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "a.toml").write_bytes(content)
    assert refused(tmp_path / "a.toml").code == "mapping.not_toml"


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

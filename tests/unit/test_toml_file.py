"""What a user names may be anything: only a small file that is TOML is read."""

from __future__ import annotations

from pathlib import Path

import pytest

from mgrisk.errors import MgRiskError
from mgrisk.toml_file import LARGEST, read_toml


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
    assert "no such mapping file" in problem.message


def test_a_large_file_is_not_read(tmp_path: Path) -> None:
    (tmp_path / "large.toml").write_bytes(b"#" * (LARGEST + 1))
    assert refused(tmp_path / "large.toml").code == "mapping.missing_file"


@pytest.mark.parametrize("content", [b"key = ", b"key = '\xff'", b"a = " + b"[" * 100_000])
def test_what_is_no_toml_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "a.toml").write_bytes(content)
    assert refused(tmp_path / "a.toml").code == "mapping.not_toml"

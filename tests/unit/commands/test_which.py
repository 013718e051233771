"""Which bundle a command takes where none is given, or one that is not there."""

from __future__ import annotations

from pathlib import Path

import pytest

from mgrisk.commands.which import bundle_folder
from mgrisk.errors import MgRiskError


def test_a_folder_is_taken_as_it_is(tmp_path: Path) -> None:
    assert bundle_folder(str(tmp_path)) == tmp_path


def test_a_name_in_a_registry_needs_the_registry(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    with pytest.raises(MgRiskError) as caught:
        bundle_folder("somebody@champion")
    assert caught.value.code == "registry.none"

"""Which bundle a command takes where none is given, or one that is not there."""

from __future__ import annotations

from pathlib import Path

import pytest

from mgrisk.errors import MgRiskError
from mgrisk.model.bundle import released_bundles
from mgrisk.models import bundle_folder


def test_a_folder_is_taken_as_it_is(tmp_path: Path) -> None:
    assert bundle_folder(str(tmp_path)) == tmp_path


def test_a_name_in_a_registry_needs_the_registry(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    with pytest.raises(MgRiskError) as caught:
        bundle_folder("somebody@champion")
    assert caught.value.code == "registry.none"


def test_a_folder_of_the_same_name_does_not_hide_a_released_bundle(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "undiagnosed").mkdir()
    assert bundle_folder("undiagnosed") == released_bundles()["undiagnosed"]
    assert bundle_folder("./undiagnosed") == Path("undiagnosed")


@pytest.mark.parametrize("address", ["", "sqlite:///nobody/has/this.db"])
def test_the_released_bundle_is_the_default_whatever_registry_there_is(
    address: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", address)
    (tmp_path / "runs").mkdir()
    (tmp_path / "runs" / "mlflow.db").write_text("no store, and not opened", encoding="utf-8")
    assert bundle_folder(None) == released_bundles()["undiagnosed"]
    assert bundle_folder("undiagnosed") == released_bundles()["undiagnosed"]

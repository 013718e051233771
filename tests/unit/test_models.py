"""The bundle that a command uses if none is named, and errors for unknown names."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from mgrisk.errors import MgRiskError
from mgrisk.model.bundle import read_about
from mgrisk.model.released import released_bundles
from mgrisk.models import bundle_folder
from mgrisk.storage.files import sha256


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


def test_a_pin_takes_the_version_or_the_digest_that_it_names_and_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, other = released_bundles()["undiagnosed"], released_bundles()["diabetes"]
    digest, version = sha256(folder / "SHA256SUMS"), read_about(folder)["mgrisk"]
    for pin in (version, digest, digest[:8]):
        assert bundle_folder(f"undiagnosed=={pin}") == folder
        assert bundle_folder(f"{folder}=={pin}") == folder
    for name in (f"diabetes=={digest}", f"undiagnosed=={digest[:7]}", "undiagnosed==0.0.9", "undiagnosed=="):
        with pytest.raises(MgRiskError) as caught:
            bundle_folder(name)
        assert caught.value.code == "bundle.other"
    assert bundle_folder(digest[:12]) == folder
    monkeypatch.chdir(tmp_path)
    shutil.copytree(other, "runs/mine/bundle")
    card = Path("runs/mine/bundle/SHA256SUMS")
    card.write_text("\n".join(reversed(card.read_text("utf-8").splitlines())) + "\n", "utf-8")
    assert bundle_folder(sha256(card)) == Path("runs/mine/bundle")
    with pytest.raises(MgRiskError) as caught:
        bundle_folder("0" * 12)
    assert caught.value.code == "bundle.unknown"

"""`mgrisk register`: a registered bundle scores like the bundle and has one version under its own name."""

from __future__ import annotations

from pathlib import Path

import mlflow
import pandas as pd
import pytest

import mgrisk
from mgrisk import track
from mgrisk.cli.main import main
from mgrisk.pipeline.run import Run

PEOPLE = pd.DataFrame({"age_years": [47, 63], "sex": ["male", "female"], "bmi_kg_m2": [31.0, None]})


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """An address of a registry that nobody has made yet; commands are started in its folder."""
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    monkeypatch.chdir(tmp_path)
    return f"sqlite:///{(tmp_path / 'runs' / 'mlflow.db').as_posix()}"


def test_a_released_bundle_is_registered_once_and_answers_like_the_bundle(
    store: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["register", "undiagnosed"]) == 0
    first = capsys.readouterr().out
    assert first == "mgrisk-undiagnosed version 1, champion: promoted: the first\n"
    assert main(["register", "undiagnosed"]) == 0
    assert capsys.readouterr().out == first
    assert [(row.version, row.data) for row in track.registered(uri=store)] == [(1, "NHANES")]
    mlflow.set_tracking_uri(store)
    served = mlflow.pyfunc.load_model("models:/mgrisk-undiagnosed@champion").predict(PEOPLE)
    alone = mgrisk.load_model("undiagnosed").score(PEOPLE)
    assert served["risk"].to_numpy().tolist() == alone["risk"].to_numpy().tolist()
    assert main(["models"]) == 0
    assert "mgrisk-undiagnosed@champion" in capsys.readouterr().out
    assert (Path("runs") / "mlartifacts").is_dir()


def test_a_version_that_has_the_alias_keeps_it(store: str, small_run: Run, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["register", "undiagnosed", "--as", "ours"]) == 0
    assert main(["register", str(small_run.bundle), "--as", "ours"]) == 0
    assert "version 2, challenger: refused: version 1 has the alias champion" in capsys.readouterr().out
    assert track.find_version("ours", "champion", uri=store) == 1


@pytest.mark.parametrize("name", ["mgrisk-undiagnosed", "Undiagnosed", "mgrisk-undiagnosed-brief"])
def test_another_bundle_does_not_get_the_name_of_a_released_one(
    store: str, small_run: Run, name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["register", str(small_run.bundle), "--as", name]) == 2
    assert "[registry.reserved_name]" in capsys.readouterr().err
    assert not Path("runs/mlflow.db").exists()


@pytest.mark.parametrize("option", [["--as", "a/b"], ["--alias", "latest"]])
def test_a_name_that_a_registry_does_not_take_is_refused(
    store: str, option: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["register", "undiagnosed", *option]) == 2
    assert "[registry.bad_name]" in capsys.readouterr().err

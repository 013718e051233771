"""The gate of the registry: which version gets the alias, and what a refusal says."""

import json
import re
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from mgrisk import track
from mgrisk.cli.main import main
from mgrisk.config.pipeline_file import load
from mgrisk.errors import MgRiskError
from mgrisk.model.bundle import Bundle, load_bundle
from mgrisk.pipeline.track import judge, log
from mgrisk.pipeline.workspace import Workspace
from mgrisk.storage.files import read_json, write_json

MODEL = "mgrisk-demo-SYNTHETIC"


@pytest.fixture
def workspace(run_copy: Path, monkeypatch: pytest.MonkeyPatch) -> Workspace:
    """A copy of the small run whose registry is empty: it lies beside the copy."""
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    return Workspace(load(run_copy / "resolved.toml"), run_copy)


@pytest.fixture
def bundle(workspace: Workspace) -> Bundle:
    return load_bundle(workspace.run.path("bundle"))


def uri(workspace: Workspace) -> str:
    return track.tracking_uri(workspace.pipeline.tracking, workspace.folder)


def change_records(workspace: Workspace, name: str, which: Callable[[dict[str, Any]], bool], **changes: Any) -> None:
    records = read_json(workspace.run.path(name))
    assert sum(map(which, records))
    write_json(workspace.run.path(name), [{**each, **(changes if which(each) else {})} for each in records])


def spoil_slope(workspace: Workspace) -> None:
    change_records(
        workspace,
        "evaluation.json",
        lambda each: each["metric"] == "calibration_slope" and each["set"] == "2017-2018" and each["group"] == "all",
        estimate=11.0,
        low=10.4,
        high=12.0,
    )


def reversed_risks(bundle: Bundle) -> Bundle:
    return replace(bundle, calibrator=replace(bundle.calibrator, slope=-bundle.calibrator.slope))


def test_the_first_version_gets_the_alias_and_its_like_follows_it(workspace: Workspace) -> None:
    assert "version 1 is champion" in log(workspace)
    assert "version 2 is champion" in log(workspace)
    standing = read_json(workspace.run.path("tracking.json"))["standing"]
    assert (standing["champion"], standing["refusals"]) == (1, [])
    # Compared on the same people: a model with itself does not differ.
    assert {record["metric"]: record["estimate"] for record in standing["compared"]} == {"auroc": 0.0, "log_loss": 0.0}
    assert {row.version: row.aliases for row in track.registered(uri=uri(workspace))} == {2: ("champion",), 1: ()}


def test_a_refused_version_is_challenger_until_somebody_promotes_it(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    log(workspace)
    spoil_slope(workspace)
    said = log(workspace)
    reason = "calibration_slope of the held-out people is 11.000 (10.400 to 12.000), outside 0.1 to 10"
    assert "version 2 is challenger" in said
    assert reason in said
    rows = {row.version: row for row in track.registered(uri=uri(workspace))}
    assert (rows[1].aliases, rows[2].aliases) == (("champion",), ("challenger",))
    assert rows[2].promotion == f"refused: {reason}"
    monkeypatch.setenv("MLFLOW_TRACKING_URI", uri(workspace))
    assert main(["promote", f"{MODEL}@challenger", "--because", "checked by hand on our own people"]) == 0
    assert f"{MODEL} version 2 is champion" in capsys.readouterr().out
    rows = {row.version: row for row in track.registered(uri=uri(workspace))}
    assert (rows[1].aliases, rows[2].aliases) == ((), ("champion",))
    assert rows[2].promotion == "promoted by hand to champion: checked by hand on our own people"
    assert main(["models"]) == 0
    assert "promoted by hand to champion: checked by hand" in capsys.readouterr().out


def test_a_version_can_be_asked_for_by_its_number(workspace: Workspace) -> None:
    log(workspace)
    found = track.find_bundle(f"{MODEL}@1", uri=uri(workspace))
    assert (found / "bundle.json").read_bytes() == (workspace.run.path("bundle") / "bundle.json").read_bytes()


@pytest.mark.parametrize("name", [f"{MODEL}@challenger", f"{MODEL}@7", "nobody@champion", MODEL])
def test_what_is_not_registered_cannot_be_promoted(
    workspace: Workspace, name: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    log(workspace)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", uri(workspace))
    assert main(["promote", name, "--because", "for a test"]) == 5
    assert "registry.not_found" in capsys.readouterr().err


def test_a_promotion_without_a_reason_is_refused(workspace: Workspace) -> None:
    with pytest.raises(MgRiskError, match="needs its reason"):
        track.promote(f"{MODEL}@1", alias="champion", because=" ", uri=uri(workspace))


def test_a_model_that_ranks_and_fits_worse_on_the_same_people_does_not_follow(
    workspace: Workspace, bundle: Bundle
) -> None:
    reversed_risks(bundle).write(workspace.run.path("bundle"))
    auroc, log_loss = judge(workspace, (4, bundle)).refusals
    assert re.match(
        r"AUROC on the same people differs by -0\.\d+ \(-0\.\d+ to -?\d\.\d+\) from that of version 4", auroc
    )
    assert log_loss.startswith("log loss on the same people is higher by")
    # The other way round it is welcome.
    bundle.write(workspace.run.path("bundle"))
    assert judge(workspace, (4, reversed_risks(bundle))).promoted


def test_a_failed_check_of_severity_error_keeps_the_alias_away(workspace: Workspace) -> None:
    change_records(workspace, "checks.json", lambda each: each["id"] == "MGR001", passed=False, finding="2 do")
    assert judge(workspace, None).refusals == ("check MGR001 failed: Nobody stands in the cohort twice (2 do)",)


def test_a_metric_that_is_not_known_is_no_pass(workspace: Workspace) -> None:
    change_records(
        workspace,
        "evaluation.json",
        lambda each: each["metric"] == "observed_expected",
        estimate=None,
        low=None,
        high=None,
        problem="no cases",
    )
    assert judge(workspace, None).refusals == ("observed_expected of the held-out people is not known: no cases",)


@pytest.mark.parametrize(
    ("about", "reason"),
    [
        ({"data": "NHANES"}, "was made of NHANES people; this run of made-up ones cannot replace it"),
        ({"outcome": {"name": "diabetes"}}, "predicts diabetes, not undiagnosed"),
        ({"cycles": ["2015-2016", "2017-2018"]}, "was developed on 2017-2018, the cycle held out here"),
    ],
)
def test_what_cannot_be_compared_is_not_replaced(
    workspace: Workspace, bundle: Bundle, about: dict[str, Any], reason: str
) -> None:
    other = replace(bundle, about={**bundle.about, **about})
    assert judge(workspace, (3, other)).refusals == (f"version 3, which has the alias, {reason}",)


def test_a_champion_that_reads_what_the_run_has_not_is_not_replaced(workspace: Workspace, bundle: Bundle) -> None:
    other = replace(bundle, features=(*bundle.features, bundle.features[0].model_copy(update={"name": "another"})))
    assert judge(workspace, (3, other)).refusals == (
        "version 3, which has the alias, reads another, which this run has not",
    )


def test_a_champion_whose_files_are_gone_is_not_replaced_in_silence(workspace: Workspace) -> None:
    log(workspace)
    shutil.rmtree(workspace.folder.parent / "mlartifacts")
    log(workspace)
    (refusal,) = read_json(workspace.run.path("tracking.json"))["standing"]["refusals"]
    assert refusal.startswith("version 1, which has the alias, cannot be loaded to compare with")
    assert json.loads(workspace.run.path("tracking.json").read_text("utf-8"))["alias"] == "challenger"

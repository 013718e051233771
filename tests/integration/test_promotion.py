"""Which version gets the alias in the registry, and the reasons given otherwise."""

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
from mgrisk.model.bundle import Bundle, read_bundle
from mgrisk.pipeline.track import judge, log
from mgrisk.pipeline.workspace import Workspace
from mgrisk.storage.files import read_json, write_json

MODEL = "mgrisk-demo-SYNTHETIC"


@pytest.fixture(scope="module")
def empty_store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store of MLflow with nothing in it: making one takes longer than copying it."""
    store = tmp_path_factory.mktemp("store") / "mlflow.db"
    assert track.registered(uri=f"sqlite:///{store.as_posix()}") == []
    return store


@pytest.fixture
def workspace(run_copy: Path, empty_store: Path, monkeypatch: pytest.MonkeyPatch) -> Workspace:
    """A copy of the small run whose registry is empty: it lies beside the copy."""
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    shutil.copy(empty_store, run_copy.parent)
    return Workspace(load(run_copy / "resolved.toml"), run_copy)


@pytest.fixture
def bundle(workspace: Workspace) -> Bundle:
    return read_bundle(workspace.run.path("bundle"))


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


def change_bundle(workspace: Workspace, word: str = "another") -> None:
    """Change a bundle in its card alone, so that it answers the same."""
    bundle = read_bundle(workspace.run.path("bundle"))
    replace(bundle, parts={**bundle.parts, "card.md": word.encode()}).write(workspace.run.path("bundle"))


def aliases(workspace: Workspace) -> dict[int, tuple[str, ...]]:
    return {row.version: row.aliases for row in track.registered(uri=uri(workspace))}


def promotion(workspace: Workspace, version: int) -> str:
    return {row.version: row.promotion for row in track.registered(uri=uri(workspace))}[version]


def told(workspace: Workspace) -> tuple[int, str, list[str]]:
    """Return version, alias and refusals of tracking.json."""
    content = read_json(workspace.run.path("tracking.json"))
    return content["version"], content["alias"], content["standing"]["refusals"]


def by_hand(workspace: Workspace, version: int) -> None:
    track.promote(f"{MODEL}@{version}", alias="champion", because="a test", uri=uri(workspace))


def test_the_first_version_gets_the_alias_and_its_like_follows_it(workspace: Workspace) -> None:
    assert "version 1 is champion" in log(workspace)
    change_bundle(workspace)
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
    change_bundle(workspace)
    spoil_slope(workspace)
    said = log(workspace)
    reason = "calibration_slope in held-out people is 11.000 (95 % interval 10.400 to 12.000), outside 0.1 to 10"
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


def test_an_unchanged_bundle_is_not_registered_again_and_stays_what_it_is(workspace: Workspace) -> None:
    log(workspace)
    first = read_json(workspace.run.path("tracking.json"))
    workspace.run.path("report.html").write_text("<p>another report</p>", "utf-8")
    assert log(workspace) == f"{MODEL} version 1 is champion; {first['nested']} nested runs"
    assert aliases(workspace) == {1: ("champion",)}
    assert promotion(workspace, 1) == "promoted: the first"
    again = read_json(workspace.run.path("tracking.json"))
    assert (again["version"], again["alias"], set(again)) == (1, "champion", set(first))
    # The run is another, with its own report.
    assert again["run_id"] != first["run_id"]


def test_a_rerun_takes_no_alias_back_from_a_version_promoted_by_hand(workspace: Workspace) -> None:
    log(workspace)
    of_first = workspace.folder.parent / "first"
    shutil.copytree(workspace.run.path("bundle"), of_first)
    change_bundle(workspace)
    log(workspace)
    assert aliases(workspace) == {1: (), 2: ("champion",)}
    by_hand(workspace, 1)
    # The run whose bundle was set aside, and that of the one promoted by hand.
    said = log(workspace)
    assert "version 2 has no alias" in said
    assert "not champion: version 1, which has the alias, was promoted by hand" in said
    assert told(workspace) == (2, "", ["version 1, which has the alias, was promoted by hand"])
    shutil.rmtree(workspace.run.path("bundle"))
    shutil.copytree(of_first, workspace.run.path("bundle"))
    assert "version 1 is champion" in log(workspace)
    assert aliases(workspace) == {1: ("champion",), 2: ()}
    assert promotion(workspace, 1) == "promoted by hand to champion: a test"


def test_a_rerun_takes_no_alias_back_from_a_version_that_followed_by_the_gate(workspace: Workspace) -> None:
    log(workspace)
    of_first = workspace.folder.parent / "first"
    shutil.copytree(workspace.run.path("bundle"), of_first)
    change_bundle(workspace)
    log(workspace)
    shutil.rmtree(workspace.run.path("bundle"))
    shutil.copytree(of_first, workspace.run.path("bundle"))
    log(workspace)
    assert told(workspace) == (1, "", ["version 2, which has the alias, followed this unchanged bundle"])
    assert aliases(workspace) == {1: (), 2: ("champion",)}


def test_what_the_gate_refused_stays_champion_once_promoted_by_hand(workspace: Workspace) -> None:
    log(workspace)
    change_bundle(workspace)
    spoil_slope(workspace)
    log(workspace)
    by_hand(workspace, 2)
    assert log(workspace).startswith(f"{MODEL} version 2 is champion")
    version, alias, refusals = told(workspace)
    assert (version, alias, len(refusals)) == (2, "champion", 1)
    assert aliases(workspace) == {1: (), 2: ("champion",)}
    assert promotion(workspace, 2) == "promoted by hand to champion: a test"


@pytest.mark.parametrize("holder", ["by the gate", "by hand"])
def test_what_the_gate_refused_and_now_passes_gets_the_alias_unless_the_other_was_promoted_by_hand(
    workspace: Workspace, holder: str
) -> None:
    log(workspace)
    change_bundle(workspace)
    evaluation = workspace.run.path("evaluation.json").read_bytes()
    spoil_slope(workspace)
    log(workspace)
    assert "version 2 is challenger" in log(workspace)
    assert aliases(workspace) == {1: ("champion",), 2: ("challenger",)}
    if holder == "by hand":
        by_hand(workspace, 1)
    workspace.run.path("evaluation.json").write_bytes(evaluation)
    log(workspace)
    passed = {1: (), 2: ("champion",)}
    assert aliases(workspace) == (passed if holder == "by the gate" else {1: ("champion",), 2: ("challenger",)})
    assert told(workspace)[1] == ("champion" if holder == "by the gate" else "challenger")


def test_a_version_that_a_stopped_run_left_without_an_alias_gets_it(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    def stopped(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("mgrisk.track.run.settle", stopped)
        with pytest.raises(KeyboardInterrupt):
            log(workspace)
    assert aliases(workspace) == {1: ()}
    assert "version 1 is champion" in log(workspace)
    assert aliases(workspace) == {1: ("champion",)}


@pytest.mark.parametrize("name", [f"{MODEL}@challenger", f"{MODEL}@7", "nobody@champion", MODEL])
def test_what_is_not_registered_cannot_be_promoted(
    workspace: Workspace, name: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    log(workspace)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", uri(workspace))
    assert main(["promote", name, "--because", "for a test"]) == 5
    assert "registry.not_found" in capsys.readouterr().err


def test_a_promotion_without_a_reason_is_refused(workspace: Workspace) -> None:
    with pytest.raises(MgRiskError, match="needs a reason"):
        track.promote(f"{MODEL}@1", alias="champion", because=" ", uri=uri(workspace))


def test_a_model_that_ranks_and_fits_worse_on_the_same_people_does_not_follow(
    workspace: Workspace, bundle: Bundle
) -> None:
    reversed_risks(bundle).write(workspace.run.path("bundle"))
    auroc, log_loss = judge(workspace, (4, bundle)).refusals
    assert re.match(
        r"AUROC on the same people differs by -0\.\d+ \(95 % interval -0\.\d+ to -?\d\.\d+\) from that of version 4",
        auroc,
    )
    assert log_loss.startswith("log loss on the same people is higher by")
    # The other way round it is welcome.
    bundle.write(workspace.run.path("bundle"))
    assert judge(workspace, (4, reversed_risks(bundle))).promoted


def test_a_failed_check_of_severity_error_keeps_the_alias_away(workspace: Workspace) -> None:
    change_records(workspace, "checks.json", lambda each: each["id"] == "MGR001", status="finding", finding="2 do")
    assert judge(workspace, None).refusals == ("check MGR001 failed: Nobody is in the cohort twice (2 do)",)


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
    assert judge(workspace, None).refusals == ("observed_expected in held-out people is unknown: no cases",)


@pytest.mark.parametrize(
    ("about", "reason"),
    [
        ({"data": "NHANES"}, "was developed on NHANES people; this run on made-up people cannot replace it"),
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
        "version 3, which has the alias, needs another, which this run does not have",
    )


def test_a_champion_whose_files_are_gone_is_not_replaced_in_silence(workspace: Workspace) -> None:
    log(workspace)
    shutil.rmtree(workspace.folder.parent / "mlartifacts")
    change_bundle(workspace)
    log(workspace)
    (refusal,) = read_json(workspace.run.path("tracking.json"))["standing"]["refusals"]
    assert refusal.startswith("version 1, which has the alias, cannot be loaded to compare with")
    assert json.loads(workspace.run.path("tracking.json").read_text("utf-8"))["alias"] == "challenger"

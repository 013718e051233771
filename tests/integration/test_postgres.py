"""Tracking on a real PostgreSQL server: a run logged, its bundle found, promoted and listed; no password anywhere."""

import json
import os
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path

import pytest

from mgrisk import track
from mgrisk.cli.main import main
from mgrisk.config.pipeline_file import load
from mgrisk.errors import MgRiskError
from mgrisk.model.bundle import read_bundle
from mgrisk.pipeline.track import log
from mgrisk.pipeline.workspace import Workspace

PASSWORD = "not-in-any-file"


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    """The address of a server of this module's own, with password."""
    programs = sorted(Path("/usr/lib/postgresql").glob("*/bin"))
    if not programs or find_spec("psycopg") is None:
        pytest.skip("PostgreSQL's server (Debian's postgresql) or psycopg (extra `postgres`) is not installed")
    if os.geteuid() != 0:
        pytest.skip("only root may start the server as the user postgres")
    # Not below the folder of the tests, which is root's alone.
    folder = Path(tempfile.mkdtemp(prefix="mgrisk-postgres-"))
    (secret := folder / "secret").write_text(PASSWORD, "utf-8")
    shutil.chown(folder, "postgres")
    shutil.chown(secret, "postgres")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]

    def as_postgres(program: str, *options: str) -> None:
        command = ["runuser", "-u", "postgres", "--", str(programs[-1] / program), *options]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL, cwd=folder)

    data = str(folder / "data")
    as_postgres("initdb", "-D", data, "-A", "scram-sha-256", f"--pwfile={secret}", "-U", "mgrisk", "-E", "UTF8")
    listen = f"-p {port} -c listen_addresses=127.0.0.1 -c unix_socket_directories={folder} -c fsync=off"
    as_postgres("pg_ctl", "-D", data, "-w", "-l", str(folder / "log"), "-o", listen, "start")
    try:
        yield f"postgresql+psycopg://mgrisk:{PASSWORD}@127.0.0.1:{port}/postgres"
    finally:
        as_postgres("pg_ctl", "-D", data, "-m", "fast", "stop")
        shutil.rmtree(folder)


def test_a_run_is_tracked_found_promoted_and_listed(
    server: str, run_copy: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", server)
    # Elsewhere than the run folder, so that nothing lands in the folder of whoever starts it.
    (away := run_copy.parent / "away").mkdir()
    monkeypatch.chdir(away)
    # Names of its own: the other tests register versions too, and an experiment keeps the artifact folder that the
    # first run of it had.
    name = "mgrisk-listed-SYNTHETIC"
    own = [f"tracking.register_as={name}", f"tracking.experiment={name}"]
    workspace = Workspace(load(run_copy / "resolved.toml", overrides=own), run_copy)
    assert "version 1 is champion" in log(workspace)
    bundle = read_bundle(run_copy / "bundle")
    replace(bundle, parts={**bundle.parts, "card.md": b"another"}).write(run_copy / "bundle")
    assert "version 2 is champion" in log(workspace)
    found = track.find_bundle(f"{name}@champion", uri=server)
    assert read_bundle(found).about == read_bundle(run_copy / "bundle").about
    assert main(["promote", f"{name}@1", "--because", "a test"]) == 0
    capsys.readouterr()
    assert main(["models", "--format", "json"]) == 0
    rows = [row for row in json.loads(capsys.readouterr().out) if row["name"].startswith(name)]
    assert [(row["version"], row["aliases"]) for row in rows] == [(2, []), (1, ["champion"])]
    people = away / "people.csv"
    people.write_text("age_years,sex\n50,male\n", "utf-8")
    command = ["score", str(people), "-o", str(away / "scored.csv"), "--model", f"{name}@champion"]
    assert main(command) == 0
    assert ",scored," in (away / "scored.csv").read_text("utf-8")
    assert sorted(path.name for path in away.iterdir()) == ["people.csv", "scored.csv", "scored.csv.summary.json"]
    assert (run_copy.parent / "mlartifacts").is_dir()


def test_no_file_of_a_run_holds_the_password(server: str, run_copy: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", server)
    own = ["tracking.experiment=mgrisk-secret-SYNTHETIC"]
    log(Workspace(load(run_copy / "resolved.toml", overrides=own), run_copy))
    assert "mgrisk:***@127.0.0.1" in (run_copy / "tracking.json").read_text("utf-8")
    written = [path for path in run_copy.parent.rglob("*") if path.is_file()]
    assert len(written) > 50
    assert [path for path in written if PASSWORD.encode() in path.read_bytes()] == []


def test_a_password_in_a_pipeline_file_is_refused(server: str, run_copy: Path) -> None:
    with pytest.raises(MgRiskError, match="it contains a password") as refused:
        load(run_copy / "resolved.toml", overrides=[f"tracking.uri={server}"])
    assert PASSWORD not in str(refused.value)


def test_what_is_not_registered_is_told_without_the_password(
    server: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", server)
    assert main(["validate", "nobody.csv", "--model", "nobody@champion"]) == 5
    told = capsys.readouterr().err
    assert "registry.not_found" in told
    assert PASSWORD not in told

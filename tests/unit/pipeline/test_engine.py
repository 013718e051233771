"""The engine reruns changed steps and those that depend on them, and no others."""

from __future__ import annotations

import re
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from threadpoolctl import threadpool_info, threadpool_limits

from mgrisk.errors import MgRiskError
from mgrisk.pipeline import closure
from mgrisk.pipeline.engine import MANIFEST, Manifest, Step, run_steps
from mgrisk.pipeline.workers import Here
from mgrisk.storage.files import read_json, write_json
from mgrisk.survey.linear_models import maximise_likelihood


class Folder:
    """A run folder with a raw file and four steps: b and then c follow a; d stands apart; folder is c's output."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.settings = {"a": "1", "b": "1", "c": "1", "d": "1"}
        self.fails: set[str] = set()
        self.raw, self.reads_raw = "1", set[str]()
        self.said: list[str] = []
        (path / "raw").write_text("raw 1")
        (path / "other").write_text("other 1")

    @property
    def pipeline(self) -> Folder:
        """Stands in for a pipeline file with a section for each step."""
        return self

    def digest(self, section: str) -> str:
        return self.settings[section]

    def _act(self, name: str, source: str) -> str:
        text = (self.path / source).read_text()
        # b rounds: another a may give the same b.
        content = text.partition(" ")[0] if name == "b" else f"{text} {name}{self.settings[name]}"
        if name == "b":
            content += f" b{self.settings[name]}"
        target = self.path / ("folder" if name == "c" else name)
        if name == "c":
            target.mkdir(exist_ok=True)
            target = target / "inside"
        target.write_text(content)
        if name in self.fails:
            raise KeyboardInterrupt
        return f"made {name}"

    def run(self) -> list[str]:
        plan = [("a", ("raw",), ("a",)), ("b", ("a",), ("b",)), ("c", ("b",), ("folder",)), ("d", ("other",), ("d",))]
        steps = [
            Step(
                name,
                f"makes {name}",
                inputs,
                outputs,
                (name,),
                lambda _, name=name, source=inputs[0]: self._act(name, source),
                raw=name in self.reads_raw,
            )
            for name, inputs, outputs in plan
        ]
        self.said = []
        return run_steps(
            steps,
            self,
            Manifest.open(self.path, {"pipeline": "toy"}),
            raw=self.raw,
            workers=Here(),
            progress=self.said.append,
        )


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Folder:
    monkeypatch.setattr(closure, "digest", lambda module: f"code of {module}")
    made = Folder(tmp_path)
    assert made.run() == ["a", "b", "c", "d"]
    return made


def test_a_second_run_does_nothing_and_says_so(folder: Folder) -> None:
    before = (folder.path / MANIFEST).read_bytes()
    assert folder.run() == []
    assert folder.said == [f"[{place}/4] {name}: makes {name} (unchanged)" for place, name in enumerate("abcd", 1)]
    assert (folder.path / MANIFEST).read_bytes() == before


def test_a_step_is_named_when_it_begins_and_has_its_seconds_and_summary_when_it_has_ended(folder: Folder) -> None:
    folder.settings["b"] = "2"
    folder.run()
    assert folder.said[:2] == ["[1/4] a: makes a (unchanged)", "[2/4] b: makes b"]
    assert re.fullmatch(r" +\d+\.\d s  b: made b", folder.said[2])
    assert folder.said[3] == "[3/4] c: makes c"
    folder.settings["c"], folder.fails = "2", {"c"}
    with pytest.raises(KeyboardInterrupt):
        folder.run()
    assert folder.said[-1] == "[3/4] c: makes c"


def test_a_changed_input_runs_its_step_and_those_that_follow_from_it(folder: Folder) -> None:
    (folder.path / "raw").write_text("more 2")
    assert folder.run() == ["a", "b", "c"]
    assert folder.run() == []


def test_a_change_that_ends_in_the_same_output_stops_there(folder: Folder) -> None:
    (folder.path / "raw").write_text("raw 2")
    assert folder.run() == ["a", "b"]


def test_a_changed_setting_runs_its_step_and_those_that_follow_from_it(folder: Folder) -> None:
    folder.settings["b"] = "2"
    assert folder.run() == ["b", "c"]
    folder.settings["d"] = "2"
    assert folder.run() == ["d"]


def test_other_raw_tables_run_the_steps_that_read_them(folder: Folder) -> None:
    folder.raw = "2"
    assert folder.run() == []
    folder.reads_raw = {"a", "d"}
    assert folder.run() == ["a", "d"]
    folder.raw = "3"
    assert folder.run() == ["a", "d"]


@pytest.mark.parametrize(("output", "step"), [("a", "a"), ("b", "b"), ("folder/inside", "c")])
@pytest.mark.parametrize("damage", ["changed", "removed"])
def test_a_damaged_output_is_made_again_and_whatever_it_still_gives_stays(
    folder: Folder, output: str, step: str, damage: str
) -> None:
    whole = (folder.path / output).read_bytes()
    if damage == "changed":
        (folder.path / output).write_bytes(whole + b"!")
    else:
        (folder.path / output).unlink()
    assert folder.run() == [step]
    assert (folder.path / output).read_bytes() == whole


def test_a_file_slipped_into_an_output_folder_is_seen(folder: Folder) -> None:
    (folder.path / "folder" / "stranger").write_text("?")
    assert folder.run()[0] == "c"


def test_other_code_runs_everything_again(folder: Folder, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(closure, "digest", lambda module: f"another {module}")
    assert folder.run() == ["a", "b", "c", "d"]


@pytest.mark.parametrize(
    "content",
    [
        "{",
        "[]",
        '{"steps": 5}',
        '{"steps": {"a": {}}}',
        '{"steps": {"a": 5}}',
        '{"steps": {"a": {"key": "x", "outputs": 5}}}',
    ],
)
def test_an_edited_manifest_costs_a_full_run_and_no_more(folder: Folder, content: str) -> None:
    (folder.path / MANIFEST).write_text(content)
    assert folder.run() == ["a", "b", "c", "d"]
    assert folder.run() == []


def test_a_step_that_was_stopped_runs_again_and_so_does_what_follows(folder: Folder) -> None:
    folder.settings["a"] = "2"
    (folder.path / "raw").write_text("new 3")
    folder.fails = {"b"}
    with pytest.raises(KeyboardInterrupt):
        folder.run()
    folder.fails = set()
    assert folder.run() == ["b", "c"]
    assert (folder.path / "folder" / "inside").read_text() == "new b1 c1"


def test_a_step_that_was_stopped_runs_again_when_everything_is_as_before(folder: Folder) -> None:
    (folder.path / "raw").write_text("new 3")
    folder.fails = {"a"}
    with pytest.raises(KeyboardInterrupt):
        folder.run()
    (folder.path / "raw").write_text("raw 1")
    folder.fails = set()
    assert folder.run() == ["a"]


def test_the_manifest_says_what_made_each_output(folder: Folder) -> None:
    manifest = read_json(folder.path / MANIFEST)
    assert manifest["pipeline"] == "toy"
    assert list(manifest["steps"]) == ["a", "b", "c", "d"]
    row = manifest["steps"]["c"]
    assert row["summary"] == "made c"
    assert set(row["outputs"]) == {"folder"}
    assert row["seconds"] >= 0
    assert row["peak_memory_mb"] > 10


def test_rows_of_another_run_are_kept_and_a_changed_list_of_outputs_is_a_change(folder: Folder) -> None:
    manifest = read_json(folder.path / MANIFEST)
    manifest["steps"]["d"]["outputs"]["more"] = "0"
    write_json(folder.path / MANIFEST, manifest)
    assert folder.run() == ["d"]


def blas_threads() -> set[int]:
    return {each["num_threads"] for each in threadpool_info() if each["user_api"] == "blas"}


def test_the_number_of_threads_does_not_move_a_digit_of_a_step(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(closure, "digest", lambda module: f"code of {module}")
    rng = np.random.default_rng(0)
    rows, weight = rng.normal(size=(10_001, 40)), rng.random(10_001)
    outcome = (rng.random(10_001) < 0.1).astype(float)
    fits, seen = [], []

    def fit(_: object) -> str:
        seen.append(blas_threads())
        fits.append(maximise_likelihood(rows, outcome, weight))
        return "fitted"

    for number in (1, 2):
        with threadpool_limits(number, user_api="blas"):
            step = Step(f"fit {number}", "", (), (), (), fit)
            workspace = SimpleNamespace(pipeline=SimpleNamespace(digest=lambda: ""))
            run_steps([step], workspace, Manifest.open(tmp_path, {}), raw="", workers=Here(), progress=lambda _: None)
            assert blas_threads() == {number}
    assert seen == [{1}, {1}]
    np.testing.assert_array_equal(*fits)


def test_a_run_folder_of_another_format_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / MANIFEST).write_text('{"format": 2, "steps": {}}', "utf-8")
    with pytest.raises(MgRiskError) as refused:
        Manifest.open(tmp_path, {})
    assert refused.value.code == "run.other_format"
    Manifest(tmp_path, {"pipeline": "toy"}).write()
    assert read_json(tmp_path / MANIFEST)["format"] == 1

"""Few people are scored without compilation, with the same bytes as by compiled loops."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from tests.conftest import ToyPeople
from tests.unit.score.conftest import ALWAYS, NEVER

from mgrisk import compiled
from mgrisk.errors import MgRiskError
from mgrisk.model.bundle import Bundle
from mgrisk.score.batch import BatchOptions, score_table
from mgrisk.score.scorer import Scorer

# Each way to score, explain and check; each says where it compiled something.
WAYS = """
import sys
from pathlib import Path

import pandas as pd

from mgrisk.cli.main import main
from mgrisk.score.scorer import load_scorer

bundle, people, folder = sys.argv[1], sys.argv[2], Path(sys.argv[3])

def command(*arguments):
    assert main([*map(str, arguments), "--model", bundle]) == 0
    say(" ".join(map(str, arguments)))

def say(way):
    assert "numba" not in sys.modules, way

frame = pd.read_csv(people)
frame.to_parquet(folder / "people.parquet")
for source in (people, folder / "people.parquet"):
    for target in ("out.csv", "out.csv.gz", "out.parquet"):
        command("score", source, "-o", folder / target)
        command("score", source, "-o", folder / target, "--reasons", 0, "--what-if", "--rejects", folder / "no.csv")
command("validate", people)
command("explain", people, "-o", folder / "page.html")
scorer = load_scorer(bundle, what_if=True, next_question=True)
scorer.score(frame), scorer.attributions(frame), scorer.uncertainty(frame)
say("a frame")
"""
HEADER = "age_years,sex,smoking,note,weight_lb,height_cm,magnesium_total_mg"
CELL = st.one_of(
    st.sampled_from(
        ["", "NA", "50", " 61 ", "male", "FEMALE", "never", "unknown", "=1+1", "-1+2", "'=1", "x y", "ä", "٣"]
    ),
    st.floats().map(repr),
    st.floats(0, 1000).map(lambda x: f"{x:.2f}"),
    st.text(st.sampled_from("0123456789.,eE+-=\"'\n\r\t@ "), max_size=12),
)
ROW = st.lists(CELL, min_size=1, max_size=9).map(",".join)
GOOD_ROW = st.tuples(st.integers(15, 90), st.sampled_from(["male", "female"]), CELL, CELL).map(
    lambda row: ",".join(map(str, row)) + ",180,170,300"
)


@pytest.fixture(scope="module")
def toy_bundle(toy_bundles: dict[str, Bundle], tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("bundle") / "toy"
    bundle = toy_bundles["spline_logistic"]
    # What the page of `mgrisk explain` says of a model.
    more = {"people": 600, "cycles": ["2007-2008"], "prevalence": 0.2, "mgrisk": "0"}
    outcome = {"name": "toy", "label": "Toy disease", "definition": "Made up.", "warning": "None."}
    replace(bundle, about={**bundle.about, **more, "outcome": outcome}).write(folder)
    return folder


def test_few_people_are_scored_and_explained_without_compiling_anything(
    toy_bundle: Path, toy_people: ToyPeople, tmp_path: Path
) -> None:
    toy_people.frame.head(8).to_csv(tmp_path / "people.csv", index=False)
    cache = tmp_path / "cache"
    told = os.environ | {"NUMBA_CACHE_DIR": str(cache)}
    done = subprocess.run(
        [sys.executable, "-c", WAYS, str(toy_bundle), str(tmp_path / "people.csv"), str(tmp_path)],
        env=told,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    stream = subprocess.run(
        [sys.executable, "-m", "mgrisk", "score", "-", "-o", "-", "--model", str(toy_bundle)],
        input=(tmp_path / "people.csv").read_bytes(),
        env=told,
        capture_output=True,
        check=True,
    )
    assert stream.stdout.count(b"\n") == 9
    assert not cache.exists()


def test_many_people_are_scored_by_machine_code(
    toy_bundles: dict[str, Bundle], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class CompiledError(Exception):
        """A loop was to be compiled."""

    def compiled_now(loop: object) -> None:
        raise CompiledError

    # As in a process that has compiled nothing.
    monkeypatch.setattr(compiled, "_given", 0)
    monkeypatch.setattr("mgrisk.compiled._Loop.machine_code", property(lambda loop: None), raising=False)
    monkeypatch.setattr("mgrisk.compiled._Loop._compile", compiled_now)
    people = tmp_path / "people.csv"
    people.write_text("age_years,sex\n" + "50,male\n" * 100_000, "utf-8")
    with pytest.raises(CompiledError):
        score_table(Scorer(toy_bundles["spline_logistic"]), str(people), str(tmp_path / "out.csv"), BatchOptions(0))


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow], max_examples=60)
@given(
    st.lists(ROW | GOOD_ROW, max_size=12),
    st.sampled_from(["\n", "\r\n", "\r"]),
    st.booleans(),
    st.integers(0, 3),
)
@example(['50,male,"never,', "1\n2"], "\r\n", True, 2)
def test_the_bytes_of_any_small_file_are_those_of_compiled_loops(
    toy_bundles: dict[str, Bundle], tmp_path: Path, rows: list[str], end: str, mark: bool, reasons: int
) -> None:
    scorer = Scorer(toy_bundles["spline_logistic"], what_if=reasons == 1, next_question=reasons == 2)
    people = tmp_path / "people.csv"
    people.write_bytes(b"\xef\xbb\xbf" * mark + end.join([HEADER, *rows]).encode())
    assert scored(scorer, people, NEVER, reasons) == scored(scorer, people, ALWAYS, reasons)


def scored(scorer: Scorer, people: Path, few: int, reasons: int) -> dict[str, bytes] | str:
    """Return what is written, or the error."""
    written = {}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(compiled, "FEW_BYTES", few)
        for name in ("out.csv", "out.parquet"):
            target, rejects = people.with_name(name), people.with_name("rejects.csv")
            try:
                score_table(scorer, str(people), str(target), BatchOptions(reasons=reasons, rejects=str(rejects)))
            except MgRiskError as error:
                return str(error)
            for path in (target, rejects, Path(f"{target}.summary.json")):
                written[f"{name} {path.name}"] = path.read_bytes()
    return written

"""Targets of the fuzzers: each takes any bytes and accepts a result or an `MgRiskError`.

Any other exception, a broken invariant or the end of the process is a finding.
`test_targets.py` runs them on damaged files under hypothesis in every test run; `tools/fuzz_inputs.py` for hours
under atheris, which is guided by the lines that an input reaches.
"""

from __future__ import annotations

import csv
import functools
import hashlib
import io
import itertools
import json
import tempfile
from collections.abc import Callable
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import xgboost

from mgrisk import compiled
from mgrisk.cli.main import main
from mgrisk.config import pipeline_file
from mgrisk.errors import ExitStatus, MgRiskError
from mgrisk.features.registry import FEATURES
from mgrisk.model.bundle import read_bundle
from mgrisk.model.bundle_files import SUMS
from mgrisk.model.trees.learners import FILE as TREES
from mgrisk.model.trees.learners import FittedTrees
from mgrisk.nhanes import xpt
from mgrisk.score.batch import BatchOptions, score_table, validate_table
from mgrisk.score.cells import Missing
from mgrisk.score.csv.source import CsvRows, CsvSource
from mgrisk.score.input_schema import read_text
from mgrisk.score.mapping import map_file
from mgrisk.score.mapping_file import read_mapping
from mgrisk.score.scorer import Scorer
from mgrisk.score.summary import Tally

ROOT = Path(__file__).parents[2]
MODELS = ROOT / "models"
EXAMPLES = ROOT / "data" / "examples"
OLD = ROOT / "tests" / "golden" / "format_1"
# An additive one, one of splines, one that is a sum of splines and trees: every kind of part but shapes.
BUNDLES = (MODELS / "undiagnosed", OLD / "diabetes", OLD / "undiagnosed")

Target = Callable[[bytes], None]


@functools.cache
def folder() -> Path:
    """A folder of this process, in memory where the machine has such a place."""
    shared = Path("/dev/shm")
    return Path(tempfile.mkdtemp(prefix="mgrisk-fuzz-", dir=shared if shared.is_dir() else None))


def read_xpt(content: bytes) -> None:
    """Any bytes as a SAS transport file: header, values and tags agree, or it is refused."""
    path = folder() / "TABLE.xpt"
    path.write_bytes(content)
    try:
        header = xpt.header(path)
        frame = xpt.read(path)
        tags = xpt.read_tags(path)
    except MgRiskError:
        return
    assert frame.shape == tags.shape == (header.n_rows, len(header.variables))
    numbers = [variable.name for variable in header.variables if variable.kind == "number"]
    assert ((tags[numbers] != "") == frame[numbers].isna()).to_numpy().all()


def map_extract(content: bytes) -> None:
    """Any bytes as a mapping file: the example extract comes out with a cell for each column, and no row is lost."""
    path, target = folder() / "mapping.toml", folder() / "mapped.csv"
    path.write_bytes(content)
    try:
        mapping = read_mapping(path)
        done = map_file(str(EXAMPLES / "extract.csv"), mapping, str(target))
    except MgRiskError:
        return
    with target.open(encoding="utf-8", newline="") as stream:
        header, *rows = csv.reader(stream)
    assert len(header) == len(set(header)) == len(mapping.keep) + len(mapping.features)
    assert (len(rows), done.rows) == (done.written, 6)
    assert done.written == 6 - sum(done.excluded.values()) or done.of_people
    assert {len(row) for row in rows} <= {len(header)}  # a mapping may exclude everybody


@functools.cache
def scorer(name: str) -> Scorer:
    """A released model."""
    return Scorer(read_bundle(MODELS / name))


def score_csv(content: bytes) -> None:
    """Any bytes as a table of people: as many rows and the same cells in the same order out, or it is refused."""
    source, target = folder() / "people.csv", folder() / "scored.csv"
    source.write_bytes(content)
    try:
        summary = score_table(scorer("undiagnosed"), str(source), str(target), BatchOptions(reasons=2))
    except MgRiskError:
        return
    found = list(csv.reader(io.StringIO(target.read_bytes().decode("utf-8"), newline="")))
    assert len(found) == summary.tally.rows + 1
    assert len({len(row) for row in found}) == 1
    for row in found[1:]:
        answer = dict(zip(found[0], row, strict=True))
        if answer["status"] == "scored":
            assert 0 <= float(answer["risk_low"]) <= float(answer["risk"]) <= float(answer["risk_high"]) <= 1
        else:
            assert answer["status"] == "rejected"
            assert answer["risk"] == "" != answer["problems"]


def read_both_ways(content: bytes) -> None:
    """Any bytes as CSV: the loops say the same compiled and as Python, and what the contract says of each cell."""
    missing = Missing.also(["-9", "unknown"])
    found: list[list[CsvRows] | str] = []
    for few in (-1, 2**62):
        with mock.patch.object(compiled, "FEW_BYTES", few):
            try:
                source = CsvSource(io.BytesIO(content), where="fuzz", missing=missing, block_bytes=64)
                inputs = tuple(FEATURES[name] for name in dict.fromkeys(source.columns) if name in FEATURES)
                found.append([source.read(block, inputs) for block in source.blocks()])
            except MgRiskError as refused:
                found.append(refused.what())
    one_way, other_way = found
    if isinstance(one_way, str) or isinstance(other_way, str):
        assert one_way == other_way
        return
    for one, other in zip(one_way, other_way, strict=True):
        np.testing.assert_array_equal(one.checked.numbers, other.checked.numbers)
        np.testing.assert_array_equal(one.checked.state, other.checked.state)
        np.testing.assert_array_equal([one.start, one.end], [other.start, other.end])
        assert one.checked.wrong_fields == other.checked.wrong_fields
        for place in sorted(set(range(len(one.start))) - one.checked.wrong_fields.keys()):
            row = one.original(place)
            for i, feature in enumerate(one.checked.inputs if len(row) == len(one.columns) else ()):
                state, value = read_text(row[feature.name], feature, missing=missing)
                assert state == one.checked.state[i, place]
                np.testing.assert_equal(value, one.checked.numbers[i, place])


def score_parquet(content: bytes) -> None:
    """Any bytes as Parquet: as many rows out as in, or it is refused."""
    rows = scored_and_validated(content, folder() / "people.parquet", folder() / "scored-parquet.csv")
    if rows is not None:
        with (folder() / "scored-parquet.csv").open(encoding="utf-8", newline="") as stream:
            found = list(csv.reader(stream))
        assert len(found) == rows + 1
        assert len({len(row) for row in found}) == 1


def score_json_lines(content: bytes) -> None:
    """Any bytes as JSON lines: as many objects out as in, with the same keys, or it is refused."""
    rows = scored_and_validated(content, folder() / "people.jsonl", folder() / "scored.jsonl")
    if rows is not None:
        lines = (folder() / "scored.jsonl").read_bytes().split(b"\n")[:-1]
        assert len(lines) == rows
        assert len({tuple(json.loads(line)) for line in lines}) <= 1


def scored_and_validated(content: bytes, source: Path, target: Path) -> int | None:
    """Return the number of rows that `score` and `validate` both count; None where both refuse the file."""
    source.write_bytes(content)
    told: list[Tally | str] = []
    for work in (
        lambda: score_table(scorer("undiagnosed"), str(source), str(target), BatchOptions(reasons=0)),
        lambda: validate_table(scorer("undiagnosed"), str(source)),
    ):
        try:
            told.append(work().tally)
        except MgRiskError as refused:
            told.append(refused.code)
    scored, validated = told
    if isinstance(scored, str) or isinstance(validated, str):
        assert scored == validated
        return None
    assert (scored.rows, scored.problems) == (validated.rows, validated.problems)
    return scored.rows


def monitor_history(content: bytes) -> None:
    """Any bytes as a history of batches: `monitor` says what it holds, or refuses it; of a few its page, too."""
    path, page = folder() / "batches.jsonl", folder() / "monitor.html"
    path.write_bytes(content)
    drawn = hashlib.sha256(content).digest()[0] < 8  # a page takes a second
    ways = [[], ["--by", "site", "--format", "json"], *([["--by", "site", "-o", str(page)]] if drawn else [])]
    for way in ways:
        with redirect_stdout(io.StringIO()) as told, redirect_stderr(io.StringIO()) as said:
            status = main(["monitor", str(path), *way])
        assert status in (ExitStatus.DONE, ExitStatus.USAGE, ExitStatus.INPUT), said.getvalue()
        if status == ExitStatus.DONE and "json" in way:
            assert json.loads(told.getvalue())["by"] == "site"


def read_toml(content: bytes) -> None:
    """Any bytes as a pipeline file: a pipeline that says the same of itself when read again, or it is refused."""
    path = folder() / "pipeline.toml"
    path.write_bytes(content)
    try:
        pipeline = pipeline_file.load(path)
    except MgRiskError:
        return
    path.write_text(pipeline.to_toml(), "utf-8")
    assert pipeline_file.load(path) == pipeline


@functools.cache
def _files(model: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(model.iterdir()) if path.name != SUMS}


def damaged(content: bytes, edits: bytes) -> bytes:
    """Apply edits of six bytes each: where (3), how (1), with what (2)."""
    data = bytearray(content)
    for at in range(0, len(edits) - 5, 6):
        place = int.from_bytes(edits[at : at + 3], "little") % (len(data) + 1)
        how, what = edits[at + 3] % 6, edits[at + 4 : at + 6]
        if how == 0:
            data[place : place + 2] = what
        elif how == 1:
            data[place:place] = what
        elif how == 2:
            del data[place : place + 1 + int.from_bytes(what, "little") % 64]
        elif how == 3:
            data[place:place] = data[place : place + what[0]] * (1 + what[1] % 4)
        elif how == 4 and place < len(data):
            data[place] ^= 1 << (what[0] % 8)
        elif how == 5:
            del data[place:]
    return bytes(data)


def load_damaged_bundle(content: bytes) -> None:
    """A bundle one of whose files is damaged and whose sums are right again: finite risks, or it is refused."""
    if len(content) < 2:
        return
    files = dict(_files(BUNDLES[content[0] % len(BUNDLES)]))
    names = [each for each in files if each != "card.md"]
    chosen = names[content[1] % len(names)]
    files[chosen] = damaged(files[chosen], content[2:])
    files[SUMS] = "".join(f"{hashlib.sha256(files[each]).hexdigest()}  {each}\n" for each in files).encode()
    place = folder() / "bundle"
    place.mkdir(exist_ok=True)
    for path in place.iterdir():
        path.unlink()
    for each, data in files.items():
        (place / each).write_bytes(data)
    try:
        loaded = Scorer(read_bundle(place))
    except MgRiskError as problem:
        if problem.status != ExitStatus.BUNDLE:
            raise
        return
    # Once it is loaded nothing of it is refused.
    scored = loaded.score(people(), reasons=2)
    inside = scored["status"] == "scored"
    low, risk, high = (scored.loc[inside, name].to_numpy(float) for name in ("risk_low", "risk", "risk_high"))
    assert ((low >= 0) & (low <= risk) & (risk <= high) & (high <= 1)).all()


def read_trees(content: bytes) -> None:
    """Any bytes as model.ubj of three columns: margins that are finite, or it is refused before xgboost sees it."""
    try:
        trees = FittedTrees.from_files({TREES: content}, n_columns=3, threads=1)
    except MgRiskError:
        return
    X = np.array([[0, 0, 0], [1, -1, np.nan], [np.nan, 9, 1e30]], dtype=np.float32)
    assert np.isfinite(trees.margin(X)).all()


@functools.cache
def people() -> pd.DataFrame:
    """The eight made-up people that come with mgrisk."""
    return pd.read_csv(ROOT / "data" / "examples" / "people.csv", dtype=str, keep_default_na=False)


def parquet_of(**options: Any) -> bytes:
    """A small Parquet file with a column of each of some types."""
    columns = {
        "person_id": pa.array([2**53 + 1, None, 7]),
        "age_years": pa.array([50, 61, None], pa.int32()),
        "sex": pa.array(["male", "female", "male"]).dictionary_encode(),
        "hypertension_told": pa.array([True, None, False]),
        "bmi_kg_m2": pa.array([25.5, None, 31.0]),
        "visit": pa.array([0, 1, None], pa.timestamp("us")),
        "codes": pa.array([[1, 2], None, []], pa.list_(pa.int64())),
    }
    sink = io.BytesIO()
    pq.write_table(pa.table(columns), sink, **options)
    return sink.getvalue()


@functools.cache
def seeds(name: str) -> list[bytes]:
    """Return valid inputs of a target, to be damaged."""
    if name == "xpt":
        path = folder() / "SEED.xpt"
        rng = np.random.default_rng(1)
        texts = pd.DataFrame(
            {"SEQN": [1.0, 2.0, 3.0], "RXDDRUG": ["METFORMIN", "", "x"], "RIDAGEYR": [40.0, None, 0.0]}
        )
        numbers = pd.DataFrame(rng.normal(size=(7, 3)), columns=["A", "B", "C"])
        found = []
        for frame in (texts, numbers, texts.head(0)):
            xpt.write(frame, path, table="SEED")
            found.append(path.read_bytes())
        return found
    if name == "parquet":
        return [parquet_of(compression=packed, use_dictionary=packed == "zstd") for packed in ("none", "gzip", "zstd")]
    if name == "history":
        return [HISTORY, HISTORY.replace(b"night 2", b"night 1")]
    if name == "json-lines":
        return [
            b'{"person_id": 9007199254740993, "age_years": 50, "sex": "male", "bmi_kg_m2": 25.5}\n'
            b'{"sex": "female", "age_years": null, "note": {"seen": [1, 2.50, "=1+1"]}}\r\n',
            b'\xef\xbb\xbf{"age_years": "61", "hypertension_told": true, "height_in": 7e1, "a": "\\ud83d\\ude00\\n"}',
            b'{ "age_years": -9.0, "waist_cm": NaN, "visit": [[], {"a": -Infinity}]}\n\n{}\n{"age_years": 33}',
        ]
    if name in ("csv", "csv-ways"):
        return [
            (EXAMPLES / "people.csv").read_bytes(),
            b"age_years,sex,hypertension_told,bmi_kg_m2\n50,male,TRUE,.A\n-9,female,unknown,-9.0\n\\N,male,yes,2.5e1\n",
            b'age_years,sex,height_in,note\r\n50,male,70,"two\nlines"\r\n4e1,FEMALE,,"a ""b"""\n\n,x,1\n61,male,1,2,3',
        ]
    if name == "toml":
        return [path.read_bytes() for path in sorted((ROOT / "pipelines").glob("*.toml"))]
    if name == "mapping":
        return [*(path.read_bytes() for path in sorted(EXAMPLES.glob("*.toml"))), MAPPING]
    if name == "trees":
        rng = np.random.default_rng(1)
        X = rng.normal(size=(50, 3)).astype(np.float32)
        data = xgboost.DMatrix(X, label=(X.sum(axis=1) > 0).astype(np.float32))
        settings = {"objective": "binary:logistic", "max_depth": 2}
        return [bytes(xgboost.train(settings, data, rounds).save_raw("ubj")) for rounds in (1, 3)]
    places = itertools.product(range(len(BUNDLES)), range(len(_files(BUNDLES[-1]))), range(6))
    return [bytes([bundle, file, 7, 0, 0, how, 50, 49]) for bundle, file, how in places]


MAPPING = b"""
[file]
encoding = "latin-1"
decimal = ","
thousands = "."
dates = ["%d.%m.%Y", "%m/%d/%Y"]
[people]
person = "SITE"
last_by = "MRN"
[[exclude]]
from = "SMOKE"
codes = ["3*"]
[keep]
y = { from = "DM_2Y", year = true }
[features.age_years]
from = "AGE"
age_at = 2024-06-30
[features.height_cm]
from = "HT_IN"
unit = "ft_in"
[features.systolic_mmhg]
from = "SBP"
part = 1
[features.energy_kcal]
from = ["WT_LB", "SBP"]
combine = "sum"
empty = 0
rows = "mean"
[features.diabetes_told]
from = ["FAMHX", "DM_2Y"]
combine = "any"
rows = "any"
levels = "boolean"
[features.smoking]
from = "SMOKE"
levels = { never = ["1", "n*"], former = [""], 2 = "current" }
[features.pregnant]
constant = "no"
"""
"""Every way of a mapping, of which little fits the example extract."""

COUNTED = (
    b'{"rows":9,"scored":8,"rejected":1,"rejected_by":{"out_of_range:age_years":1},"not_eligible":0,'
    b'"not_eligible_by":{},"outside_domain":1,"mean_risk":0.2,"risk_quantiles":{"0.1":0.1,"0.5":0.2,"0.9":null},'
    b'"expected_performance":{"cases":1.6,"auroc":0.7},"drift":[{"name":"age_years","people":7,"psi":0.3,'
    b'"psi_by_chance":0.1,"psi_limit":null,"ks":0.2,"ks_se":0.1,"missing":0.125,"missing_in_reference":0,"rows":8,'
    b'"counts":[3,4],"ordered":true}]}'
)
HISTORY = b"".join(
    b'{"format":1,"kind":"batch","batch":"night %s","time":"2026-11-01T01:00:00Z","model":"toy","sha256":"00",'
    b'"by":"site","synthetic":true,"whole":%s,"groups":{"north":%s,"":%s}}\n' % (night, COUNTED, COUNTED, COUNTED)
    for night in (b"1", b"2")
) + (
    b'{"format":1,"kind":"outcomes","batch":"night 1","time":"2026-12-01T01:00:00Z","model":"toy","sha256":"00",'
    b'"by":null,"whole":{"n":8,"cases":2,"metrics":{"auroc":[0.7,0.6,null],"observed_expected":[1,0.5,1.5]}},"groups":{}}'
)
"""Two batches by site, and outcomes of the first."""

TARGETS: dict[str, Target] = {
    "xpt": read_xpt,
    "csv": score_csv,
    "csv-ways": read_both_ways,
    "parquet": score_parquet,
    "json-lines": score_json_lines,
    "history": monitor_history,
    "toml": read_toml,
    "mapping": map_extract,
    "bundle": load_damaged_bundle,
    "trees": read_trees,
}

"""Tables as CSV, compressed or Parquet give the same rows."""

from __future__ import annotations

import gc
import gzip
import io
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pandas as pd
import pyarrow as pa
import pytest

from mgrisk.errors import MgRiskError
from mgrisk.features.registry import features
from mgrisk.score.csv.dialect import Dialect
from mgrisk.score.sources import ParquetSource, open_source

INPUTS = features(["age_years", "sex"])
TEXT = b"age_years,sex\n50,male\n430,female\n"


class Dripping(io.RawIOBase):
    """A pipe that gives a byte at a time."""

    def __init__(self, content: bytes) -> None:
        self._rest = io.BytesIO(content)

    def readable(self) -> bool:
        return True

    def readinto(self, into: Any) -> int:
        return self._rest.readinto(memoryview(into)[:1])


@pytest.mark.parametrize(
    "content",
    [
        TEXT,
        gzip.compress(TEXT[:20]) + gzip.compress(TEXT[20:]),
        bytes(pa.Codec("zstd").compress(TEXT[:20], asbytes=True) + pa.Codec("zstd").compress(TEXT[20:], asbytes=True)),
    ],
    ids=["plain", "gzip of two members", "zstd of two frames"],
)
def test_a_packed_file_is_told_by_its_bytes(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "people.csv").write_bytes(content)
    with open_source(str(tmp_path / "people.csv")) as source:
        (rows,) = [source.read(block, INPUTS) for block in source.blocks()]
    assert rows.checked.problems.tolist() == ["", "out_of_range:age_years"]


@pytest.mark.parametrize(
    "pack", [bytes, gzip.compress, lambda text: bytes(pa.Codec("zstd").compress(text, asbytes=True))]
)
@pytest.mark.parametrize("piped", [False, True])
def test_other_text_is_read_packed_or_not_from_a_file_or_a_pipe(
    pack: Callable[[bytes], bytes], piped: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    content = pack("Größe;sex\r\n172,5;männlich\r\n".encode("cp1252"))
    (tmp_path / "people.csv").write_bytes(content)
    monkeypatch.setattr("sys.stdin", SimpleNamespace(buffer=io.BufferedReader(Dripping(content))))
    with open_source("-" if piped else str(tmp_path / "people.csv"), dialect=Dialect("cp1252", ";")) as source:
        (rows,) = [source.read(block, ()) for block in source.blocks()]
    assert rows.texts(["Größe", "sex"]).to_numpy().tolist() == [["172,5", "männlich"]]


def test_a_file_of_other_text_that_is_left_early_is_closed_without_a_word(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "people.csv").write_bytes(b"a;b\n" + b"1;2\n" * 2_000_000)
    with open_source(str(tmp_path / "people.csv"), dialect=Dialect("cp1252", ";")) as source:
        next(source.blocks())
    del source
    gc.collect()
    assert capsys.readouterr() == ("", "")


def test_a_packed_file_that_is_cut_short_is_refused(tmp_path: Path) -> None:
    (tmp_path / "people.csv.gz").write_bytes(gzip.compress(TEXT)[:-9])
    with pytest.raises(MgRiskError) as caught, open_source(str(tmp_path / "people.csv.gz")) as source:
        list(source.blocks())
    assert caught.value.code == "input.cannot_read"


def test_parquet_is_read_in_blocks_with_its_types(tmp_path: Path) -> None:
    frame = pd.DataFrame({"age_years": [50, 430, 40], "sex": ["male", "female", None], "note": ["a", 'b,"', ""]})
    frame["group"] = frame["sex"].astype("category")
    frame.to_parquet(tmp_path / "people.parquet")
    source = ParquetSource(tmp_path / "people.parquet", rows=2)
    first, second = [source.read(block, INPUTS) for block in source.blocks()]
    assert source.columns == ["age_years", "sex", "note", "group"]
    assert first.checked.problems.tolist() == ["", "out_of_range:age_years"]
    assert second.checked.problems.tolist() == ["missing:sex"]
    assert first.original(1) == {"age_years": 430, "sex": "female", "note": 'b,"', "group": "female"}
    assert source.share_read() == 1.0


@pytest.mark.parametrize(("name", "code"), [("no.csv", "input.missing_file"), ("bad.parquet", "input.not_parquet")])
def test_inputs_that_cannot_be_read_are_refused(tmp_path: Path, name: str, code: str) -> None:
    (tmp_path / "bad.parquet").write_text("not parquet at all", encoding="utf-8")
    with pytest.raises(MgRiskError) as caught, open_source(str(tmp_path / name)):
        pass
    assert caught.value.code == code


def zstd(content: bytes) -> bytes:
    return bytes(pa.Codec("zstd").compress(content, asbytes=True))


@pytest.mark.parametrize("pack", [bytes, gzip.compress, zstd])
def test_a_packed_stream_is_told_by_its_bytes_however_they_drip(
    pack: Callable[[bytes], bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.stdin", SimpleNamespace(buffer=io.BufferedReader(Dripping(pack(TEXT)))))
    with open_source("-") as source:
        (rows,) = [source.read(block, INPUTS) for block in source.blocks()]
    assert rows.checked.problems.tolist() == ["", "out_of_range:age_years"]


def test_parquet_is_told_by_its_bytes_and_not_taken_from_a_stream(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pd.DataFrame({"age_years": [50], "sex": ["male"]}).to_parquet(tmp_path / "people.csv")
    with open_source(str(tmp_path / "people.csv")) as source:
        assert isinstance(source, ParquetSource)
    whole = (tmp_path / "people.csv").read_bytes()
    monkeypatch.setattr("sys.stdin", SimpleNamespace(buffer=io.BytesIO(whole)))
    with pytest.raises(MgRiskError, match="Parquet on standard input"), open_source("-"):
        pass


def test_a_folder_is_no_file(tmp_path: Path) -> None:
    with pytest.raises(MgRiskError) as caught, open_source(str(tmp_path)):
        pass
    assert caught.value.code == "input.folder"

"""Some 200 kinds of unusual or hostile tables, each with the expected result.

A kind is the name of its file, its bytes, and what is expected: for each row either the row that it must be read as
(age, sex, told of hypertension, BMI) or the code of its problem; or, for a file that is refused, the code of the error.
"""

from __future__ import annotations

import base64
import csv
import gzip
import io
import pickle
import struct
import zipfile
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

HEAD = "age_years,sex,hypertension_told,bmi_kg_m2"
PLAIN = "50,male,yes,25"
NO_TOLD = "50,male,,25"
NO_BMI = "50,male,yes,"
BARE = "50,male,,"


class Kind(NamedTuple):
    """A file and what becomes of it: rows or their codes, or the code of a refusal."""

    file: str
    content: bytes
    expected: list[str] | str


def kinds() -> dict[str, Kind]:
    """Return all kinds by their names."""
    found: dict[str, Kind] = {}
    for part in (words(), shapes(), refused_text(), other_formats(), parquet_types(), parquet_files()):
        for name, kind in part:
            assert name not in found, name
            found[name] = kind
    return found


def text(rows: str, *, head: str = HEAD) -> bytes:
    return f"{head}\n{rows}\n".encode()


def words() -> Iterator[tuple[str, Kind]]:
    """Words for missing, booleans and numbers, as statistical programs write them."""
    for word in ("NA", "n/a", "#N/A", "#N/A N/A", "<NA>", "NaN", "nan", "-1.#IND", "null", "NULL", "None", "\\N", ".",
                 "._", ".A", ".Z", ".a", ".z", " NA ", "\u00a0.\u00a0"):  # fmt: skip
        yield f"{word!r} for missing", Kind("people.csv", text(f"50,male,{word},{word}"), [BARE])
    for word, meant in {
        "true": "yes",
        "True": "yes",
        "TRUE": "yes",
        "false": "no",
        "False": "no",
        " FALSE ": "no",
    }.items():
        yield f"{word!r} for {meant}", Kind("people.csv", text(f"50,male,{word},25"), [f"50,male,{meant},25"])
    for word in ("T", "t", "1", "2", "y", "ja", "-", "?", ".AB", "..", "na"):
        kind = Kind("people.csv", text(f"50,male,{word},25"), ["unknown_level:hypertension_told"])
        yield f"{word!r} in a column of yes and no", kind
    for word in ("25.0", "+25", "2.5e1", " 25 ", "25.", "025", "\u00a025", "25.000000000000000000000000001", '"25"'):
        yield f"{word!r} for a number", Kind("people.csv", text(f"50,male,yes,{word}"), [PLAIN])
    for word in ('"1,234"', "25 kg", "0x19", "٢٥", "2_5", "½", "--25", "inf", "1e999", "true", ".AA", "25-30", "<25"):
        kind = Kind("people.csv", text(f"50,male,yes,{word}"), ["not_a_number:bmi_kg_m2"])
        yield f"{word!r} in a column of numbers", kind
    yield "-9 for missing, unnamed", Kind("people.csv", text("50,male,yes,-9"), ["out_of_range:bmi_kg_m2"])


def shapes() -> Iterator[tuple[str, Kind]]:
    """CSV in odd shapes that are read."""
    file = text(PLAIN)
    read = {
        "a plain file": file,
        "a byte order mark": b"\xef\xbb\xbf" + file,
        "two byte order marks": 2 * b"\xef\xbb\xbf" + file,
        "Windows line ends": file.replace(b"\n", b"\r\n"),
        "old Macintosh line ends": file.replace(b"\n", b"\r"),
        "no line end at the end": file.rstrip(),
        "blank lines": file.replace(b"\n", b"\n\n"),
        "Excel's sep=,": b"sep=,\r\n" + file,
        "Excel's sep=, in capitals, padded": b"SEP=,,,,\r\n" + file,
        "blanks in the header": file.replace(b",", b" , "),
        "everything quoted": b"\n".join(b",".join(b'"%s"' % cell for cell in row.split(b",")) for row in file.split()),
        "columns in another order": b"bmi_kg_m2,hypertension_told,sex,age_years\n25,yes,male,50\n",
        "row names of R": text(f'"1",{PLAIN}', head=f'"",{HEAD}'),
        "levels in capitals": text("50,MALE,YES,25"),
        "gzip": gzip.compress(file),
        "gzip of two members": gzip.compress(file[:20]) + gzip.compress(file[20:]),
        "gzip with zeros behind": gzip.compress(file) + bytes(9),
        "zstd": bytes(pa.Codec("zstd").compress(file, asbytes=True)),
        "a cell of 200,000 characters": text(f"{PLAIN},{'q' * 200_000}", head=f"{HEAD},note"),
        "a quoted cell of 5 MB": text(PLAIN + ',"' + "q,\n" * 1_700_000 + '"', head=f"{HEAD},note"),
        "a number of 150,000 digits": text(f"50,male,yes,{'0' * 150_000}25"),
        "2,000 columns": text(PLAIN + ",1" * 2000, head=HEAD + "".join(f",c{k}" for k in range(2000))),
        "a line end in a cell": text(f'{PLAIN},"a\nb"', head=f"{HEAD},note"),
        "a formula": text(f"{PLAIN},=1+1", head=f"{HEAD},note"),
        "a name that is no ASCII": text(f"{PLAIN},Žofie 陳 \U0001f600", head=f"{HEAD},navn_å"),
        "NUL in a cell": text(f"{PLAIN},a\0b", head=f"{HEAD},note"),
        "a heading that begins as another format's magic": text(f"PARENT,{PLAIN}", head=f"ORC,{HEAD}"),
    }
    for name, content in read.items():
        yield name, Kind("people.csv", content, [PLAIN])
    yield "no rows", Kind("people.csv", f"{HEAD}\n".encode(), [])
    yield "CSV under the name of text", Kind("people.txt", file, [PLAIN])
    yield (
        "short and long rows",
        Kind(
            "people.csv", file + b"50,male\n50,male,yes,25,7\n", [PLAIN, "wrong_field_count:2", "wrong_field_count:5"]
        ),
    )
    yield "the end sign of DOS", Kind("people.csv", file + b"\x1a", [PLAIN, "wrong_field_count:1"])
    yield "Excel's empty rows", Kind("people.csv", file + b",,,\n", [PLAIN, "missing:age_years;missing:sex"])
    yield (
        "two files in one",
        Kind(
            "people.csv",
            file + file,
            [
                PLAIN,
                "not_a_number:age_years;unknown_level:sex;unknown_level:hypertension_told;not_a_number:bmi_kg_m2",
                PLAIN,
            ],
        ),
    )
    yield (
        "a long cell in a rejected row",
        Kind("people.csv", text(f"abc,male,,,{'q' * 200_000}", head=f"{HEAD},note"), ["not_a_number:age_years"]),
    )


def refused_text() -> Iterator[tuple[str, Kind]]:
    """Texts that are no CSV with a header, each refused by name."""
    file, plain = text(PLAIN), text(PLAIN).decode()
    refused = {
        "input.empty": {
            "nothing": b"",
            "a byte order mark alone": b"\xef\xbb\xbf",
            "a blank first line": b"\n" + file,
            "gzip of nothing": gzip.compress(b""),
        },
        "input.title_row": {
            "a title": b"Patients 2024\n" + file,
            "a title and a blank line": b"Patients 2024\n\n" + file,
            "a title padded by Excel": b"Patients 2024,,,\n" + file,
            "several titles": b"Patients\nWard 7\n2024-01-01\n" + file,
        },
        "input.other_separator": {
            "semicolons": file.replace(b",", b";"),
            "tabs": file.replace(b",", b"\t"),
            "bars": file.replace(b",", b"|"),
            "Excel's sep=;": b"sep=;\n" + file.replace(b",", b";"),
            "Excel's sep= and a tab": b"sep=\t\n" + file.replace(b",", b"\t"),
        },
        "input.row_names": {
            "R's write.table": "\n".join([HEAD, *(f'"{k}",{PLAIN}' for k in range(1, 4))]).encode(),
        },
        "input.not_csv": {
            "a quote that nobody closed": file + b'"50,male\n',
            "UTF-16": plain.encode("utf-16"),
            "UTF-16, the other way round": b"\xfe\xff" + plain.encode("utf-16-be"),
            "UTF-16 without a mark": plain.encode("utf-16-le"),
            "UTF-16 the other way round without a mark": plain.encode("utf-16-be"),
            "UTF-32": plain.encode("utf-32"),
            "Latin-1 in a row": text("50,male,yes,25,J\xe4n", head=f"{HEAD},name").decode().encode("latin-1"),
            "Latin-1 in the header": text(f"{PLAIN},1", head=f"{HEAD},H\xf6he").decode().encode("latin-1"),
            "a surrogate": file + b"\xed\xa0\x80,male,yes,25\n",
            "random bytes": b"\x80" + np.random.default_rng(1).bytes(3000),
        },
        "input.duplicate_column": {
            "a heading twice": text(f"{PLAIN},male", head=f"{HEAD},sex"),
            "two headings that are empty": text(f"{PLAIN},,", head=f"{HEAD},,"),
        },
        "input.no_header": {
            "no header": text(PLAIN, head="61,female,no,31"),
        },
        "input.unclear_name": {"NUL in the header": file.replace(b"sex", b"se\0x")},
        "input.unknown_unit": {"a unit that nobody declared": text(f"{PLAIN},1", head=f"{HEAD},weight_oz")},
        "input.column_taken": {
            "a file that was scored": text(f"{PLAIN},0.1", head=f"{HEAD},risk"),
            "a file with reasons": text(f"{PLAIN},bmi_kg_m2", head=f"{HEAD},reason_1"),
        },
        "input.cannot_read": {
            "gzip cut short": gzip.compress(file)[:-3],
            "gzip with something else behind": gzip.compress(file) + b"50,male",
            "gzip with a wrong sum": gzip.compress(file)[:-8] + bytes(8),
            "zstd cut short": bytes(pa.Codec("zstd").compress(file * 99, asbytes=True))[:-4],
        },
    }
    for code, files in refused.items():
        for name, content in files.items():
            yield name, Kind("people.csv", content, code)


def other_formats() -> Iterator[tuple[str, Kind]]:
    """Files of other programs under the name of CSV."""
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as made:
        made.writestr("xl/workbook.xml", "<workbook/>")
    array, zeros = io.BytesIO(), bytes(40)
    np.save(array, np.arange(3))
    formats = {
        "xlsx": archive.getvalue(),
        "xlsx packed by gzip": gzip.compress(archive.getvalue()),
        "xls": bytes.fromhex("d0cf11e0a1b11ae1") + zeros,
        "xz": bytes.fromhex("fd377a585a000004") + zeros,
        "bzip2": b"BZh91AY&SY" + zeros,
        "lz4": bytes.fromhex("04224d18") + zeros,
        "7-Zip": bytes.fromhex("377abcaf271c0004") + zeros,
        "tar": b"people.csv".ljust(257, b"\0") + b"ustar\x0000" + zeros,
        "an encrypted Parquet file": b"PARE" + zeros + b"PARE",
        "Parquet packed by gzip": gzip.compress(parquet(pa.table({"a": [1]}))),
        "Feather": b"ARROW1\0\0" + zeros,
        "ORC": b"ORC\x0a\x03\x00" + zeros,
        "Avro": b"Obj\x01" + zeros,
        "HDF5": b"\x89HDF\r\n\x1a\n" + zeros,
        "SQLite": b"SQLite format 3\0" + zeros,
        "sas7bdat": bytes(12) + bytes.fromhex("c2ea8160b31411cfbd92080009c7318c181f1011") + zeros,
        "XPT": b"HEADER RECORD*******LIBRARY HEADER RECORD!!!!!!!" + b"0" * 30,
        "Stata": b"<stata_dta><header><release>118</release><K>\x04\x00</K>",
        "Stata of old": bytes([0x72, 2, 1, 0]) + zeros,
        "SPSS": b"$FL2@(#) SPSS DATA FILE" + zeros,
        "RDS": gzip.compress(b"X\n\x00\x00\x00\x03" + zeros),
        "RData": gzip.compress(b"RDX3\nX\n\x00\x00\x00\x03" + zeros),
        "a pickle": pickle.dumps({"a": 1}, protocol=4),
        "numpy": array.getvalue(),
        "PDF": b"%PDF-1.7\n1 0 obj",
        "PNG": b"\x89PNG\r\n\x1a\n" + zeros,
        "JPEG": b"\xff\xd8\xff\xe0\x00" + zeros,
        "PostgreSQL": b"PGDMP\x01\x0e\x00" + zeros,
        "HTML": b"\n<!DOCTYPE html>\n<html><body>404</body></html>",
        "a spreadsheet as HTML": b"<table><tr><td>age_years</td></tr></table>",
        "XML": b"<?xml version='1.0'?><people/>",
        "JSON records": b'[\n  {"age_years": 50, "sex": "male"}]',
    }
    for name, content in formats.items():
        yield name, Kind("people.csv", content, "input.other_format")
    plain = b'"sex": "male", "hypertension_told": "yes", "bmi_kg_m2": 25}\n'
    yield (
        "JSON lines",
        Kind("people.csv", b'{"age_years": 50, ' + plain + b'{"age_years": 50.0, ' + plain, [PLAIN, PLAIN]),
    )
    yield "JSON with a list", Kind("people.csv", b'{"age_years": [50], ' + plain, ["not_a_number:age_years"])


def parquet(table: pa.Table, **options: Any) -> bytes:
    sink = io.BytesIO()
    pq.write_table(table, sink, **options)
    return sink.getvalue()


def people(**columns: Any) -> pa.Table:
    """Two people in columns of Arrow; those given take the place of the plain ones or stand behind them."""
    plain = {
        "age_years": pa.array([50, 50]),
        "sex": pa.array(["male", "male"]),
        "hypertension_told": pa.array(["yes", "yes"]),
        "bmi_kg_m2": pa.array([25.0, 25.0]),
    }
    return pa.table({**plain, **columns})


def parquet_types() -> Iterator[tuple[str, Kind]]:
    """Columns of every type: inputs of the model and others, with and without a missing value."""
    both = {
        **{f"age as {kind}": {"age_years": pa.array([50, 50], kind)} for kind in (
            pa.int8(), pa.uint8(), pa.int16(), pa.uint32(), pa.uint64(), pa.float16(), pa.float32(),
            pa.decimal128(38, 10), pa.decimal256(60, 3), pa.string(), pa.large_string(), pa.string_view(),
        ) if kind not in (pa.string(), pa.large_string(), pa.string_view())},
        **{f"age as text of {kind}": {"age_years": pa.array(["50", " 50.0"], kind)} for kind in (
            pa.string(), pa.large_string(), pa.string_view(), pa.binary(), pa.large_binary(), pa.binary_view(),
        )},
        "age as fixed binary": {"age_years": pa.array([b"50", b"50"], pa.binary(2))},
        "age as a category": {"age_years": pa.array([50, 50]).dictionary_encode()},
        "sex as a category": {"sex": pa.array(["male", "MALE"]).dictionary_encode()},
        "sex as binary": {"sex": pa.array([b"male", b"male"])},
        "a boolean": {"hypertension_told": pa.array([True, True])},
        "a category of booleans": {"hypertension_told": pa.array(["TRUE", "true"]).dictionary_encode()},
    }  # fmt: skip
    for name, columns in both.items():
        yield f"Parquet: {name}", Kind("people.parquet", parquet(people(**columns)), [PLAIN, PLAIN])
    second = {
        "a boolean with a gap": ({"hypertension_told": pa.array([True, None])}, NO_TOLD),
        "booleans": ({"hypertension_told": pa.array([True, False])}, "50,male,no,25"),
        "a number with a gap": ({"bmi_kg_m2": pa.array([25, None])}, NO_BMI),
        "NaN": ({"bmi_kg_m2": pa.array([25.0, float("nan")])}, NO_BMI),
        "infinity": ({"bmi_kg_m2": pa.array([25.0, float("inf")])}, "not_a_number:bmi_kg_m2"),
        "SAS's missing values in text": ({"bmi_kg_m2": pa.array(["25", ".A"])}, NO_BMI),
        "a category with a gap": ({"hypertension_told": pa.array(["yes", None]).dictionary_encode()}, NO_TOLD),
        "a column of nothing": ({"hypertension_told": pa.array(["yes", None]), "x": pa.nulls(2)}, NO_TOLD),
        "a required value that is missing": ({"age_years": pa.array([50, None])}, "missing:age_years"),
        "a boolean for a number": ({"bmi_kg_m2": pa.array(["25", "True"])}, "not_a_number:bmi_kg_m2"),
        "a list for a number": ({"bmi_kg_m2": pa.array([None, [1]])}, "not_a_number:bmi_kg_m2"),
        "bytes for a level": ({"sex": pa.array([b"male", b"\xff"])}, "unknown_level:sex"),
    }
    for name, (columns, expected) in second.items():
        first = NO_BMI if name == "a list for a number" else PLAIN
        yield f"Parquet: {name}", Kind("people.parquet", parquet(people(**columns)), [first, expected])
    others = {
        "whole numbers with a gap": pa.array([2**53 + 1, None]),
        "numbers of 64 bits": pa.array([2**64 - 1, None], pa.uint64()),
        "numbers of 38 digits": pa.array([Decimal(10**37 + 1), None], pa.decimal128(38, 0)),
        "leading zeros": pa.array(["007", "0070"]),
        "a list": pa.array([[1, 2], None]),
        "a record": pa.array([{"a": 1, "b": ["x"]}, None]),
        "a map": pa.array([[("a", 1)], None], pa.map_(pa.string(), pa.int64())),
        "times": pa.array([datetime(2020, 1, 1), None]),
        "times with a zone": pa.array([datetime(2020, 1, 1, tzinfo=UTC), None]),
        "nanoseconds": pa.array([1, None], pa.time64("ns")),
        "a date after the year 9999": pa.array([2**30, None], pa.date32()),
        "durations": pa.array([timedelta(1), None]),
        "bytes that are no text": pa.array([b"\x00\xff", None]),
        "UUID": pa.array([b"0123456789abcdef", None], pa.uuid()),
        "a text of 200,000 characters": pa.array(["q" * 200_000, ""]),
        "line ends and formulas": pa.array(["a\r\nb", "=1+1"]),
    }
    for name, column in others.items():
        yield f"Parquet: {name}", Kind("people.parquet", parquet(people(person_id=column)), [PLAIN, PLAIN])


def parquet_files() -> Iterator[tuple[str, Kind]]:
    """Parquet under other names, in folders with keys, damaged, and what only looks like it."""
    whole, two = parquet(people()), [PLAIN, PLAIN]
    for file in ("people.pq", "people.PARQUET", "people.csv", "people", "people.snappy.parquet"):
        yield f"Parquet called {file}", Kind(file, whole, two)
    without = people().drop_columns(["sex"])
    yield "Parquet: a key of its folder", Kind("sex=male/people.parquet", parquet(without), two)
    yield (
        "Parquet: two keys of its folders",
        Kind("site=St.%20Mary/sex=male/year=__HIVE_DEFAULT_PARTITION__/people.parquet", parquet(without), two),
    )
    yield "Parquet: a key that is a column too", Kind("sex=male/people.parquet", whole, "input.duplicate_column")
    yield "Parquet: no rows", Kind("people.parquet", parquet(people().slice(0, 0)), [])
    yield "Parquet: no columns", Kind("people.parquet", parquet(pa.table({})), "input.missing_column")
    sink = io.BytesIO()
    people().to_pandas().set_index("sex").to_parquet(sink)
    yield "Parquet: an index of pandas", Kind("people.parquet", sink.getvalue(), two)
    groups = parquet(pa.concat_tables([people()] * 3), row_group_size=1)
    for name, noted in (("no JSON", b"{"), ("an index that is not there", b'{"index_columns": ["a"], "columns": []}')):
        table = people().replace_schema_metadata({"pandas": noted})
        yield f"Parquet: of pandas {name}", Kind("people.parquet", parquet(table), two)
    yield "Parquet: a row group for each row", Kind("people.parquet", groups, two * 3)
    twice = pa.Table.from_arrays([*people().columns, pa.array(["male"] * 2)], [*people().column_names, "sex"])
    yield "Parquet: a heading twice", Kind("people.parquet", parquet(twice), "input.duplicate_column")

    wide = parquet(people(person_id=pa.array([1, None], pa.int64())))
    begin = wide.index(b"ARROW:schema")
    shown = wide[wide.index(b"/////", begin) :].split(b"\x00")[0].split(b"\x18")[0]
    bits = base64.b64decode(shown[: len(shown) // 4 * 4])
    wider = base64.b64encode(bits.replace(struct.pack("<i", 64), struct.pack("<i", 128)))
    yield (
        "Parquet: whole numbers of 128 bits, as polars writes them",
        Kind("people.parquet", wide.replace(shown[: len(wider)], wider), "input.not_parquet"),
    )
    latin = pa.Array.from_buffers(
        pa.string(), 2, [None, pa.py_buffer(struct.pack("<3i", 0, 3, 6)), pa.py_buffer(b"J\xe4nAnn")]
    )
    plain_pages = {"use_dictionary": False, "compression": "none"}
    yield (
        "Parquet: a text in Latin-1",
        Kind("people.parquet", parquet(people(note=latin), **plain_pages), "input.not_parquet"),
    )
    damaged = {
        "nothing": b"",
        "the magic alone": b"PAR1",
        "the magic twice": b"PAR1PAR1",
        "CSV under its name": text(PLAIN),
        "gzip of it under its name": gzip.compress(whole),
        "cut in half": whole[: len(whole) // 2],
        "its last byte gone": whole[:-1],
        "its first half zero": b"PAR1" + bytes(len(whole) // 2) + whole[len(whole) // 2 + 4 :],
        "a footer of rubbish": whole[:-60] + b"\xff" * 52 + whole[-8:],
        "a footer longer than the file": whole[:-8] + struct.pack("<i", 2**30) + b"PAR1",
        "a footer of negative length": whole[:-8] + struct.pack("<i", -1) + b"PAR1",
        "encrypted": b"PARE" + whole[4:-4] + b"PARE",
        "encrypted by its end": whole[:-4] + b"PARE",
    }
    for name, content in damaged.items():
        yield f"Parquet: {name}", Kind("people.parquet", content, "input.not_parquet")
    checked = parquet(people(), write_page_checksum=True, **plain_pages)
    damaged_page = checked.replace(b"\4\0\0\0male", b"\4\0\0\0mail", 1)
    yield "Parquet: a page that is not what its sum says", Kind("people.parquet", damaged_page, "input.not_parquet")


def read_back(scored: bytes) -> list[dict[str, str]]:
    """Return the rows of a scored file."""
    return list(csv.DictReader(io.StringIO(scored.decode(), newline="")))


def canonical(rows: list[str]) -> pd.DataFrame:
    """Return rows of the plain shape as a frame."""
    return pd.DataFrame([row.split(",") for row in rows], columns=HEAD.split(","), dtype=str)

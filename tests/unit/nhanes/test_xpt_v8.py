from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyreadstat
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mgrisk.errors import MgRiskError
from mgrisk.nhanes import xpt
from mgrisk.nhanes.xpt_layout import V8, card

LONG = "MAGNESIUM_FROM_FOOD_AND_DRINKS_1"
FRAME = pd.DataFrame(
    {
        "SEQN": [1.0, 2.0, np.nan, 0.0],
        LONG: [0.1, -1e60, 5e-70, 300.0],
        "FOOD": pd.Series(["a", "", "c" * 300, "café"], dtype="str"),
    }
)


def version_8(path: Path, frame: pd.DataFrame = FRAME, **how: Any) -> Path:
    pyreadstat.write_xport(frame, path, file_format_version=8, table_name="A_TABLE_OF_A_LONG_NAME", **how)
    return path


def refusal(path: Path) -> MgRiskError:
    with pytest.raises(MgRiskError) as refused:
        xpt.read(path)
    with pytest.raises(MgRiskError) as refused_header:
        xpt.header(path)
    assert refused_header.value.lines() == refused.value.lines()
    return refused.value


def changed(path: Path, old: bytes, new: bytes) -> Path:
    content = path.read_bytes()
    assert content.count(old) == 1
    path.write_bytes(content.replace(old, new))
    return path


# --- as pyreadstat writes it ------------------------------------------------------------------------------


def test_values_and_long_names_and_texts_are_read(tmp_path: Path) -> None:
    assert xpt.read(version_8(tmp_path / "T.xpt")).equals(FRAME)
    assert xpt.read(tmp_path / "T.xpt", columns=["FOOD", LONG]).equals(FRAME[["FOOD", LONG]])
    assert xpt.read_tags(tmp_path / "T.xpt")["SEQN"].tolist() == ["", "", ".", ""]


def test_the_header_tells_version_names_and_rows(tmp_path: Path) -> None:
    head = xpt.header(version_8(tmp_path / "T.xpt", file_label="Made up"))
    assert (head.version, head.table, head.label, head.n_rows) == (8, "A_TABLE_OF_A_LONG_NAME", "Made up", 4)
    assert [(each.name, each.kind) for each in head.variables] == [
        ("SEQN", "number"),
        (LONG, "number"),
        ("FOOD", "text"),
    ]


@pytest.mark.parametrize(
    "labels", [["", "x" * 80, "short"], ["a" * 41, "b" * 255, "µ" * 60], ["", "", ""], ["x" * 40, "y" * 41, ""]]
)
def test_labels_of_any_length_are_read(tmp_path: Path, labels: list[str]) -> None:
    path = version_8(tmp_path / "T.xpt", column_labels=labels)
    assert [each.label for each in xpt.header(path).variables] == labels
    assert xpt.read(path).equals(FRAME)


numbers = st.floats(min_value=1e-70, max_value=1e70) | st.just(0.0) | st.just(float("nan"))


@given(rows=st.lists(st.tuples(numbers, st.text("abc xyz", max_size=9).map(str.rstrip)), min_size=1, max_size=30))
def test_what_pyreadstat_writes_in_either_version_is_read_alike(
    tmp_path_factory: pytest.TempPathFactory, rows: list[tuple[float, str]]
) -> None:
    folder = tmp_path_factory.mktemp("both")
    frame = pd.DataFrame(rows, columns=["X", "NAME"]).astype({"X": float, "NAME": "str"})
    frame.loc[len(frame)] = [1.0, "z"]  # version 5 cannot tell blanks at the end from padding
    version_8(folder / "8.xpt", frame)
    pyreadstat.write_xport(frame, folder / "5.xpt", file_format_version=5, table_name="T")
    assert xpt.read(folder / "8.xpt").equals(frame)
    assert xpt.read(folder / "5.xpt").equals(frame)


@pytest.mark.parametrize("n_rows", [1, 2, 3, 9, 10, 11])
def test_rows_that_are_all_blank_are_rows_because_they_are_counted(tmp_path: Path, n_rows: int) -> None:
    frame = pd.DataFrame({"CODE": pd.Series(["a", *[""] * n_rows], dtype="str")})
    assert xpt.read(version_8(tmp_path / "T.xpt", frame)).equals(frame)


# --- as the macro loc2xpt of SAS writes it (bytes made by hand after its source) --------------------------


def test_labels_and_formats_of_section_labelv9_are_read(tmp_path: Path) -> None:
    path = version_8(tmp_path / "T.xpt")
    names = (b"SEQN", b"Respondent sequence number of the participant", b"A_FORMAT_LONGER_THAN_8.")
    numbers = b"".join(number.to_bytes(2, "big") for number in (1, *map(len, names), 0))
    body = numbers + b"".join(names)
    section = card("LABELV9", numbers="1") + body + b" " * (-len(body) % 80)
    observations = card(V8.observations)[:48]
    changed(path, observations, section + observations)
    first = xpt.header(path).variables[0]
    assert (first.label, first.format) == (names[1].decode(), names[2].decode())
    assert xpt.read(path).equals(FRAME)


def test_without_a_count_the_rows_follow_from_the_length_of_the_file(tmp_path: Path) -> None:
    path = version_8(tmp_path / "T.xpt")
    changed(path, card(V8.observations)[:48] + b"              4", card(V8.observations)[:48] + b"0" * 15)
    assert xpt.header(path).n_rows == 4
    assert xpt.read(path).equals(FRAME)


def test_a_count_of_none_is_none(tmp_path: Path) -> None:
    path = version_8(tmp_path / "T.xpt")
    observations = card(V8.observations)[:48]
    content = changed(path, observations + b"              4", observations + b"              0").read_bytes()
    path.write_bytes(content[: content.index(observations) + 80])
    assert xpt.read(path).shape == (0, 3)


def test_a_count_of_none_before_records_is_refused(tmp_path: Path) -> None:
    observations = card(V8.observations)[:48]
    changed(version_8(tmp_path / "T.xpt"), observations + b"              4", observations + b"              0")
    assert "behind record 0" in str(refusal(tmp_path / "T.xpt").got)


# --- refusals ---------------------------------------------------------------------------------------------


def test_a_file_cut_anywhere_is_truncated_even_behind_a_record(tmp_path: Path) -> None:
    frame = pd.DataFrame({"X": np.arange(1.0, 41.0)})  # a record ends at the end of each card
    path = version_8(tmp_path / "T.xpt", frame, column_labels=["y" * 60])
    whole = path.read_bytes()
    for length in range(1, len(whole), 20):
        path.write_bytes(whole[:length])
        assert refusal(path).code == "xpt.truncated", length


def test_a_count_that_is_too_small_or_no_number_is_refused(tmp_path: Path) -> None:
    observations = card(V8.observations)[:48]
    path = version_8(tmp_path / "T.xpt")
    changed(path, observations + b"              4", observations + b"              3")
    assert "behind record 3, the last" in str(refusal(path).got)
    changed(path, observations + b"              3", observations + b"          three")
    assert refusal(path).code == "xpt.not_xport"


@pytest.mark.parametrize("counted", [True, False])
def test_a_second_data_set_is_refused(tmp_path: Path, counted: bool) -> None:
    path = version_8(tmp_path / "T.xpt", FRAME[["SEQN"]])
    if not counted:
        changed(path, card(V8.observations)[:48] + b"              4", card(V8.observations)[:48] + b"0" * 15)
    content = path.read_bytes()
    path.write_bytes(content + content[3 * 80 :])
    assert refusal(path).code == "xpt.several_tables"


@pytest.mark.parametrize(("old", "new"), [(b"!1    ", b"!one  "), (b"\0\x02\0\x20\0\x50MAG", b"\0\x09\0\x20\0\x50MAG")])
def test_a_section_of_labels_that_contradicts_itself_is_refused(tmp_path: Path, old: bytes, new: bytes) -> None:
    path = version_8(tmp_path / "T.xpt", column_labels=["", "x" * 80, ""])
    changed(path, old, new)
    assert refusal(path).code == "xpt.not_xport"

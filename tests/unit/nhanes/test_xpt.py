from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import pandas as pd
import pyreadstat
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mgrisk.errors import ExitStatus, MgRiskError
from mgrisk.nhanes import ibm_float, xpt
from mgrisk.nhanes.xpt import V8, card

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


def test_fields_lie_in_the_order_of_the_namestrs_whatever_position_a_namestr_tells(tmp_path: Path) -> None:
    frame = pd.DataFrame({"SEQN": [1.0, 2.0], "FOOD": pd.Series(["north", "east"], dtype="str"), "LBXGH": [5.4, 6.6]})
    path = version_8(tmp_path / "T.xpt", frame)
    content = bytearray(path.read_bytes())
    # As SAS's own data set has them: the numbers first.
    for number, position in enumerate([0, 16, 8]):
        at = 8 * 80 + 140 * number + 84
        content[at : at + 4] = position.to_bytes(4, "big")
    assert bytes(content) != path.read_bytes()
    path.write_bytes(content)
    assert xpt.read(path).equals(frame)
    assert xpt.read(path, columns=["LBXGH", "FOOD"]).equals(frame[["LBXGH", "FOOD"]])
    assert [each.position for each in xpt.header(path).variables] == [0, 8, 13]
    assert pyreadstat.read_xport(path)[0].equals(frame)


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


@pytest.mark.parametrize("record_length", [8, 16, 81])
def test_padding_of_more_than_a_card_is_refused(tmp_path: Path, record_length: int) -> None:
    frame = pd.DataFrame({f"X{at}": [1.5, 2.5] for at in range(min(record_length // 8, 9))})
    if record_length > 72:
        frame["TEXT"] = pd.Series(["x" * (record_length - 72), ""], dtype="str")
    path = written(frame, tmp_path)
    whole = path.read_bytes()
    for cards in (1, 2, 7):
        path.write_bytes(whole + b" " * 80 * cards)
        with pytest.raises(MgRiskError) as refused:
            xpt.read(path)
        assert refused.value.code in {"xpt.not_xport", "xpt.truncated"}


def test_padding_that_is_not_blank_is_refused(tmp_path: Path) -> None:
    frame = pd.DataFrame({"X": [1.5, 2.5], "TEXT": pd.Series(["x" * 20, "y"], dtype="str")})
    for path in (written(frame, tmp_path), version_8(tmp_path / "T.xpt", frame)):
        content = path.read_bytes()
        assert content.endswith(b" " * 20)
        path.write_bytes(content[:-1] + b"\0")
        assert refusal(path).code in {"xpt.not_xport", "xpt.truncated"}


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


# What an IBM float of 8 bytes holds: zero, and every double from 16**-65 up to below 16**63 and its negative.
# Not: infinities, smaller and larger magnitudes, the sign of zero, the payload of a NaN.
LARGEST = float(np.nextafter(ibm_float.TOO_LARGE, 0))
sizes = st.floats(min_value=ibm_float.SMALLEST, max_value=LARGEST, width=64)
numbers_xpt = sizes | sizes.map(lambda size: -size) | st.just(0.0) | st.just(float("nan"))
# A text without what its padding hides: blanks and NULs at its end.
texts = st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=40).map(lambda text: text.rstrip(" "))


@pytest.fixture(scope="module")
def folder() -> Iterator[Path]:
    with TemporaryDirectory() as name:
        yield Path(name)


def written(frame: pd.DataFrame, folder: Path) -> Path:
    xpt.write(frame, folder / "TABLE.xpt", table="TABLE")
    return folder / "TABLE.xpt"


def bits(values: pd.Series[float]) -> list[object]:
    # A NaN is one value, whatever its bits.
    return [None if np.isnan(value) else np.float64(value).tobytes() for value in values]


def people(n_rows: int) -> pd.DataFrame:
    ids = np.arange(n_rows, dtype=float) + 93_703
    return pd.DataFrame({"SEQN": ids, "AGE": np.arange(n_rows) % 80, "MG_MG": np.sqrt(ids)})


def refusal_xpt(path: Path) -> MgRiskError:
    with pytest.raises(MgRiskError) as refused:
        xpt.read(path)
    with pytest.raises(MgRiskError) as refused_header:
        xpt.header(path)
    assert refused_header.value.lines() == refused.value.lines()
    assert refused.value.status is ExitStatus.SOURCE
    assert refused.value.where == str(path)
    return refused.value


# --- numbers and texts come back --------------------------------------------------------------------------


@given(st.lists(st.tuples(numbers_xpt, numbers_xpt), max_size=30))
def test_numbers_come_back_bit_for_bit(folder: Path, rows: list[tuple[float, float]]) -> None:
    frame = pd.DataFrame(rows, columns=["A", "B"], dtype=float)
    back = xpt.read(written(frame, folder))
    assert list(back) == ["A", "B"]
    assert bits(back["A"]) == bits(frame["A"])
    assert bits(back["B"]) == bits(frame["B"])


@given(st.lists(st.tuples(texts, numbers_xpt, texts), max_size=20))
def test_texts_between_numbers_come_back(folder: Path, rows: list[tuple[str, float, str]]) -> None:
    frame = pd.DataFrame(rows, columns=["NAME", "X", "CODE"]).astype({"X": float})
    back = xpt.read(written(frame, folder))
    assert back["NAME"].tolist() == frame["NAME"].tolist()
    assert back["CODE"].tolist() == frame["CODE"].tolist()
    assert bits(back["X"]) == bits(frame["X"])


@given(st.lists(texts, max_size=30))
def test_texts_alone_come_back_even_where_the_last_are_blank(folder: Path, column: list[str]) -> None:
    frame = pd.DataFrame({"NAME": pd.Series(column, dtype="str")})
    back = xpt.read(written(frame, folder))
    assert back["NAME"].tolist() == column


@given(st.lists(st.tuples(numbers_xpt, texts), max_size=20))
def test_pyreadstat_reads_what_is_written(folder: Path, rows: list[tuple[float, str]]) -> None:
    frame = pd.DataFrame(rows, columns=["X", "NAME"]).astype({"X": float, "NAME": "str"})
    theirs, about = pyreadstat.read_xport(written(frame, folder))
    assert about.table_name == "TABLE"
    assert len(theirs) == len(frame)
    if len(frame):  # a column without rows has no type for pyreadstat
        assert bits(theirs["X"].astype(float)) == bits(frame["X"])
        assert theirs["NAME"].tolist() == frame["NAME"].tolist()


def test_zero_minutes_is_read_as_exact_zero(tmp_path: Path) -> None:
    back = xpt.read(written(pd.DataFrame({"PAD615": [0.0, 30.0]}), tmp_path))
    assert back["PAD615"].tolist() == [0.0, 30.0]


def test_negative_zero_is_written_as_the_true_zero(tmp_path: Path) -> None:
    path = written(pd.DataFrame({"X": [-0.0]}), tmp_path)
    assert path.read_bytes()[-80:] == b"\0" * 8 + b" " * 72
    assert np.signbit(ibm_float.decode(np.array([1 << 63], dtype=np.uint64))).tolist() == [False]


def test_every_special_missing_value_is_nan_and_its_look_alike_is_not(tmp_path: Path) -> None:
    tags = [ord(tag) for tag in "._ABCDEFGHIJKLMNOPQRSTUVWXYZ"]
    words = [tag << 56 for tag in tags] + [(tag << 56) + 1 for tag in tags]
    values = ibm_float.decode(np.array(words, dtype=np.uint64))
    assert np.isnan(values[: len(tags)]).all()
    assert (values[len(tags) :] > 0).all()


def test_a_fraction_of_56_bits_is_rounded_to_the_nearest_double() -> None:
    # 16**14 units and one more: the last three bits do not fit into a double.
    words = np.array([0x4E80000000000001, 0x4E80000000000005, 0x4E8000000000000C], dtype=np.uint64)
    assert ibm_float.decode(words).tolist() == [2.0**55, 2.0**55 + 8, 2.0**55 + 16]


def test_known_words_of_the_sas_document_are_read_and_written() -> None:
    # TS-140 and IBM's own example: 1, -1, 100 and -118.625.
    words = [0x4110000000000000, 0xC110000000000000, 0x4264000000000000, 0xC276A00000000000]
    values = [1.0, -1.0, 100.0, -118.625]
    assert ibm_float.decode(np.array(words, dtype=np.uint64)).tolist() == values
    assert ibm_float.encode(np.array(values)).tolist() == words


@pytest.mark.parametrize("length", [2, 3, 4, 5, 6, 7, 8])
def test_numbers_of_fewer_bytes_are_read(tmp_path: Path, length: int) -> None:
    path = written(pd.DataFrame({"X": [1.0, -118.625, 0.0, np.nan] * 5}), tmp_path)
    content = bytearray(path.read_bytes())
    content[8 * 80 + 4 : 8 * 80 + 6] = length.to_bytes(2, "big")
    start = 8 * 80 + 160 + 80
    records = b"".join(bytes(content[start + 8 * row : start + 8 * row + length]) for row in range(20))
    path.write_bytes(bytes(content[:start]) + records + b" " * (-len(records) % 80))
    third = -118.625 if length >= 3 else -118.0
    assert bits(xpt.read(path)["X"]) == bits(pd.Series([1.0, third, 0.0, np.nan] * 5))


def test_an_empty_table_keeps_its_columns(tmp_path: Path) -> None:
    frame = pd.DataFrame({"SEQN": pd.Series(dtype=float), "NAME": pd.Series(dtype="str")})
    back = xpt.read(written(frame, tmp_path))
    assert list(back) == ["SEQN", "NAME"]
    assert len(back) == 0
    assert back["SEQN"].dtype == np.float64


def test_one_row_is_one_row(tmp_path: Path) -> None:
    assert xpt.read(written(people(1), tmp_path)).equals(people(1).astype(float))


def test_integers_booleans_nullables_and_categories_are_written(tmp_path: Path) -> None:
    frame = pd.DataFrame(
        {
            "I": [1, 2],
            "B": [True, False],
            "N": pd.array([7, None], dtype="Int64"),
            "C": pd.Categorical(["yes", None]),
            "O": pd.Series(["no", None], dtype=object),
        }
    )
    back = xpt.read(written(frame, tmp_path))
    assert back["I"].tolist() == [1.0, 2.0]
    assert back["B"].tolist() == [1.0, 0.0]
    assert bits(back["N"]) == bits(pd.Series([7.0, np.nan]))
    assert back["C"].tolist() == ["yes", ""]
    assert back["O"].tolist() == ["no", ""]


def test_text_of_sas_on_windows_is_decoded(tmp_path: Path) -> None:
    path = written(pd.DataFrame({"FOOD": ["cafe au lait"]}), tmp_path)
    path.write_bytes(path.read_bytes().replace(b"cafe au", b"caf\xe9 au"))
    assert xpt.read(path)["FOOD"].tolist() == ["café au lait"]


# --- projection and header --------------------------------------------------------------------------------


@given(st.lists(st.sampled_from(["A", "T", "B", "C", "U"]), unique=True, min_size=1))
def test_a_projection_equals_the_columns_of_the_whole(folder: Path, columns: list[str]) -> None:
    frame = pd.DataFrame({"A": [1.5, 2], "T": ["x", ""], "B": [0.0, -3], "C": [9.0, 8], "U": ["", "zz"]})
    path = written(frame, folder)
    pd.testing.assert_frame_equal(xpt.read(path, columns=columns), xpt.read(path)[columns])


@pytest.mark.parametrize(("values", "size"), [(1, 24), (7, 100), (64, 1 << 20), (1 << 20, 50)])
def test_the_size_of_blocks_does_not_change_what_is_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, values: int, size: int
) -> None:
    frame = people(103).astype(float).assign(NAME=pd.Series([f"n{at}" for at in range(103)], dtype="str"))
    path = written(frame, tmp_path)
    monkeypatch.setattr(xpt, "_VALUES_AT_ONCE", values)
    monkeypatch.setattr(xpt, "_BYTES_AT_ONCE", size)
    assert xpt.read(path).equals(frame)
    assert xpt.read(path, columns=["NAME", "MG_MG"]).equals(frame[["NAME", "MG_MG"]])
    assert (xpt.read_tags(path) == "").all(axis=None)


# --- tags of missing values -------------------------------------------------------------------------------


def with_words(frame: pd.DataFrame, path: Path, words: list[int]) -> Path:
    """Write a table and put other words in place of the values of its first column, as SAS would."""
    xpt.write(frame, path, table="TABLE")
    content, head = bytearray(path.read_bytes()), xpt.header(path)
    for row, word in enumerate(words):
        at = head.data_start + row * head.record_length
        content[at : at + 8] = word.to_bytes(8, "big")
    path.write_bytes(content)
    return path


def test_every_tag_is_told_and_is_nan_for_us_and_for_pyreadstat(tmp_path: Path) -> None:
    tags = list("._ABCDEFGHIJKLMNOPQRSTUVWXYZ")
    frame = pd.DataFrame({"X": 1.0, "Y": np.arange(30.0), "T": "text"}, index=range(30))
    path = with_words(frame, tmp_path / "T.xpt", [ord(tag) << 56 for tag in tags])
    told = xpt.read_tags(path)
    assert told["X"].tolist() == [*tags, "", ""]
    assert (told[["Y", "T"]] == "").all(axis=None)
    assert list(told) == list(frame)
    values, theirs = xpt.read(path)["X"], pyreadstat.read_xport(path)[0]["X"]
    assert values.isna().tolist() == theirs.isna().tolist() == [True] * 28 + [False] * 2


def test_a_number_that_starts_like_a_tag_has_none(tmp_path: Path) -> None:
    path = with_words(pd.DataFrame({"X": [1.0] * 4}), tmp_path / "T.xpt", [(0x41 << 56) + 1, 0x41 << 56, 0, 1 << 63])
    assert xpt.read_tags(path)["X"].tolist() == ["", "A", "", ""]
    assert np.isnan(xpt.read(path)["X"]).tolist() == [False, True, False, False]


def test_tags_of_some_columns_are_those_of_all(tmp_path: Path) -> None:
    frame = pd.DataFrame({"A": [1.0, np.nan], "T": ["x", ""], "B": [np.nan, 2.0]})
    path = written(frame, tmp_path)
    for columns in (["B", "A"], ["T"], ["B", "T"]):
        assert xpt.read_tags(path, columns=columns).equals(xpt.read_tags(path)[columns])
    assert xpt.read_tags(path)["B"].tolist() == [".", ""]
    with pytest.raises(MgRiskError, match="no column C"):
        xpt.read_tags(path, columns=["C"])


def test_tags_of_an_empty_table_are_none(tmp_path: Path) -> None:
    told = xpt.read_tags(written(pd.DataFrame({"SEQN": pd.Series(dtype=float)}), tmp_path))
    assert told.shape == (0, 1)


# --- more of the header -----------------------------------------------------------------------------------


def test_an_unknown_column_is_refused_with_those_like_it(tmp_path: Path) -> None:
    path = written(people(3), tmp_path)
    with pytest.raises(MgRiskError, match="MG_G") as refused:
        xpt.read(path, columns=["SEQN", "MG_G"])
    assert refused.value.code == "xpt.no_such_column"
    assert "MG_MG" in refused.value.hint


def test_a_column_asked_for_twice_is_an_error_of_the_caller(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="different names"):
        xpt.read(written(people(3), tmp_path), columns=["SEQN", "SEQN"])


def test_header_tells_names_labels_and_size(tmp_path: Path) -> None:
    frame = people(7).assign(NAME="abc")
    path = tmp_path / "DEMO.xpt"
    xpt.write(frame, path, table="DEMO", labels={"MG_MG": "Magnesium (mg)"}, dataset_label="Made up")
    head = xpt.header(path)
    assert (head.table, head.label, head.n_rows, head.record_length) == ("DEMO", "Made up", 7, 27)
    assert [each.name for each in head.variables] == ["SEQN", "AGE", "MG_MG", "NAME"]
    assert [each.label for each in head.variables] == ["", "", "Magnesium (mg)", ""]
    assert [each.kind for each in head.variables] == ["number"] * 3 + ["text"]
    assert [each.position for each in head.variables] == [0, 8, 16, 24]


def test_the_same_frame_gives_the_same_bytes(tmp_path: Path) -> None:
    first = written(people(9), tmp_path).read_bytes()
    assert written(people(9), tmp_path).read_bytes() == first


# --- padding: the number of rows is not in the file -------------------------------------------------------


@pytest.mark.parametrize("record_length", [8, 16, 24, 80, 81])
@pytest.mark.parametrize("n_rows", [0, 1, 2, 3, 4, 5, 9, 10, 11, 79, 80, 81])
def test_padding_is_no_row_and_no_row_is_padding(tmp_path: Path, record_length: int, n_rows: int) -> None:
    n_numbers = min(record_length // 8, 9)
    frame = pd.DataFrame({f"X{at}": np.arange(n_rows) * 1.5 for at in range(n_numbers)})
    if record_length > 72:
        # The text is blank in the last row, so that the true record ends as padding looks.
        text = pd.Series(["x" * (record_length - 72)] * n_rows, dtype="str")
        text[-1:] = ""
        frame["TEXT"] = text
    path = written(frame, tmp_path)
    assert xpt.header(path).n_rows == n_rows
    assert len(xpt.read(path)) == n_rows
    assert len(pyreadstat.read_xport(path)[0]) == n_rows


def test_blank_texts_in_the_last_rows_are_rows(tmp_path: Path) -> None:
    frame = pd.DataFrame({"CODE": ["a", "", "", ""]})
    assert xpt.read(written(frame, tmp_path))["CODE"].tolist() == ["a", "", "", ""]


# --- refusals ---------------------------------------------------------------------------------------------


def test_a_file_cut_anywhere_off_a_card_is_truncated(tmp_path: Path) -> None:
    whole = written(people(20), tmp_path).read_bytes()
    path = tmp_path / "CUT.xpt"
    for length in range(1, len(whole), 7):
        path.write_bytes(whole[:length])
        if length % 80:
            assert refusal_xpt(path).code == "xpt.truncated", length


def test_a_file_cut_at_a_card_is_truncated_unless_a_record_ends_there(tmp_path: Path) -> None:
    whole = written(people(20), tmp_path).read_bytes()
    path = tmp_path / "CUT.xpt"
    start = xpt.header(tmp_path / "TABLE.xpt").data_start
    for length in range(80, len(whole), 80):
        path.write_bytes(whole[:length])
        if length < start or (length - start) % 24:
            assert refusal_xpt(path).code == "xpt.truncated", length
        else:
            # Version 5 does not know its number of rows: this one looks whole, and the store's lock tells.
            assert xpt.header(path).n_rows == (length - start) // 24


def test_truncation_says_what_was_expected_and_what_was_found(tmp_path: Path) -> None:
    path = written(people(20), tmp_path)
    path.write_bytes(path.read_bytes()[:900])
    refused = refusal_xpt(path)
    assert refused.expected == "at least 1060 bytes, up to the last of 3 NAMESTR records"
    assert refused.got == "900 bytes"


def test_an_empty_file_is_truncated(tmp_path: Path) -> None:
    path = tmp_path / "EMPTY.xpt"
    path.touch()
    assert refusal_xpt(path).code == "xpt.truncated"


@pytest.mark.parametrize(
    "page",
    [
        b"<!DOCTYPE html><html><body>Page not found</body></html>",
        b"\xef\xbb\xbf<!doctype HTML>",
        b"\r\n\t  <HTML lang='en'>",
        b"\xef\xbb\xbf\n<html>",
    ],
)
def test_a_web_page_is_named_as_such(tmp_path: Path, page: bytes) -> None:
    path = tmp_path / "PAGE.xpt"
    path.write_bytes(page * 200)
    assert refusal_xpt(path).code == "xpt.html"


@pytest.mark.parametrize("content", [b"SEQN,AGE\n1,2\n" * 100, b"\0" * 800, b"PK\x03\x04" * 300, b"x"])
def test_a_foreign_file_is_refused_with_its_beginning(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "FOREIGN.xpt"
    path.write_bytes(content)
    refused = refusal_xpt(path)
    assert refused.code == "xpt.not_xport"
    assert refused.got is not None
    assert repr(content[:28].decode("latin-1")) in refused.got


@pytest.mark.parametrize("n_rows", range(10, 22))
@pytest.mark.parametrize("behind", ["a whole data set", "its first card", "its first two cards"])
def test_two_data_sets_in_one_file_are_refused(tmp_path: Path, n_rows: int, behind: str) -> None:
    # The second starts at each place that the search could step over.
    path = written(people(n_rows), tmp_path)
    content = path.read_bytes()
    second = content[3 * 80 :]
    path.write_bytes(content + {"a whole data set": second}.get(behind, second[: 160 if "two" in behind else 80]))
    assert refusal_xpt(path).code == "xpt.several_tables"


def test_a_second_data_set_is_found_whatever_block_it_is_in(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = written(people(100), tmp_path)
    content = path.read_bytes()
    path.write_bytes(content + content[3 * 80 :])
    for size in range(24, 400, 24):
        monkeypatch.setattr(xpt, "_BYTES_AT_ONCE", size)
        assert refusal_xpt(path).code == "xpt.several_tables"


def test_texts_that_look_like_headers_are_texts(tmp_path: Path) -> None:
    frame = pd.DataFrame({"NAME": ["HEADER RECORD*******DSCRPTR " + "x" * 52, "SAS     " + "y" * 72] * 30})
    assert xpt.read(written(frame, tmp_path)).equals(frame.astype("str"))


def test_a_missing_file_is_refused(tmp_path: Path) -> None:
    assert refusal_xpt(tmp_path / "NOWHERE.xpt").code == "xpt.no_such_file"


@pytest.mark.parametrize("offset", [3 * 80, 4 * 80, 7 * 80, 7 * 80 + 54, 8 * 80, 8 * 80 + 4, 8 * 80 + 87, 1120])
def test_a_damaged_header_is_refused(tmp_path: Path, offset: int) -> None:
    path = written(people(10), tmp_path)
    content = bytearray(path.read_bytes())
    content[offset] = 0x7A
    path.write_bytes(content)
    assert refusal_xpt(path).code in {"xpt.not_xport", "xpt.truncated"}


# --- what cannot be written -------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["seqn", "1A", "TOO_LONG_", "A B", "", "Ä"])
def test_a_name_that_sas_does_not_know_is_refused(tmp_path: Path, name: str) -> None:
    for table, column in [(name, "X"), ("TABLE", name)]:
        with pytest.raises(MgRiskError) as refused:
            xpt.write(pd.DataFrame({column: [1.0]}), tmp_path / "T.xpt", table=table)
        assert refused.value.code == "xpt.bad_name"
    assert list(tmp_path.iterdir()) == []


def test_two_columns_of_one_name_are_refused(tmp_path: Path) -> None:
    with pytest.raises(MgRiskError) as refused:
        written(pd.DataFrame([[1.0, 2.0]], columns=["X", "X"]), tmp_path)
    assert refused.value.code == "xpt.bad_name"


@pytest.mark.parametrize("labels", [{"X": "x" * 41}, {"X": "µ" * 21}])
def test_a_label_of_more_than_40_bytes_is_refused(tmp_path: Path, labels: dict[str, str]) -> None:
    with pytest.raises(MgRiskError) as refused:
        xpt.write(pd.DataFrame({"X": [1.0]}), tmp_path / "T.xpt", table="T", labels=labels)
    assert refused.value.code == "xpt.bad_label"


@pytest.mark.parametrize("value", [np.inf, -np.inf, 2.0**252, 2.0**-261, 5e-324, 2**53 + 1])
def test_a_number_that_would_change_is_refused(tmp_path: Path, value: float) -> None:
    with pytest.raises(MgRiskError, match="column X has") as refused:
        written(pd.DataFrame({"X": [1, value]}), tmp_path)
    assert refused.value.code == "xpt.not_representable"


@pytest.mark.parametrize(
    "frame",
    [
        pd.DataFrame({"X": pd.to_datetime(["2017-01-01"])}),
        pd.DataFrame({"X": ["a", 1.0]}),
        pd.DataFrame({"X": ["a" * 201]}),
        pd.DataFrame(index=[0, 1]),
    ],
)
def test_a_column_of_another_kind_is_refused(tmp_path: Path, frame: pd.DataFrame) -> None:
    with pytest.raises(MgRiskError) as refused:
        written(frame, tmp_path)
    assert refused.value.code == "xpt.bad_column"


def test_a_refused_write_leaves_the_old_file(tmp_path: Path) -> None:
    before = written(people(3), tmp_path).read_bytes()
    with pytest.raises(MgRiskError):
        written(pd.DataFrame({"X": [np.inf]}), tmp_path)
    assert (tmp_path / "TABLE.xpt").read_bytes() == before
    assert [path.name for path in tmp_path.iterdir()] == ["TABLE.xpt"]

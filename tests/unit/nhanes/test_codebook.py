"""The table of variables agrees with CDC's codebook if that is available."""

from __future__ import annotations

import os
import runpy
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest

from mgrisk.errors import ExitStatus, MgRiskError
from mgrisk.features.summary import record_variables
from mgrisk.nhanes import codebook
from mgrisk.nhanes.codebook import VARIABLES, Variable, variable
from mgrisk.nhanes.cycles import CYCLES, LOOKUPS, OPTIONAL, Cycle, cycle
from mgrisk.nhanes.harmonise import harmonise, read_decoded, table_path
from mgrisk.nhanes.store import Store

NO_ANSWER = r"refused|don.?t know|cannot (?:be )?ascertain|could not obtain"
BLANK = (".", "< blank >", "")
# What the mirror may lack is not in its codebook either.
CHECKED = [item for item in VARIABLES.values() if item.table not in OPTIONAL]
# Tables whose decoded counts cannot be compared, each with its reason; variables and cycles follow from it.
NOT_COMPARED: Mapping[str, str] = {
    "DSQTOT_L": "CDC's codebook, as it lies beside the mirror, was drawn before this table was released",
    "DSQIDS_L": "CDC's codebook, as it lies beside the mirror, was drawn before this table was released",
    "BIOPRO_L": "CDC's codebook, as it lies beside the mirror, was drawn before this table was released",
}
# Codes that are numbers of something, with a range in place of answers, or in some cycles nothing to compare at all.
NUMBERS = ("SDMVPSU", "SDMVSTRA", "DR1IFDCD", "DR2IFDCD", "DSDPID", "DSDSUPID")
RECORDED = "Value was recorded"
every_cycle = pytest.mark.parametrize("each", CYCLES, ids=lambda each: each.years)


def test_a_variable_that_nobody_reads_is_refused_with_the_nearest_one() -> None:
    with pytest.raises(MgRiskError) as caught:
        variable("LBXGHB")
    assert caught.value.code == "codebook.unknown_variable"
    assert caught.value.hint == "did you mean LBXGH?"
    assert caught.value.status == ExitStatus.SOURCE


def test_a_renamed_variable_has_its_old_name_in_the_old_cycles_only() -> None:
    names = {each.years: variable("SLD012").name_in(each) for each in CYCLES}
    assert names["2005-2006"] == names["2013-2014"] == "SLD010H"
    assert names["2015-2016"] == names["2017-2018"] == names["2021-2023"] == "SLD012"


def test_cycles_of_the_same_first_year_keep_their_own_names() -> None:
    assert variable("WTINT2YR").name_in(cycle("2017-2018")) == "WTINT2YR"
    assert variable("WTINT2YR").name_in(cycle("2017-2020")) is None
    assert variable("WTINTPRP").name_in(cycle("2017-2020")) == "WTINTPRP"
    assert variable("WTINTPRP").name_in(cycle("2017-2018")) is None


@pytest.mark.parametrize(
    ("name", "without", "having"),
    [
        ("RIDRETH3", "2009-2010", "2011-2012"),
        ("PAQ605", "2005-2006", "2007-2008"),
        ("PAQ605", "2021-2023", "2017-2020"),
        ("DIQ010", "2021-2023", "1999-2000"),
        ("DR2TMAGN", "2001-2002", "2003-2004"),
        ("SLD012", "2003-2004", "2005-2006"),
    ],
)
def test_a_variable_has_no_name_in_a_cycle_that_did_not_measure_it(name: str, without: str, having: str) -> None:
    assert variable(name).name_in(cycle(without)) is None
    assert variable(name).name_in(cycle(having)) is not None


def test_a_variable_is_told_with_table_range_cycles_answers_and_missing_codes() -> None:
    head, table, cycles, *answers = variable("DIQ010").lines()
    assert head.startswith("DIQ010  (Doctor told you have diabetes")
    assert table == "    table DIQ, interview sample"
    assert "2017-2018" in cycles
    assert "2021-2023" not in cycles
    assert answers == ["    1: Yes", "    2: No", "    3: Borderline", "    no answer: 7, 9"]
    head, table, cycles = variable("DR1TMAGN").lines()
    assert head.endswith(", mg)")
    assert table == "    table DR1TOT, recall1 sample; 0 to 2725"
    assert "2001-2002 as DRXTMAGN, 2003-2004," in cycles


def test_every_table_that_is_read_stands_in_the_readme_of_the_data() -> None:
    readme = Path(__file__).parents[3].joinpath("data", "README.md").read_text("utf-8")
    told = {
        name for row in readme.splitlines() if row.startswith("| ") for name in row.split("|")[1].strip().split(", ")
    }
    assert told - {"table"} == {*(item.table for item in VARIABLES.values()), *LOOKUPS, "DRXFCD"}


def test_the_row_of_a_variable_cannot_be_changed() -> None:
    with pytest.raises(TypeError):
        VARIABLES["AGE"] = variable("RIDAGEYR")  # type: ignore[index]
    with pytest.raises(TypeError):
        variable("SLD012").names["2015-2016"] = "SLD010H"  # type: ignore[index]


def test_a_number_has_a_range_and_a_coded_answer_its_words() -> None:
    for item in CHECKED:
        if item.name in NUMBERS:
            assert item.unit == "code", item.name
        elif item.unit in ("code", "text"):
            assert item.codes, item.name
            assert (item.minimum, item.maximum) == (None, None)
        else:
            assert item.minimum is not None, item.name
            assert item.maximum is not None, item.name
            assert item.minimum < item.maximum
        if not item.is_text and item.name not in NUMBERS:
            assert item.missing.isdisjoint(float(code) for code in item.codes), item.name
    assert dict(variable("SMQ040").codes) == {"1": "Every day", "2": "Some days", "3": "Not at all"}
    assert (variable("LBXGLU").minimum, variable("LBXGLU").maximum) == (21.0, 686.2)


@pytest.fixture(scope="module")
def cdc() -> pd.DataFrame:
    """CDC's codes: variable, table, code, meaning, count."""
    folder = os.environ.get("MGRISK_CODEBOOK")
    if not folder:
        pytest.skip("MGRISK_CODEBOOK does not name the folder of CDC's codebook (codebook_codes.csv.xz)")
    codes = pd.read_csv(Path(folder) / "codebook_codes.csv.xz", dtype=str, keep_default_na=False)
    return pd.DataFrame(
        {
            # The codebook spells MCQ300C as MCQ300c from 2011 on; the tables do not.
            "variable": codes["Variable"].str.upper(),
            "table": codes["TableName"],
            "code": codes["CodeOrValue"],
            "no_answer": codes["ValueDescription"].str.contains(NO_ANSWER, case=False),
            "recorded": codes["ValueDescription"] == RECORDED,
            "count": pd.to_numeric(codes["Count"]),
        }
    )


def rows_of(cdc: pd.DataFrame, item: Variable, each: Cycle) -> pd.DataFrame:
    rows = cdc[(cdc["variable"] == item.name_in(each)) & (cdc["table"] == each.table(item.table))]
    assert len(rows) or each.table(item.table) in NOT_COMPARED, f"CDC's codebook has no {item.name} in {each.years}"
    return rows


def matches(code: str, values: np.ndarray) -> np.ndarray:
    low, _, high = code.partition(" to ")
    # CDC rounds the ends of a range of weights to ten digits or so.
    slack = 1e-6 * max(1.0, abs(float(high or low)))
    return (values >= float(low) - slack) & (values <= float(high or low) + slack)


def measured(each: Cycle) -> list[Variable]:
    return [item for item in CHECKED if item.name_in(each) is not None]


@pytest.mark.nhanes
@pytest.mark.parametrize("item", CHECKED, ids=lambda item: item.name)
def test_missing_codes_are_what_cdc_calls_refused_unknown_or_not_ascertained(cdc: pd.DataFrame, item: Variable) -> None:
    said = set()
    for each in CYCLES:
        if item.name_in(each) is None:
            continue
        rows = rows_of(cdc, item, each)
        no_answer = rows[rows["no_answer"]]
        said |= {float(code) for code in no_answer["code"]}
        answers = rows[~rows["no_answer"] & ~rows["code"].isin(BLANK)]
        for code in answers["code"]:
            if item.missing and code[:1].isdigit():
                assert not matches(code, np.array(sorted(item.missing))).any(), f"{code} is an answer in {each.years}"
    assert item.missing == said


def read_records(store: Store, each: Cycle, table: str) -> pd.DataFrame:
    """A table with several rows for each person, as the summaries of features see it."""
    return read_decoded(store, table_path(store, each, table), cycle=each, held=record_variables(table, each))[0]


@pytest.mark.nhanes
@every_cycle
def test_decoded_values_are_counted_as_cdc_counted_them(cdc: pd.DataFrame, each: Cycle, tmp_path: Path) -> None:
    """Every variable in use: each code, each range, and all who answered."""
    if not os.environ.get("MGRISK_NHANES"):
        pytest.skip("MGRISK_NHANES does not name the mirror of the tables")
    store = Store(source=os.environ["MGRISK_NHANES"], cache=tmp_path, offline=True)
    by_person = [item.name for item in measured(each) if not item.records]
    frame = harmonise(store, cycles=[each], names=by_person).frame
    records = {table: read_records(store, each, table) for table in {i.table for i in measured(each) if i.records}}
    wrong = []
    for item in measured(each):
        if each.table(item.table) in NOT_COMPARED:
            continue
        column = (records[item.table] if item.records else frame)[item.name]
        values = column.to_numpy()
        rows = rows_of(cdc, item, each)
        rows = rows[~rows["no_answer"] & ~rows["code"].isin(BLANK)]
        for code, count in rows.loc[~rows["recorded"], ["code", "count"]].to_numpy():
            if (found := int(((values == code) if item.is_text else matches(code, values)).sum())) != count:
                wrong.append((item.name, code, found, count))
        if (found := int(column.notna().sum())) != (answered := rows["count"].sum()):
            wrong.append((item.name, "answered", found, answered))
    assert wrong == []


@pytest.mark.nhanes
def test_what_is_not_compared_is_three_tables_of_one_cycle(cdc: pd.DataFrame) -> None:
    pairs = [(item, each) for each in CYCLES for item in measured(each)]
    left_out = {(item.table, each.years) for item, each in pairs if each.table(item.table) in NOT_COMPARED}
    assert left_out == {(table, "2021-2023") for table in ("DSQTOT", "DSQIDS", "BIOPRO")}
    assert not cdc["table"].isin(NOT_COMPARED).any(), "can be compared by now"


@pytest.mark.nhanes
def test_ranges_and_answers_are_those_of_the_codebook(cdc: pd.DataFrame) -> None:
    tool = runpy.run_path(str(Path(__file__).parents[3] / "tools" / "codebook_answers.py"))
    codes, variables, tables = tool["read"](Path(os.environ["MGRISK_CODEBOOK"]))
    here = Path(codebook.__file__)
    assert tool["content"](codes) == here.with_name("answers.toml").read_text("utf-8")
    assert tool["whole"](variables, codes, tables).equals(pq.read_table(here.with_name("codebook.parquet")))

"""The table of variables, against CDC's own codebook where that is at hand."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from mgrisk.errors import ExitStatus, MgRiskError
from mgrisk.nhanes.codebook import VARIABLES, Variable, variable
from mgrisk.nhanes.cycles import CYCLES, Cycle, cycle
from mgrisk.nhanes.harmonise import harmonise
from mgrisk.nhanes.store import Store

NO_ANSWER = r"refused|don.?t know|cannot (?:be )?ascertain|could not obtain"


def test_a_variable_that_nobody_reads_is_refused_with_the_nearest_one() -> None:
    with pytest.raises(MgRiskError) as caught:
        variable("LBXGHB")
    assert caught.value.code == "codebook.unknown_variable"
    assert caught.value.hint == "did you mean LBXGH?"
    assert caught.value.status == ExitStatus.SOURCE


def test_a_renamed_variable_has_its_old_name_in_the_old_cycles_only() -> None:
    names = {each.years: variable("SLD012").name_in(each) for each in CYCLES}
    assert names["2013-2014"] == "SLD010H"
    assert names["2015-2016"] == names["2017-2018"] == "SLD012"


def test_a_variable_has_no_name_in_a_cycle_that_did_not_measure_it() -> None:
    assert variable("RIDRETH3").name_in(cycle("2009-2010")) is None
    assert variable("RIDRETH3").name_in(cycle("2011-2012")) == "RIDRETH3"


def test_the_row_of_a_variable_cannot_be_changed() -> None:
    with pytest.raises(TypeError):
        VARIABLES["AGE"] = variable("RIDAGEYR")  # type: ignore[index]
    with pytest.raises(TypeError):
        variable("SLD012").was[2015] = "SLD010H"  # type: ignore[index]


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
            "count": pd.to_numeric(codes["Count"]),
        }
    )


def rows_of(cdc: pd.DataFrame, item: Variable, each: Cycle) -> pd.DataFrame:
    rows = cdc[(cdc["variable"] == item.name_in(each)) & (cdc["table"] == each.table(item.table))]
    assert len(rows), f"CDC's codebook has no {item.name} in {each.years}"
    return rows


def matches(code: str, values: np.ndarray) -> np.ndarray:
    low, _, high = code.partition(" to ")
    return (values >= float(low)) & (values <= float(high or low))


@pytest.mark.nhanes
@pytest.mark.parametrize("item", VARIABLES.values(), ids=lambda item: item.name)
def test_missing_codes_are_what_cdc_calls_refused_unknown_or_not_ascertained(cdc: pd.DataFrame, item: Variable) -> None:
    said = set()
    for each in CYCLES:
        if item.name_in(each) is None:
            continue
        rows = rows_of(cdc, item, each)
        no_answer = rows[rows["no_answer"]]
        said |= {float(code) for code in no_answer["code"]}
        answers = rows[~rows["no_answer"] & (rows["code"] != ".")]
        for code in answers["code"]:
            if item.missing and code[0].isdigit():
                assert not matches(code, np.array(sorted(item.missing))).any(), f"{code} is an answer in {each.years}"
    assert item.missing == said


@pytest.mark.nhanes
@pytest.mark.parametrize("each", CYCLES, ids=lambda each: each.years)
def test_decoded_codes_are_counted_as_cdc_counted_them(cdc: pd.DataFrame, each: Cycle, tmp_path: Path) -> None:
    if not os.environ.get("MGRISK_NHANES"):
        pytest.skip("MGRISK_NHANES does not name the mirror of the tables")
    coded = [item for item in VARIABLES.values() if item.unit == "code" and item.name_in(each) is not None]
    store = Store(source=os.environ["MGRISK_NHANES"], cache=tmp_path, offline=True)
    frame = harmonise(store, cycles=[each], names=[item.name for item in coded]).frame
    wrong = []
    for item in coded:
        values = frame[item.name].to_numpy()
        rows = rows_of(cdc, item, each)
        for code, count in rows.loc[~rows["no_answer"] & (rows["code"] != "."), ["code", "count"]].to_numpy():
            if (found := int(matches(code, values).sum())) != count:
                wrong.append((item.name, code, found, count))
        answered = rows.loc[~rows["no_answer"] & (rows["code"] != "."), "count"].sum()
        if (found := int(np.isfinite(values).sum())) != answered:
            wrong.append((item.name, "answered", found, answered))
    assert wrong == []

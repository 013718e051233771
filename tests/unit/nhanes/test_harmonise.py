"""One table of one cycle: names, missing codes, text, and provenance.

From raw tables to one frame: no person lost or doubled, and no code for missing left.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from mgrisk.errors import ExitStatus, MgRiskError
from mgrisk.nhanes.codebook import variable
from mgrisk.nhanes.cycles import LOOKUPS, cycle
from mgrisk.nhanes.harmonise import (
    AbsentTable,
    Harmonised,
    apply_crosswalks,
    harmonise,
    lacks,
    read_decoded,
    read_list,
    table_path,
    table_paths,
)
from mgrisk.nhanes.store import Store
from mgrisk.storage.files import sha256

Put = Callable[..., Path]
NAN = float("nan")


def test_a_variable_comes_under_its_own_name_with_missing_codes_missing(put: Put, store: Store) -> None:
    path = put("2009-2010", "SLQ", SEQN=[2, 1, 3], SLD010H=[7, 99, 77])
    each = cycle("2009-2010")
    frame, read = read_decoded(store, table_path(store, each, "SLQ"), cycle=each, held=[variable("SLD012")])
    assert frame["SEQN"].tolist() == [2, 1, 3]
    assert frame["SEQN"].dtype == np.int64
    np.testing.assert_array_equal(frame["SLD012"], [7.0, NAN, NAN])
    assert (read.cycle, read.table, read.rows, read.size) == ("2009-2010", "SLQ_F", 3, path.stat().st_size)
    assert read.synthetic


def test_a_table_may_lie_in_the_folder_that_a_mirror_keeps_it_in(put: Put, store: Store) -> None:
    each = cycle("2021-2023")
    assert table_path(store, each, "DSQTOT") == each.path("DSQTOT")
    put("2021-2023", "DSQTOT", folder=1988, SEQN=[1])
    assert table_path(store, each, "DSQTOT") == each.other_path("DSQTOT")


def test_a_list_is_read_as_it_stands_and_says_whether_it_serves_all_cycles(put: Put, store: Store) -> None:
    put("2017-2018", "DSPI", DSDPID=[7, 9], DSDSUPP=["MAGNESIUM OXIDE", ""])
    found, read = read_list(store, LOOKUPS["DSPI"], columns=["DSDSUPP", "DSDPID"])
    assert found.columns.tolist() == ["DSDSUPP", "DSDPID"]
    assert found["DSDSUPP"].tolist() == ["MAGNESIUM OXIDE", ""]
    assert (read.cycle, read.table) == ("all cycles", "DSPI")
    _, of_cycle = read_list(store, LOOKUPS["DSPI"], columns=["DSDPID"], cycle="2017-2018")
    assert of_cycle.cycle == "2017-2018"


def test_a_table_that_was_cut_is_refused_unless_its_people_are_made_up(put: Put, store: Store) -> None:
    each = cycle("2017-2018")
    put("2017-2018", "DEMO", label="DEMO_J", SEQN=[1, 2], RIDAGEYR=[30, 40])
    with pytest.raises(MgRiskError) as refused:
        read_decoded(store, each.path("DEMO"), cycle=each, held=[variable("RIDAGEYR")])
    assert refused.value.code == "published.cut_table"


def test_only_an_optional_table_can_be_lacking_and_only_where_the_source_is_a_folder(put: Put, store: Store) -> None:
    each = cycle("2017-2018")
    put("2017-2018", "DEMO", SEQN=[1])
    assert lacks(store, each, "FSQ")
    assert not lacks(store, each, "BMX")
    assert not lacks(store, cycle("2001-2002"), "FSQ")
    assert not lacks(Store(source="https://localhost/", offline=True), each, "FSQ")
    put("2017-2018", "FSQ", SEQN=[1], FSDAD=[1])
    assert not lacks(store, each, "FSQ")


OLD, NEW = cycle("2009-2010"), cycle("2017-2018")


def read(tmp_path: Path, *names: str, years: tuple[str, ...] = ("2017-2018",)) -> Harmonised:
    store = Store(source=str(tmp_path / "mirror"), cache=tmp_path / "cache", offline=True)
    return harmonise(store, cycles=[cycle(each) for each in years], names=names)


def test_everyone_in_demo_stays_in_order_and_who_is_not_in_a_table_is_missing_there(tmp_path: Path, put: Put) -> None:
    put("2017-2018", "DEMO", SEQN=[3, 1, 2], RIDAGEYR=[30, 10, 20])
    put("2017-2018", "BMX", SEQN=[2, 3], BMXWT=[70.5, NAN])
    frame = read(tmp_path, "BMXWT", "RIDAGEYR").frame
    pd.testing.assert_frame_equal(
        frame,
        pd.DataFrame(
            {
                "SEQN": [3, 1, 2],
                "cycle": "2017-2018",
                "BMXWT": [NAN, NAN, 70.5],
                "RIDAGEYR": [30.0, 10.0, 20.0],
            }
        ),
    )


def test_refused_and_do_not_know_become_missing_and_zero_stays_zero(tmp_path: Path, put: Put) -> None:
    put("2017-2018", "DEMO", SEQN=[1, 2, 3, 4, 5])
    put("2017-2018", "PAQ", SEQN=[1, 2, 3, 4, 5], PAD680=[0, 7777, 9999, NAN, 77], PAQ605=[1, 7, 9, 2, NAN])
    frame = read(tmp_path, "PAD680", "PAQ605").frame
    np.testing.assert_array_equal(frame["PAD680"], [0.0, NAN, NAN, NAN, 77.0])
    np.testing.assert_array_equal(frame["PAQ605"], [1.0, NAN, NAN, 2.0, NAN])


def test_a_code_that_is_missing_in_one_variable_is_an_answer_in_another(tmp_path: Path, put: Put) -> None:
    put("2017-2018", "DEMO", SEQN=[1, 2], RIDAGEYR=[7, 9], RIDEXPRG=[3, 1])
    frame = read(tmp_path, "RIDAGEYR", "RIDEXPRG").frame
    assert frame["RIDAGEYR"].tolist() == [7.0, 9.0]
    np.testing.assert_array_equal(frame["RIDEXPRG"], [NAN, 1.0])


def test_a_renamed_variable_is_one_column_over_all_cycles(tmp_path: Path, put: Put) -> None:
    put("2009-2010", "DEMO", SEQN=[1, 2])
    put("2009-2010", "SLQ", SEQN=[1, 2], SLD010H=[7, 99])
    put("2017-2018", "DEMO", SEQN=[11, 12])
    put("2017-2018", "SLQ", SEQN=[11, 12], SLD012=[7.5, NAN])
    frame = read(tmp_path, "SLD012", years=("2009-2010", "2017-2018")).frame
    np.testing.assert_array_equal(frame["SLD012"], [7.0, NAN, 7.5, NAN])
    assert frame["cycle"].tolist() == ["2009-2010"] * 2 + ["2017-2018"] * 2


def test_a_variable_that_a_cycle_did_not_measure_is_missing_there(tmp_path: Path, put: Put) -> None:
    put("2009-2010", "DEMO", SEQN=[1], RIDRETH1=[5])
    put("2017-2018", "DEMO", SEQN=[11], RIDRETH1=[5], RIDRETH3=[6])
    frame = read(tmp_path, "RIDRETH3", "RIDRETH1", years=("2009-2010", "2017-2018")).frame
    np.testing.assert_array_equal(frame["RIDRETH3"], [NAN, 6.0])


def test_a_variable_that_the_table_should_have_and_has_not_stops_the_run(tmp_path: Path, put: Put) -> None:
    put("2017-2018", "DEMO", SEQN=[1], RIDAGEY=[40])
    with pytest.raises(MgRiskError) as caught:
        read(tmp_path, "RIDAGEYR")
    assert caught.value.code == "xpt.no_such_column"


@pytest.mark.parametrize("table", ["DEMO", "BMX"])
def test_a_person_who_stands_twice_in_a_table_is_refused_by_number(tmp_path: Path, put: Put, table: str) -> None:
    put("2017-2018", "DEMO", SEQN=[1, 2, 2] if table == "DEMO" else [1, 2])
    put("2017-2018", "BMX", SEQN=[2, 1, 2] if table == "BMX" else [1, 2], BMXWT=[70] * (3 if table == "BMX" else 2))
    with pytest.raises(MgRiskError) as caught:
        read(tmp_path, "BMXWT")
    assert caught.value.code == "harmonise.duplicate_key"
    assert caught.value.status == ExitStatus.SOURCE
    assert "SEQN 2 " in caught.value.message
    assert NEW.table(table) in caught.value.where


def test_two_cycles_that_share_a_person_are_refused(tmp_path: Path, put: Put) -> None:
    put("2009-2010", "DEMO", SEQN=[1, 2])
    put("2017-2018", "DEMO", SEQN=[2, 3])
    with pytest.raises(MgRiskError) as caught:
        read(tmp_path, years=("2009-2010", "2017-2018"))
    assert caught.value.code == "harmonise.duplicate_key"


def test_people_whom_demo_does_not_have_are_refused_with_their_number(tmp_path: Path, put: Put) -> None:
    put("2017-2018", "DEMO", SEQN=[1, 2])
    put("2017-2018", "BMX", SEQN=[2, 77, 78], BMXWT=[70, 71, 72])
    with pytest.raises(MgRiskError) as caught:
        read(tmp_path, "BMXWT")
    assert caught.value.code == "harmonise.stranger"
    assert caught.value.message.startswith("2 people")
    assert "BMX_J" in caught.value.where


def test_every_file_read_is_on_record_with_its_rows_size_and_sum(tmp_path: Path, put: Put) -> None:
    demo = put("2017-2018", "DEMO", SEQN=[1, 2], RIDAGEYR=[30, 40])
    body = put("2017-2018", "BMX", SEQN=[2], BMXWT=[70])
    tables = read(tmp_path, "BMXWT", "RIDAGEYR").tables
    assert [table.to_dict() for table in tables] == [
        {
            "cycle": "2017-2018",
            "table": name,
            "rows": rows,
            "size": path.stat().st_size,
            "sha256": sha256(path),
            "synthetic": True,
        }
        for name, rows, path in (("DEMO_J", 2, demo), ("BMX_J", 1, body))
    ]


def test_the_tables_needed_are_those_of_the_variables_and_always_demo() -> None:
    assert table_paths([OLD, NEW], ["BMXWT", "BMXHT"]) == {
        ("2009-2010", "BMX"): "Public/2009/DataFiles/BMX_F.xpt",
        ("2009-2010", "DEMO"): "Public/2009/DataFiles/DEMO_F.xpt",
        ("2017-2018", "BMX"): "Public/2017/DataFiles/BMX_J.xpt",
        ("2017-2018", "DEMO"): "Public/2017/DataFiles/DEMO_J.xpt",
    }


def test_a_table_that_a_cycle_does_not_have_is_missing_and_on_record_with_the_reason(tmp_path: Path, put: Put) -> None:
    put("2021-2023", "DEMO", SEQN=[1, 2], RIDAGEYR=[30, 40])
    harmonised = read(tmp_path, "DIQ010", "RIDAGEYR", years=("2021-2023",))
    assert harmonised.frame["DIQ010"].isna().all()
    assert harmonised.frame["DIQ010"].dtype == np.float64
    assert harmonised.frame["RIDAGEYR"].tolist() == [30.0, 40.0]
    assert [table.table for table in harmonised.tables] == ["DEMO_L"]
    (absent,) = harmonised.absent
    assert isinstance(absent, AbsentTable)
    assert absent.to_dict()["table"] == "DIQ"
    assert (absent.cycle, absent.reason) == ("2021-2023", cycle("2021-2023").absent["DIQ"])


def test_an_optional_table_that_the_folder_lacks_costs_its_variables_and_is_reported(tmp_path: Path, put: Put) -> None:
    put("2017-2018", "DEMO", SEQN=[1, 2], RIDAGEYR=[30, 40])
    harmonised = read(tmp_path, "FSDAD", "RIDAGEYR")
    assert harmonised.frame["FSDAD"].isna().all()
    (absent,) = harmonised.absent
    assert (absent.cycle, absent.table) == ("2017-2018", "FSQ")
    assert "folder" in absent.reason
    store = Store(source=str(tmp_path / "mirror"), cache=tmp_path / "cache", offline=True)
    assert ("2017-2018", "FSQ") not in table_paths([NEW], ["FSDAD"], store=store)
    assert ("2017-2018", "FSQ") in table_paths([NEW], ["FSDAD"])


def test_an_optional_table_that_is_there_is_read(tmp_path: Path, put: Put) -> None:
    put("2017-2018", "DEMO", SEQN=[1, 2])
    put("2017-2018", "FSQ", SEQN=[1, 2], FSDAD=[4, NAN])
    harmonised = read(tmp_path, "FSDAD")
    np.testing.assert_array_equal(harmonised.frame["FSDAD"], [4.0, NAN])
    assert harmonised.absent == ()


def test_cycles_whose_food_security_cdc_warns_of_do_not_have_it(tmp_path: Path, put: Put) -> None:
    put("2001-2002", "DEMO", SEQN=[1])
    (absent,) = read(tmp_path, "FSDAD", years=("2001-2002",)).absent
    assert "over-represented" in absent.reason


def test_a_table_that_should_be_there_and_is_not_still_stops_the_run(tmp_path: Path, put: Put) -> None:
    put("2021-2023", "DEMO", SEQN=[1, 2])
    with pytest.raises(MgRiskError) as caught:
        read(tmp_path, "BMXWT", years=("2021-2023",))
    assert caught.value.code == "store.missing_table"


def test_an_early_cycle_is_read_from_files_and_columns_of_other_names(tmp_path: Path, put: Put) -> None:
    put("1999-2000", "DEMO", SEQN=[1, 2, 3])
    put("1999-2000", "DR1TOT", SEQN=[1, 3], DRXTMAGN=[250, 310], DRDDRSTS=[1, 2])
    put("1999-2000", "GLU", SEQN=[3], LBXGLU=[101], LBXIN=[9.5])
    harmonised = read(tmp_path, "DR1TMAGN", "DR1DRSTZ", "DR2TMAGN", "LBXIN", "LBXGLU", years=("1999-2000",))
    np.testing.assert_array_equal(harmonised.frame["DR1TMAGN"], [250.0, NAN, 310.0])
    np.testing.assert_array_equal(harmonised.frame["DR1DRSTZ"], [1.0, NAN, 2.0])
    np.testing.assert_array_equal(harmonised.frame["LBXIN"], [NAN, NAN, 9.5])
    np.testing.assert_array_equal(harmonised.frame["LBXGLU"], [NAN, NAN, 101.0])
    # Glucose and insulin of that cycle are one file, read once.
    assert [table.table for table in harmonised.tables] == ["DEMO", "DRXTOT", "LAB10AM"]
    assert [absent.table for absent in harmonised.absent] == ["DR2TOT"]


def test_columns_come_in_the_order_asked_for_whatever_the_order_of_tables(tmp_path: Path, put: Put) -> None:
    put("2017-2018", "DEMO", SEQN=[1], RIDAGEYR=[30])
    put("2017-2018", "BMX", SEQN=[1], BMXWT=[70])
    put("2017-2018", "SLQ", SEQN=[1], SLD012=[8])
    frame = read(tmp_path, "SLD012", "RIDAGEYR", "BMXWT", "SLD012").frame
    assert list(frame) == ["SEQN", "cycle", "SLD012", "RIDAGEYR", "BMXWT"]


def test_a_text_stays_a_text_and_an_empty_one_is_missing_as_where_it_was_not_asked(tmp_path: Path, put: Put) -> None:
    put("2017-2018", "DEMO", SEQN=[1])
    put("2021-2023", "DEMO", SEQN=[11, 12, 13])
    put("2021-2023", "PAQ", SEQN=[11, 12], PAD790Q=[3, 9999], PAD790U=["W", ""])
    frame = read(tmp_path, "PAD790U", "PAD790Q", years=("2017-2018", "2021-2023")).frame
    assert frame["PAD790U"].where(frame["PAD790U"].notna(), None).tolist() == [None, "W", None, None]
    np.testing.assert_array_equal(frame["PAD790Q"], [NAN, 3.0, NAN, NAN])


def test_cycles_that_hold_the_same_people_are_refused_before_anything_is_read(tmp_path: Path) -> None:
    with pytest.raises(MgRiskError) as caught:
        read(tmp_path, "RIDAGEYR", years=("2017-2018", "2017-2020"))
    assert caught.value.code == "cycles.overlap"


@pytest.mark.parametrize("folder", [2021, 1988])
def test_a_table_is_found_where_the_cdc_site_has_it_and_where_a_mirror_keeps_it(
    tmp_path: Path, put: Put, folder: int
) -> None:
    put("2021-2023", "DEMO", SEQN=[1, 2])
    put("2021-2023", "DSQTOT", folder=folder, SEQN=[2], DSQTMAGN=[50])
    np.testing.assert_array_equal(read(tmp_path, "DSQTMAGN", years=("2021-2023",)).frame["DSQTMAGN"], [NAN, 50.0])
    store = Store(source=str(tmp_path / "mirror"), cache=tmp_path / "cache", offline=True)
    found = table_paths([cycle("2021-2023")], ["DSQTMAGN"], store=store)
    assert found["2021-2023", "DSQTOT"] == f"Public/{folder}/DataFiles/DSQTOT_L.xpt"


def test_tables_that_a_cycle_does_not_have_are_not_asked_for() -> None:
    paths = table_paths([cycle("1999-2000")], ["DR2TMAGN", "DR1TMAGN", "PAQ605"])
    assert paths == {
        ("1999-2000", "DEMO"): "Public/1999/DataFiles/DEMO.xpt",
        ("1999-2000", "DR1TOT"): "Public/1999/DataFiles/DRXTOT.xpt",
    }


def test_a_table_with_fewer_records_than_cdc_published_is_refused_unless_it_says_synthetic(
    tmp_path: Path, put: Put
) -> None:
    put("2017-2018", "DEMO", SEQN=[1, 2], RIDAGEYR=[30, 40])
    assert read(tmp_path, "RIDAGEYR").synthetic
    put("2017-2018", "DEMO", label="", SEQN=[1, 2], RIDAGEYR=[30, 40])
    with pytest.raises(MgRiskError) as caught:
        read(tmp_path, "RIDAGEYR")
    assert caught.value.code == "published.cut_table"
    assert caught.value.expected == "9,254"


MEASURED = pd.DataFrame(
    {
        "cycle": ["2007-2008", "2011-2012", "2013-2014", "2015-2016", "2021-2023", "2007-2008"],
        "LBXGLU": [100.0, 126.0, 98.0, 98.0, 98.0, NAN],
        "LBXIN": [10.0, 10.0, 10.0, 10.0, 10.0, NAN],
        "LBXGH": 5.5,
    }
)


def test_values_are_put_on_the_scale_of_the_newest_method_by_cdcs_equations() -> None:
    """Worked by hand: glucose (GLU_I), insulin of Mercodia to Roche (GLU_G), of Roche to Tosoh (INS_H)."""
    found = apply_crosswalks(MEASURED, ["glucose-2015", "insulin-2011", "insulin-2013"])
    # -0.5108 + 1.023 x: 101.7892, 128.3872, 99.7432; what follows the break, and a cycle of no era, stay.
    np.testing.assert_allclose(found["LBXGLU"], [101.7892, 128.3872, 99.7432, 98.0, 98.0, NAN], rtol=1e-9)
    # Mercodia 10: -0.0744 + 8.868 + 0.11 = 8.9036 of Roche; 10^(-0.0802 + 1.024 x 0.949566) = 7.8011 of Tosoh.
    # Roche 10: 10^(-0.0802 + 1.024) = 8.7862 of Tosoh.
    np.testing.assert_allclose(found["LBXIN"], [7.8011, 8.7862, 10.0, 10.0, 10.0, NAN], rtol=1e-4)
    assert found[["cycle", "LBXGH"]].equals(MEASURED[["cycle", "LBXGH"]])


def test_values_before_a_break_that_is_not_named_stay_as_they_are() -> None:
    # The equation of 2013 converts from Roche: values of Mercodia are not on its scale.
    later = apply_crosswalks(MEASURED, ["insulin-2013"])
    np.testing.assert_allclose(later["LBXIN"], [10.0, 8.7862, 10.0, 10.0, 10.0, NAN], rtol=1e-4)
    earlier = apply_crosswalks(MEASURED, ["insulin-2011"])
    np.testing.assert_allclose(earlier["LBXIN"], [8.9036, 10.0, 10.0, 10.0, 10.0, NAN], rtol=1e-4)
    assert apply_crosswalks(MEASURED, []).equals(MEASURED)


def test_a_value_that_an_equation_takes_below_zero_is_missing() -> None:
    low = pd.DataFrame({"cycle": "2001-2002", "LBXIN": [0.71, 10.0]})
    # -2.2934 + 1.0027 x: -1.5815 and 7.7336; what is missing passes the later equations as such.
    np.testing.assert_allclose(apply_crosswalks(low, ["insulin-2003"])["LBXIN"], [NAN, 7.7336])
    through = apply_crosswalks(low, ["insulin-2003", "insulin-2005", "insulin-2011", "insulin-2013"])
    assert through["LBXIN"].isna().tolist() == [True, False]


def test_bmi_is_computed_anew_before_the_break_and_where_there_was_one() -> None:
    given = pd.DataFrame(
        {
            "cycle": ["1999-2000", "2009-2010", "2011-2012"],
            "BMXBMI": [29.98, NAN, 29.98],
            "BMXWT": 76.76,
            "BMXHT": 160.0,
        }
    )
    np.testing.assert_array_equal(apply_crosswalks(given, ["bmi-2011"])["BMXBMI"], [30.0, NAN, 29.98])


def test_converting_needs_no_column_that_is_not_there_and_leaves_its_argument_alone() -> None:
    before = MEASURED[["cycle", "LBXGLU"]].copy()
    given = before.copy()
    found = apply_crosswalks(given, ["glucose-2015", "insulin-2013"])
    assert found.columns.tolist() == ["cycle", "LBXGLU"]
    assert given.equals(before)

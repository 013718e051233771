"""USDA's food-pattern files are found by day and cycle, read by name, and refused if incomplete."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from mgrisk.errors import ExitStatus, MgRiskError
from mgrisk.nhanes import food_patterns
from mgrisk.nhanes.cycles import cycle
from mgrisk.storage.files import sha256

NEW = cycle("2017-2018")


def give(folder: Path, day: int, name: str = "FPED_DR{}TOT_1718.csv") -> Path:
    columns = {"SEQN": [2, 1], f"DR{day}T_F_TOTAL": [0.5, None], f"DR{day}T_PF_SEAFD_HI": [0.0, 1.25]}
    path = folder / name.format(day)
    pd.DataFrame(columns).to_csv(path, index=False)
    return path


def test_both_days_are_read_under_names_without_the_day(tmp_path: Path) -> None:
    first, second = give(tmp_path, 1), give(tmp_path, 2)
    paths = food_patterns.files(tmp_path, NEW)
    assert paths == (first, second)
    days, read = food_patterns.read(paths, NEW, ["F_TOTAL", "PF_SEAFD_HI"])
    for day in days:
        assert day.columns.tolist() == ["SEQN", "F_TOTAL", "PF_SEAFD_HI"]
        assert day["SEQN"].tolist() == [2, 1]
        np.testing.assert_array_equal(day["F_TOTAL"], [0.5, np.nan])
    assert [(each.cycle, each.table, each.rows) for each in read] == [
        ("2017-2018", "FPED_DR1TOT_1718", 2),
        ("2017-2018", "FPED_DR2TOT_1718", 2),
    ]
    assert read[0].sha256 == sha256(first)


def test_file_names_may_be_in_either_case_and_other_files_are_left_alone(tmp_path: Path) -> None:
    give(tmp_path, 1, "fped_dr{}tot_1718.CSV")
    give(tmp_path, 2)
    (tmp_path / "FPED_DR1IFF_1718.csv").write_text("")
    (tmp_path / "FPED_DR1TOT_1718.pdf").write_text("")
    assert [path.name for path in food_patterns.files(tmp_path, NEW)] == [
        "fped_dr1tot_1718.CSV",
        "FPED_DR2TOT_1718.csv",
    ]


def test_without_a_folder_or_with_one_day_alone_or_another_cycle_there_is_nothing(tmp_path: Path) -> None:
    assert food_patterns.files(None, NEW) == ()
    give(tmp_path, 1)
    assert food_patterns.files(tmp_path, NEW) == ()
    give(tmp_path, 2)
    assert food_patterns.files(tmp_path, cycle("2017-2020")) == ()


def test_a_folder_that_is_not_there_and_two_files_of_one_day_are_refused(tmp_path: Path) -> None:
    with pytest.raises(MgRiskError) as caught:
        food_patterns.files(tmp_path / "nowhere", NEW)
    assert (caught.value.code, caught.value.status) == ("food_patterns.no_folder", ExitStatus.SOURCE)
    give(tmp_path, 1)
    give(tmp_path, 1, "fped_dr{}tot_1718.csv")
    with pytest.raises(MgRiskError) as caught:
        food_patterns.files(tmp_path, NEW)
    assert caught.value.code == "food_patterns.several"


def test_a_file_without_the_columns_wanted_is_refused_by_their_names(tmp_path: Path) -> None:
    paths = give(tmp_path, 1), give(tmp_path, 2)
    with pytest.raises(MgRiskError) as caught:
        food_patterns.read(paths, NEW, ["F_TOTAL", "G_WHOLE"])
    assert (caught.value.code, caught.value.got) == ("food_patterns.absent_column", "DR1T_G_WHOLE")

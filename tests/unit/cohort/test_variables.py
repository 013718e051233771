from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from mgrisk.cohort.variables import CYCLE, column, decoded, level_of, problem_in, refuse_unknown, sources_of
from mgrisk.errors import ExitStatus, MgRiskError
from mgrisk.nhanes.codebook import variable
from mgrisk.nhanes.cycles import cycle
from mgrisk.survey.design import WeightLevel

RAW = pd.DataFrame(
    {"cycle": ["2015-2016", "2017-2018"], "RIAGENDR": [1.0, 2.0], "RIDAGEYR": [30.0, np.nan], "DIQ010": [3.0, np.nan]}
)


def test_features_variables_and_the_cycle_have_a_level_and_sources() -> None:
    now = ["2017-2018"]
    assert (level_of("magnesium_food_mg", now), level_of("LBXGLU", now)) == (WeightLevel.RECALL1, WeightLevel.FASTING)
    assert (level_of(CYCLE, now), sources_of(CYCLE)) == (WeightLevel.INTERVIEW, ())
    assert "DR1TMAGN" in sources_of("magnesium_food_mg")


@pytest.mark.parametrize("name", ["DSQTMAGN", "magnesium_supplement_mg", "magnesium_citrate_mg"])
def test_a_cycle_that_asked_fewer_people_has_the_level_of_those(name: str) -> None:
    assert level_of(name, ["2015-2016", "2017-2018"]) == WeightLevel.INTERVIEW
    assert level_of(name, ["2021-2023"]) == level_of(name, ["2017-2018", "2021-2023"]) == WeightLevel.RECALL1


def test_an_unknown_name_is_a_usage_error_with_the_nearest() -> None:
    with pytest.raises(MgRiskError) as caught:
        refuse_unknown(["age_years", "cycle", "smokin"])
    assert (caught.value.code, caught.value.status) == ("describe.unknown_name", ExitStatus.USAGE)
    assert caught.value.hint == "did you mean smoking?"


def test_a_variable_of_a_table_with_several_rows_for_each_person_is_refused_with_the_table() -> None:
    for name, said in (("RXDUSE", "diuretic"), ("DR1IMAGN", "magnesium"), ("DSDUNIT", "your own code")):
        with pytest.raises(MgRiskError, match=variable(name).table) as caught:
            refuse_unknown([name])
        assert caught.value.code == "harmonise.several_rows"
        assert said in (caught.value.hint or "")


def test_a_variable_that_a_cycle_did_not_measure_is_named_with_the_cycle() -> None:
    problem = problem_in("RIDRETH3", cycle("2007-2008"))
    assert problem is not None
    assert problem.code == "describe.not_measured"
    assert "2007-2008" in problem.message
    assert problem_in("RIDRETH3", cycle("2017-2018")) is None
    assert problem_in(CYCLE, cycle("2007-2008")) is None


@pytest.mark.parametrize(
    ("name", "years", "said"),
    [
        ("RIDRETH3", "2007-2008", "RIDRETH3 was not asked or measured in 2007-2008"),
        ("SLQ300", "2005-2006", "SLQ300 was not asked or measured in 2005-2006"),
        ("LBXGH", "2021-2023", "HbA1c of this cycle is not among the tables that mgrisk can check"),
        ("LBXGLT", "2017-2018", "CDC stopped the oral glucose tolerance test after 2015-2016"),
        ("LBXSCH", "2021-2023", "mgrisk has no codebook of BIOPRO for 2021-2023, so that it is unknown whether"),
    ],
)
def test_what_cdc_did_not_measure_is_told_from_what_mgrisk_does_not_have(name: str, years: str, said: str) -> None:
    problem = problem_in(name, cycle(years))
    assert problem is not None
    assert said in problem.message
    assert name in problem.message
    assert ("was not asked or measured" in problem.message) == (said.startswith(name))


def test_a_variable_is_taken_as_it_is_and_the_cycle_is_a_category() -> None:
    assert column("RIAGENDR", RAW).tolist() == [1.0, 2.0]
    assert column(CYCLE, RAW).cat.categories.tolist() == ["2015-2016", "2017-2018"]


def test_answer_codes_become_words_in_the_order_of_the_codes() -> None:
    words = decoded("DIQ010", RAW["DIQ010"])
    assert words.cat.categories.tolist() == ["Yes", "No", "Borderline"]
    assert words.tolist()[0] == "Borderline"
    assert words.isna().tolist() == [False, True]


def test_a_code_without_words_stays_a_code() -> None:
    assert decoded("RIAGENDR", pd.Series([1.0, 5.0])).tolist() == ["Male", "5"]


def test_numbers_keep_their_top_codes_as_numbers() -> None:
    assert variable("RIDAGEYR").codes
    assert decoded("RIDAGEYR", pd.Series([80.0])).tolist() == [80.0]
    assert decoded("sex", pd.Series(["male", "female"])).tolist() == ["male", "female"]

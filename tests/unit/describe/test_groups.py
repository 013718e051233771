from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from mgrisk.describe.groups import DEFAULT_KNOTS, grouping
from mgrisk.errors import MgRiskError

COLUMNS = {"age_years": pd.Series([25.0, 45.0, np.nan]), "sex": pd.Series(["male", None, "female"], dtype="category")}
EVERYBODY = np.ones(3, dtype=np.bool_)


@pytest.mark.parametrize(
    ("text", "names", "cuts", "knots"),
    [
        ("sex", ("sex",), (), ()),
        ("age_years=20,40", ("age_years",), (20.0, 40.0), ()),
        ("age_years >= 20", ("age_years",), (), ()),
        ("spline(age_years)", ("age_years",), (), DEFAULT_KNOTS),
        (" spline( age_years = 20, 40, 60 ) ", ("age_years",), (), (20.0, 40.0, 60.0)),
        ("sex == 'a:b'", ("sex",), (), ()),
    ],
)
def test_a_text_is_a_name_ranges_a_condition_or_a_spline(
    text: str, names: tuple[str, ...], cuts: tuple[float, ...], knots: tuple[float, ...]
) -> None:
    found = grouping(text)
    assert (found.names, found.cuts, found.knots, found.parts) == (names, cuts, knots, ())


def test_an_interaction_is_of_what_stands_between_colons() -> None:
    found = grouping("sex == 'a:b':spline(age_years=20,40,60) : age_years=20,40")
    assert [part.text for part in found.parts] == ["sex == 'a:b'", "spline(age_years=20,40,60)", "age_years=20,40"]
    assert found.names == ("sex", "age_years")


def test_for_whom_an_interaction_or_a_spline_cannot_be_said() -> None:
    assert grouping("sex:age_years").undecided(COLUMNS).tolist() == [False, True, True]
    assert grouping("spline(age_years)").undecided(COLUMNS).tolist() == [False, False, True]


@pytest.mark.parametrize("text", ["spline(age_years)", "sex:age_years", "age_years * 2"])
def test_what_only_a_regression_is_on_makes_no_groups(text: str) -> None:
    with pytest.raises(MgRiskError) as caught:
        grouping(text).members(COLUMNS, COLUMNS, EVERYBODY)
    assert caught.value.code == "describe.no_groups"


@pytest.mark.parametrize("text", ["spline(age_years=60,40,20)", "age_years=40,20", "age_years=1,,2"])
def test_ranges_and_knots_increase(text: str) -> None:
    with pytest.raises(MgRiskError) as caught:
        grouping(text)
    assert caught.value.code == "describe.cuts"


@pytest.mark.parametrize("text", ["spline(age_years, 4)", "spline('sex')", ":", "sex:", "age_years:=3"])
def test_what_is_of_no_form_is_refused(text: str) -> None:
    with pytest.raises(MgRiskError) as caught:
        grouping(text)
    assert caught.value.code == "condition.syntax"

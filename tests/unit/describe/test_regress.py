from __future__ import annotations

import json
from typing import Any

import numpy as np
import pandas as pd
import pytest

from mgrisk.describe.question import Question
from mgrisk.describe.regress import Regression, fitted
from mgrisk.errors import ExitStatus, MgRiskError
from mgrisk.nhanes.harmonise import Harmonised, TableRead
from mgrisk.survey.frames import regression

CYCLES = ("2017-2018",)
IN_DOMAIN = "BMXHIP == 1"


def ask(frame: pd.DataFrame, of: str, *on: str, where: str = IN_DOMAIN, synthetic: bool = False, **how: Any) -> Any:
    tables = Harmonised(frame, (TableRead(CYCLES[0], "BMX_J", len(frame), 1, "0", synthetic),))
    return fitted(Question((of,), on, where), tables, cycles=CYCLES, **how)


def coefficients(found: Regression) -> pd.DataFrame:
    """Return the rows that are no reference level."""
    frame = found.frame()
    return frame[frame["se"].notna()]


def agrees(found: Regression, theirs: dict[str, Any], *, odds: bool) -> None:
    rows = coefficients(found)
    assert rows["coefficient"].tolist() == pytest.approx(theirs["coefficients"], rel=1e-8)
    assert rows["se"].tolist() == pytest.approx(np.sqrt(np.diag(theirs["covariance"])), rel=1e-8)
    assert rows["p"].tolist() == pytest.approx(theirs["p"], rel=1e-6)
    for column, key in (("estimate", "coefficients"), ("low", "low"), ("high", "high")):
        ends = np.exp(theirs[key]) if odds else theirs[key]
        assert rows[column].tolist() == pytest.approx(ends, rel=1e-6)
    assert rows["df"].unique().tolist() == [theirs["df"]]


@pytest.mark.parametrize("second", ["BMXHT", "BMXHT + 0 * BMXBMI", "BMXHT == 1", "sex", "BMXHT=0,1"])
def test_odds_ratios_are_those_of_r(second: str, toy_nhanes: pd.DataFrame, golden: dict[str, Any]) -> None:
    reference = {"sex": "male"} if second == "sex" else {}
    agrees(
        ask(toy_nhanes, "BMXWAIST == 1", "BMXBMI", second, reference=reference), golden["logistic_domain"], odds=True
    )


def test_everybody_is_asked_without_a_condition(toy_nhanes: pd.DataFrame, golden: dict[str, Any]) -> None:
    agrees(ask(toy_nhanes, "BMXWAIST == 1", "BMXBMI", "BMXHT", where=""), golden["logistic_full"], odds=True)


def test_differences_are_those_of_r(toy_nhanes: pd.DataFrame, golden: dict[str, Any]) -> None:
    agrees(ask(toy_nhanes, "BMXWT", "BMXBMI", "BMXHT", "BMXWAIST"), golden["linear_domain"], odds=False)


def test_arithmetic_may_be_the_outcome(toy_nhanes: pd.DataFrame, golden: dict[str, Any]) -> None:
    found = ask(toy_nhanes, "BMXWT + 0 * BMXBMI", "BMXBMI", "BMXHT", "BMXWAIST")
    agrees(found, golden["linear_domain"], odds=False)


def test_a_variable_is_tested_as_in_r(toy_nhanes: pd.DataFrame, golden: dict[str, Any]) -> None:
    rows = ask(toy_nhanes, "BMXWAIST == 1", "BMXBMI", "BMXHT", "BMXARMC=10,20,30").frame().set_index("variable")
    assert rows.loc["BMXARMC", "p_variable"].tolist() == pytest.approx([golden["wald_logistic"]["p"]] * 3, rel=1e-7)


def test_levels_are_beside_their_reference_which_may_be_chosen(toy_nhanes: pd.DataFrame) -> None:
    first = ask(toy_nhanes, "BMXWT", "BMXARMC=10,20,30").frame()
    assert first["level"].tolist() == ["", "10 to <20", "20 to <30", "30 and over"]
    assert first["reference"].tolist() == ["", *["10 to <20"] * 3]
    assert first["estimate"].iloc[1] == 0.0
    second = ask(toy_nhanes, "BMXWT", "BMXARMC=10,20,30", reference={"BMXARMC": "20 to <30"}).frame()
    assert second["level"].tolist() == ["", "20 to <30", "10 to <20", "30 and over"]
    assert second["estimate"].iloc[2] == pytest.approx(-first["estimate"].iloc[2])
    assert second["p_variable"].iloc[1] == pytest.approx(first["p_variable"].iloc[1])
    odds = ask(toy_nhanes, "BMXWAIST == 1", "BMXARMC=10,20,30").frame()
    assert odds["estimate"].iloc[1] == 1.0
    assert odds["statistic"].tolist() == ["odds", *["odds ratio"] * 3]


def rows_of(found: Regression, variable: str) -> pd.DataFrame:
    frame = coefficients(found)
    return frame[frame["variable"] == variable]


def test_a_spline_is_read_at_its_knots_against_the_first_as_in_r(
    toy_nhanes: pd.DataFrame, in_r: dict[str, Any]
) -> None:
    theirs = in_r["spline_logistic"]
    found = ask(toy_nhanes, "BMXWAIST == 1", "spline(BMXBMI=-1,-0.3,0.4,1.2)", "BMXHT")
    rows = rows_of(found, "BMXBMI")
    assert rows["level"].tolist() == ["-0.3", "0.4", "1.2"]
    assert rows["reference"].tolist() == ["-1"] * 3
    assert rows["estimate"].tolist() == pytest.approx(np.exp(theirs["estimate"]), rel=1e-6)
    assert rows["high"].tolist() == pytest.approx(np.exp(theirs["high"]), rel=1e-6)
    assert rows["p_variable"].tolist() == pytest.approx([theirs["p"]] * 3, rel=1e-6)
    assert rows["p_curve"].tolist() == pytest.approx([theirs["p_curve"]] * 3, rel=1e-6)
    assert "p of curve" in found.lines()[0]
    last = ask(toy_nhanes, "BMXWAIST == 1", "spline(BMXBMI=-1,-0.3,0.4,1.2)", "BMXHT", reference={"BMXBMI": "1.2"})
    assert rows_of(last, "BMXBMI")["coefficient"].iloc[0] == pytest.approx(-theirs["estimate"][2], rel=1e-6)


def test_a_spline_has_four_knots_where_none_is_named(toy_nhanes: pd.DataFrame) -> None:
    for text, others in (("spline(BMXWT)", 3), ("spline(BMXWT=3)", 2)):
        assert len(rows_of(ask(toy_nhanes, "BMXBMI", text), "BMXWT")) == others


def test_an_interaction_is_that_of_r(toy_nhanes: pd.DataFrame, in_r: dict[str, Any]) -> None:
    theirs = in_r["interaction_numbers"]
    found = ask(toy_nhanes, "BMXWAIST == 1", "BMXBMI", "BMXHT", "BMXBMI:BMXHT")
    (row,) = rows_of(found, "BMXBMI:BMXHT").to_dict("records")
    assert row["statistic"] == "ratio of odds ratios"
    assert row["coefficient"] == pytest.approx(theirs["coefficients"][3], rel=1e-7)
    assert row["se"] == pytest.approx(theirs["se"][3], rel=1e-7)
    theirs = in_r["interaction_levels"]
    on = ("BMXARMC=10,20,30", "sex", "BMXARMC=10,20,30:sex")
    rows = rows_of(ask(toy_nhanes, "BMXWT", *on, where="", reference={"sex": "male"}), "BMXARMC:sex")
    assert rows["level"].tolist() == ["20 to <30, female", "30 and over, female"]
    assert rows["estimate"].tolist() == pytest.approx(theirs["coefficients"][4:], rel=1e-7)
    assert rows["p_variable"].tolist() == pytest.approx([theirs["p_interaction"]] * 2, rel=1e-7)


@pytest.mark.parametrize(
    ("effect", "key", "statistic"),
    [("difference", "difference", "average difference"), ("prevalence-ratio", "ratio", "prevalence ratio")],
)
def test_average_differences_and_prevalence_ratios_are_those_of_r(
    effect: str, key: str, statistic: str, toy_nhanes: pd.DataFrame, in_r: dict[str, Any]
) -> None:
    found = ask(toy_nhanes, "BMXWAIST == 1", "BMXBMI", "BMXHT == 1", "BMXARMC=10,20,30", effect=effect)
    assert "intercept" not in set(found.frame()["variable"])
    assert set(found.frame()["statistic"]) == {statistic}
    rows = rows_of(found, "BMXARMC")
    for place, name in enumerate(("averages_b", "averages_c")):
        theirs, row = in_r[name][key], rows.iloc[place]
        assert row["coefficient"] == pytest.approx(theirs["estimate"], rel=1e-7)
        assert row["se"] == pytest.approx(theirs["se"], rel=1e-7)
        ends = theirs if key == "difference" else {each: np.exp(theirs[each]) for each in ("estimate", "low", "high")}
        for each in ("estimate", "low", "high"):
            assert row[each] == pytest.approx(ends[each], rel=1e-6)
    # A condition is no slope: everybody who meets it, and everybody who does not.
    crossed = ask(toy_nhanes, "BMXWAIST == 1", "BMXBMI", "BMXHT == 1", "BMXBMI:BMXHT == 1", effect=effect)
    (row,) = rows_of(crossed, "BMXHT == 1").to_dict("records")
    assert row["coefficient"] == pytest.approx(in_r["averages_crossed"][key]["estimate"], rel=1e-7)
    assert row["se"] == pytest.approx(in_r["averages_crossed"][key]["se"], rel=1e-7)


def test_a_condition_may_be_asked_for_differences_of_shares(toy_nhanes: pd.DataFrame) -> None:
    found = coefficients(ask(toy_nhanes, "BMXWAIST == 1", "BMXHT", model="linear", where=""))
    weight, y, x = toy_nhanes["WTMEC2YR"], toy_nhanes["BMXWAIST"], toy_nhanes["BMXHT"]
    shares = [np.average(y[x == value], weights=weight[x == value]) for value in (0, 1)]
    assert found["estimate"].tolist() == pytest.approx([shares[0], shares[1] - shares[0]])
    assert found["statistic"].tolist() == ["value", "difference"]


def test_who_lacks_a_value_is_left_out_and_said_and_stays_in_the_design(toy_nhanes: pd.DataFrame) -> None:
    # Nobody of a whole stratum has an outcome.
    some = toy_nhanes.assign(BMXWT=toy_nhanes["BMXWT"].where(toy_nhanes["SDMVSTRA"] != 101))
    found = ask(some, "BMXWT", "BMXBMI", where="")
    weight = toy_nhanes["WTMEC2YR"].to_numpy()
    assert found.undecided == pytest.approx(weight[toy_nhanes["SDMVSTRA"] == 101].sum() / weight.sum())
    assert any("a value of --of, --on or --where is missing" in note for note in found.notes())
    assert found.records[0]["n"] == ((toy_nhanes["SDMVSTRA"] != 101) & (toy_nhanes["WTMEC2YR"] > 0)).sum()
    # Who is below the first range is not asked for, with an outcome or without.
    above = ask(
        some.assign(BMXARMC=np.where(some["SDMVSTRA"] == 101, 1.0, 10.0)), "BMXWT", "BMXARMC=10", "BMXBMI", where=""
    )
    assert above.undecided == 0.0


def test_made_up_people_are_said_in_each_row_and_before_all_else(toy_nhanes: pd.DataFrame) -> None:
    found = ask(toy_nhanes, "BMXWT", "BMXBMI", synthetic=True)
    assert set(found.frame()["data"]) == {"SYNTHETIC"}
    assert found.notes()[0].startswith("SYNTHETIC")


def test_a_table_has_the_reference_in_its_place_and_json_no_nan(toy_nhanes: pd.DataFrame) -> None:
    found = ask(toy_nhanes, "BMXWAIST == 1", "BMXARMC=10,20,30", "BMXBMI")
    head, intercept, reference, second, *_, last = found.lines()
    assert head.split() == ["variable", "level", "odds", "ratio", "95", "%", "interval", "p", "p", "of", "variable"]
    assert intercept.startswith("intercept")
    assert reference.split()[:5] == ["BMXARMC", "10", "to", "<20", "reference"]
    row = found.records[2]
    assert f"{row['low']:.1f}"[:3] in second
    assert f"{row['p']:.4f}" in second
    assert last.startswith("BMXBMI")
    assert json.loads(json.dumps(found.plain_records(), allow_nan=False))[1]["se"] is None
    assert found.notes()[-1].startswith("odds ratios of BMXWAIST == 1; ")


def test_more_terms_than_the_design_can_tell_apart_have_no_p_and_are_warned_of(toy_nhanes: pd.DataFrame) -> None:
    cuts = ",".join(str(each) for each in range(150, 400, 25))
    found = ask(toy_nhanes, "BMXBMI", f"BMXWT={cuts}")
    assert found.frame()["p"].isna().all()
    assert any("more than the degrees of freedom" in warning for warning in found.warnings)
    assert "- to -" in found.lines()[1]


@pytest.mark.parametrize(
    ("of", "on", "how", "code"),
    [
        ("sex", ["BMXBMI"], {}, "regress.outcome"),
        ("BMXWT", ["BMXBMI"], {"model": "logistic"}, "regress.outcome"),
        ("BMXWT", [], {}, "regress.no_terms"),
        ("BMXWT", ["BMXBMI", "BMXBMI=0,1"], {}, "regress.twice"),
        ("BMXWT", ["sex"], {"reference": {"sex": "mail"}}, "regress.reference"),
        ("BMXWT", ["BMXBMI"], {"reference": {"BMXBMI": "1"}}, "regress.reference"),
        ("BMXWT", ["BMXBMI"], {"reference": {"sex": "male"}}, "regress.reference"),
        ("BMXWT", ["BMXBMI"], {"where": "BMXHIP == 7"}, "describe.nobody"),
        ("BMXWT", ["BMXBMI", "BMXBMI:sex"], {}, "regress.no_main"),
        ("BMXWT", ["spline(sex)"], {}, "describe.not_a_number"),
        ("BMXWT", ["BMXBMI"], {"effect": "odds-ratio"}, "regress.effect"),
        ("BMXWT", ["spline(BMXBMI=0,1)"], {}, "regression.knots"),
    ],
)
def test_what_is_no_regression_is_refused_in_words(
    of: str, on: list[str], how: dict[str, Any], code: str, toy_nhanes: pd.DataFrame
) -> None:
    with pytest.raises(MgRiskError) as caught:
        ask(toy_nhanes, of, *on, **how)
    assert caught.value.code == code
    assert (caught.value.status is ExitStatus.USAGE) is not code.startswith("regression.")
    assert caught.value.hint


def test_the_same_is_had_from_a_frame(toy_nhanes: pd.DataFrame, toy: pd.DataFrame, part: Any) -> None:
    ours = coefficients(ask(toy_nhanes, "BMXWT", "BMXARMC=10,20,30"))
    theirs = regression(toy["amount"], toy["group"], part)
    assert ours["estimate"].tolist() == pytest.approx(theirs["estimate"].tolist())
    assert ours["p_variable"].tolist() == pytest.approx(theirs["p_variable"].tolist())

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import pytest

from mgrisk.describe.groups import MOST_GROUPS
from mgrisk.describe.query import Description, answer
from mgrisk.describe.question import Question
from mgrisk.errors import ExitStatus, MgRiskError
from mgrisk.nhanes.eras import CONCEPTS
from mgrisk.nhanes.harmonise import Harmonised, TableRead
from mgrisk.survey.design import SurveyDesign, WeightLevel
from mgrisk.survey.estimates import mean, proportion, quantile, standardised_mean
from mgrisk.survey.presentation import korn_graubard, presentation
from mgrisk.survey.standard import age_group, standard_population

NAN = float("nan")
RECORD = {
    "variable": "BMXBMI",
    "level": "",
    "by": "sex=male",
    "statistic": "mean",
    "estimate": 28.123456,
    "se": 0.1234,
    "low": 27.9,
    "high": 28.4,
    "n": 1234,
    "df": 15,
    "missing": 0.051,
    "presentation": "",
    "data": "NHANES",
}
EMPTY = {**RECORD, "by": "sex=female", "estimate": NAN, "se": NAN, "low": NAN, "high": NAN, "n": 0, "missing": 1.0}


@pytest.fixture
def found() -> Description:
    return Description((RECORD, EMPTY), WeightLevel.EXAM, ("WTMEC2YR",), "BMXBMI", ("2017-2018",), 0.0, False)


def test_a_table_has_two_digits_of_the_error_and_no_empty_column(found: Description) -> None:
    head, first, second = found.lines()
    assert head.split() == [
        "variable",
        "by",
        "statistic",
        "estimate",
        "se",
        "95",
        "%",
        "interval",
        "n",
        "df",
        "missing",
    ]
    assert "28.12  0.12  27.90 to 28.40  1,234  15    5.1 %" in first
    assert second.split()[3:6] == ["-", "-", "-"]
    assert len({line.index("sex=") for line in (first, second)}) == 1


def test_an_exact_share_is_written_without_an_error(found: Description) -> None:
    sure = {**RECORD, "estimate": 1.0, "se": 0.0, "low": NAN, "high": NAN}
    assert replace(found, records=(sure,)).lines()[1].split()[3:8] == ["1.0000", "0.0000", "-", "to", "-"]


def test_json_has_no_nan(found: Description) -> None:
    text = json.dumps(found.plain_records(), allow_nan=False)
    assert json.loads(text)[1]["estimate"] is None
    assert json.loads(text)[0] == RECORD


def test_a_break_that_was_accepted_is_said(found: Description) -> None:
    crossed = CONCEPTS[0].breaks[0]
    assert any(crossed.reason in note for note in replace(found, crossed=(crossed,)).notes())


def test_on_which_scale_older_values_are_is_said_with_what_would_change_it(found: Description) -> None:
    (bmi,) = (each for concept in CONCEPTS for each in concept.breaks if each.name == "bmi-2011")
    assert any(note.endswith("--harmonise bmi-2011") for note in replace(found, not_harmonised=(bmi,)).notes())
    applied = replace(found, harmonised=(bmi,))
    assert any(note.startswith("BMXBMI before 2011-2012 is converted to the later scale") for note in applied.notes())
    assert applied.to_dict()["harmonised"] == ["bmi-2011"]


def test_the_plain_dict_says_weight_cycles_and_records(found: Description) -> None:
    assert found.to_dict() == {
        "weight_level": "exam",
        "weight": ["WTMEC2YR"],
        "forced_by": "BMXBMI",
        "cycles": ["2017-2018"],
        "harmonised": [],
        "undecided": 0.0,
        "records": [RECORD, EMPTY],
    }
    assert found.frame()["n"].tolist() == [1234, 0]


CYCLES = ("2015-2016", "2017-2018")


@pytest.fixture(scope="module")
def people() -> pd.DataFrame:
    random = np.random.default_rng(11)
    n = 600
    place = np.arange(n)
    frame = pd.DataFrame(
        {
            "SEQN": place,
            "cycle": np.where(place % 2, CYCLES[1], CYCLES[0]),
            "SDMVSTRA": 100.0 + place // 100 + 10 * (place % 2),
            "SDMVPSU": 1.0 + place // 2 % 2,
            "RIDAGEYR": random.integers(1, 81, n).astype(float),
            "RIAGENDR": random.integers(1, 3, n).astype(float),
            "BMXBMI": np.where(random.random(n) < 0.1, np.nan, random.normal(28, 5, n).round(1)),
            "DIQ010": random.choice([1.0, 2.0, 3.0, np.nan], n, p=[0.1, 0.8, 0.05, 0.05]),
            "WTINT2YR": random.uniform(1000, 5000, n),
        }
    )
    frame["WTMEC2YR"] = np.where(random.random(n) < 0.1, 0.0, frame["WTINT2YR"] * 1.1)
    return frame


def harmonised(frame: pd.DataFrame, *, synthetic: bool = False) -> Harmonised:
    return Harmonised(frame, (TableRead("2017-2018", "DEMO_J", len(frame), 1, "0", synthetic),))


def asked(
    frame: pd.DataFrame, *of: str, by: tuple[str, ...] = (), where: str = "", statistic: str = "", **others: Any
) -> Any:
    return answer(Question(of, by, where, statistic, **others), harmonised(frame), cycles=CYCLES)


def exam(frame: pd.DataFrame) -> SurveyDesign:
    # Two cycles: each weight counts a half.
    return SurveyDesign(frame["WTMEC2YR"] / 2, frame["SDMVSTRA"], frame["SDMVPSU"], WeightLevel.EXAM)


def test_a_mean_is_that_of_the_domain_and_never_of_fewer_rows(people: pd.DataFrame) -> None:
    (record,) = asked(people, "BMXBMI", where="RIDAGEYR >= 20").records
    adult, known = (people["RIDAGEYR"] >= 20).to_numpy(), people["BMXBMI"].notna().to_numpy()
    expected = mean(people["BMXBMI"], exam(people).where(adult & known)).to_dict()
    assert {key: record[key] for key in expected} == pytest.approx(expected)
    weight = people["WTMEC2YR"].to_numpy()
    assert record["missing"] == pytest.approx(weight[adult & ~known].sum() / weight[adult].sum())
    assert (record["variable"], record["level"], record["by"], record["statistic"]) == ("BMXBMI", "", "", "mean")
    assert record["data"] == "NHANES"


def test_records_have_the_fields_of_the_interface_in_order(people: pd.DataFrame) -> None:
    fields = ["variable", "level", "by", "statistic", "estimate", "se", "low", "high", "n", "df", "missing"]
    fields += ["presentation", "data"]
    assert asked(people, "BMXBMI").frame().columns.tolist() == fields


def test_a_category_has_the_share_of_each_level(people: pd.DataFrame) -> None:
    found = asked(people, "DIQ010", by=("sex",))
    assert [(each["level"], each["by"]) for each in found.records[:4]] == [
        ("Yes", "sex=female"),
        ("No", "sex=female"),
        ("Borderline", "sex=female"),
        ("Yes", "sex=male"),
    ]
    women = (people["RIAGENDR"] == 2).to_numpy() & people["DIQ010"].notna().to_numpy()
    interview = SurveyDesign(people["WTINT2YR"] / 2, people["SDMVSTRA"], people["SDMVPSU"], WeightLevel.INTERVIEW)
    expected = proportion(people["DIQ010"] == 1, interview.where(women))
    assert found.records[0]["estimate"] == pytest.approx(expected.estimate)
    assert (found.records[0]["low"], found.records[0]["high"]) == pytest.approx(korn_graubard(expected))
    assert found.records[0]["presentation"] == presentation(expected)
    assert sum(each["estimate"] for each in found.records[:3]) == pytest.approx(1.0)


@pytest.mark.parametrize("statistic", ["", "mean", "proportion"])
def test_a_condition_has_a_share_among_those_for_whom_it_is_decided(statistic: str, people: pd.DataFrame) -> None:
    (record,) = asked(people, "BMXBMI >= 30", statistic=statistic).records
    known = people["BMXBMI"].notna().to_numpy()
    expected = proportion(people["BMXBMI"] >= 30, exam(people).where(known))
    assert (record["estimate"], record["se"], record["n"]) == pytest.approx(
        (expected.estimate, expected.se, expected.n)
    )
    assert record["statistic"] == "proportion"


def test_a_quantile_is_the_one_of_woodruff(people: pd.DataFrame) -> None:
    (record,) = asked(people, "BMXBMI", statistic="quantile=0.9").records
    expected = quantile(people["BMXBMI"], exam(people).where(people["BMXBMI"].notna().to_numpy()), probability=0.9)
    assert (record["estimate"], record["low"]) == (expected.estimate, expected.low)
    assert record["statistic"] == "quantile=0.9"


def test_age_adjustment_uses_the_standard_population(people: pd.DataFrame) -> None:
    (record,) = asked(people, "BMXBMI >= 30", where="RIDAGEYR >= 20", statistic="age-adjusted").records
    domain = (people["RIDAGEYR"] >= 20).to_numpy() & people["BMXBMI"].notna().to_numpy()
    ages, standard = age_group(people["RIDAGEYR"], (20, 40, 60)), standard_population((20, 40, 60))
    expected = standardised_mean(people["BMXBMI"] >= 30, ages, exam(people).where(domain), standard=standard)
    assert (record["estimate"], record["se"]) == pytest.approx((expected.estimate, expected.se))
    assert record["statistic"] == "age-adjusted"


def test_the_standard_population_has_the_age_groups_that_are_asked_for(people: pd.DataFrame) -> None:
    given = {"where": "RIDAGEYR >= 18", "statistic": "age-adjusted", "standard": (18, 45, 65)}
    (record,) = asked(people, "BMXBMI", **given).records
    domain = (people["RIDAGEYR"] >= 18).to_numpy() & people["BMXBMI"].notna().to_numpy()
    ages, standard = age_group(people["RIDAGEYR"], (18, 45, 65)), standard_population((18, 45, 65))
    expected = standardised_mean(people["BMXBMI"], ages, exam(people).where(domain), standard=standard)
    assert record["estimate"] == pytest.approx(expected.estimate)
    with pytest.raises(MgRiskError) as caught:
        asked(people, "BMXBMI", **(given | {"where": "RIDAGEYR >= 17"}))
    assert "RIDAGEYR >= 18" in caught.value.hint


def test_a_share_of_none_has_the_exact_bound_and_what_nchs_would_do(people: pd.DataFrame) -> None:
    (record,) = asked(people, "BMXBMI > 1000").records
    n = record["n"]
    # Clopper and Pearson for 0 of n.
    assert (record["low"], record["high"]) == (0.0, pytest.approx(1 - 0.025 ** (1 / n)))
    assert record["presentation"] == "review:none"
    (other,) = asked(people, "BMXBMI > 1000", interval="logit").records
    assert np.isnan(other["low"])
    assert other["presentation"] == "review:none"
    assert asked(people, "BMXBMI > 1000").lines()[1].endswith("review:none")


def test_a_weight_that_is_asked_for_is_used_and_said(people: pd.DataFrame) -> None:
    found = asked(people, "DIQ010 == 1", weight="WTMEC2YR")
    known = people["DIQ010"].notna().to_numpy()
    expected = proportion(people["DIQ010"] == 1, exam(people).where(known))
    assert (found.records[0]["estimate"], found.records[0]["se"]) == pytest.approx((expected.estimate, expected.se))
    assert "weight WTMEC2YR (exam sample), because of --weight" in found.notes()
    with pytest.raises(MgRiskError) as caught:
        asked(people, "DIQ010", weight="WTMEC4YR")
    assert caught.value.code == "describe.no_weight"
    assert "WTMEC2YR" in caught.value.hint


def test_groups_are_ranges_of_a_number_and_answers_of_a_condition(people: pd.DataFrame) -> None:
    found = asked(people, "BMXBMI", by=("RIDAGEYR=20,40", "DIQ010 == 1"))
    assert [each["by"] for each in found.records] == [
        f"RIDAGEYR {ages}; DIQ010 == 1: {answer}" for ages in ("20 to <40", "40 and over") for answer in ("yes", "no")
    ]
    age, told = people["RIDAGEYR"], people["DIQ010"]
    inside = (age >= 20) & (age < 40) & told.notna() & (told != 1) & people["BMXBMI"].notna()
    expected = mean(people["BMXBMI"], exam(people).where(inside.to_numpy()))
    assert (found.records[1]["estimate"], found.records[1]["n"]) == pytest.approx((expected.estimate, expected.n))
    weight = people["WTMEC2YR"].to_numpy()
    assert found.undecided == pytest.approx(weight[told.isna()].sum() / weight.sum())


@pytest.mark.parametrize(
    ("by", "code"),
    [
        ("BMXBMI + RIDAGEYR", "describe.no_groups"),
        ("RIDAGEYR=40,20", "describe.cuts"),
        ("RIDAGEYR=1,,2", "describe.cuts"),
        ("cycle=1,2", "describe.not_a_number"),
    ],
)
def test_ranges_that_are_none_are_refused(by: str, code: str, people: pd.DataFrame) -> None:
    with pytest.raises(MgRiskError) as caught:
        asked(people, "BMXBMI", by=(by,))
    assert caught.value.code == code


def test_a_condition_that_some_meet_without_all_of_its_parts_is_warned_of_with_its_guard(people: pd.DataFrame) -> None:
    either = "DIQ010 == 1 or BMXBMI >= 30"
    (warning,) = asked(people, either).warnings
    told, bmi, weight = people["DIQ010"], people["BMXBMI"], people["WTMEC2YR"].to_numpy()
    counted = ((told == 1) & bmi.isna()) | (told.isna() & (bmi >= 30))
    assert f"{100 * weight[counted].sum() / weight.sum():.1f} % have a missing value" in warning
    guard = "not missing(DIQ010) and not missing(BMXBMI)"
    assert guard in warning
    guarded = asked(people, either, where=guard)
    assert guarded.warnings == ()
    assert warning in asked(people, either).notes()
    assert asked(people, "BMXBMI >= 30").warnings == ()


def test_age_adjustment_refuses_people_whom_the_standard_does_not_have(people: pd.DataFrame) -> None:
    with pytest.raises(MgRiskError) as caught:
        asked(people, "BMXBMI >= 30", statistic="age-adjusted")
    assert caught.value.code == "describe.age_adjusted"


def test_older_values_are_put_on_the_later_scale_for_whatever_is_asked_of_them(people: pd.DataFrame) -> None:
    # 76.76 kg at 1.60 m are 29.984 kg/m2: 29.98 as released before 2011, and obese by one decimal.
    old = people.assign(cycle="2009-2010", BMXWT=76.76, BMXHT=160.0, BMXBMI=29.98)
    for harmonise, share, mean_bmi in (((), 0.0, 29.98), (("bmi-2011",), 1.0, 30.0)):
        question = Question(("bmi_kg_m2 >= 30", "BMXBMI"), where="bmi_kg_m2 >= 29", harmonise=harmonise)
        obese, bmi = answer(question, harmonised(old), cycles=["2009-2010"]).records
        assert obese["estimate"] == share
        assert bmi["estimate"] == pytest.approx(mean_bmi)
    assert {"BMXWT", "BMXHT"} <= set(question.sources(["2009-2010"]))
    assert "BMXWT" not in replace(question, harmonise=()).sources(["2009-2010"])


def test_the_weight_is_forced_by_whatever_is_used_anywhere(people: pd.DataFrame) -> None:
    assert (asked(people, "DIQ010").level, asked(people, "DIQ010").weight) == (WeightLevel.INTERVIEW, ("WTINT2YR",))
    for found in (
        asked(people, "DIQ010", where="not missing(BMXBMI)"),
        asked(people, "DIQ010 == 1 and BMXBMI > 3"),
        asked(people, "DIQ010", "BMXBMI"),
    ):
        assert (found.level, found.forced_by) == (WeightLevel.EXAM, "BMXBMI")
        assert "weight WTMEC2YR (exam sample), because of BMXBMI" in found.notes()


def test_people_whose_domain_is_unknown_are_left_out_and_said(people: pd.DataFrame) -> None:
    found = asked(people, "RIDAGEYR", by=("DIQ010",), where="DIQ010 != 3")
    weight, unknown = people["WTINT2YR"].to_numpy(), people["DIQ010"].isna().to_numpy()
    assert found.undecided == pytest.approx(weight[unknown].sum() / weight.sum())
    assert any("are excluded" in note for note in found.notes())
    assert [each["by"] for each in found.records] == ["DIQ010=Yes", "DIQ010=No"]
    assert not any("are excluded" in note for note in asked(people, "DIQ010").notes())


def test_by_crosses_its_names_and_takes_numbers_of_few_values(people: pd.DataFrame) -> None:
    few = people.assign(RIDAGEYR=np.where(people["RIDAGEYR"] < 40, 30.0, 50.5))
    found = asked(few, "BMXBMI", by=("cycle", "RIDAGEYR"))
    assert [each["by"] for each in found.records][:2] == [
        "cycle=2015-2016; RIDAGEYR=30",
        "cycle=2015-2016; RIDAGEYR=50.5",
    ]
    with pytest.raises(MgRiskError) as caught:
        asked(people, "BMXBMI", by=("RIDAGEYR",))
    assert caught.value.code == "describe.too_many_groups"
    assert str(MOST_GROUPS) in caught.value.hint


def test_nobody_with_a_value_is_an_empty_record_and_not_an_error(people: pd.DataFrame) -> None:
    (record,) = asked(people.assign(BMXBMI=np.nan), "BMXBMI").records
    assert np.isnan(record["estimate"])
    assert (record["n"], record["missing"]) == (0, 1.0)


def test_rows_of_other_cycles_do_not_count(people: pd.DataFrame) -> None:
    alone = answer(Question(("BMXBMI",)), harmonised(people), cycles=["2017-2018"]).records
    only = people[people["cycle"] == "2017-2018"]
    assert alone == answer(Question(("BMXBMI",)), harmonised(only), cycles=["2017-2018"]).records


def test_made_up_people_are_said_on_every_record_and_first_among_the_notes(people: pd.DataFrame) -> None:
    found = answer(Question(("DIQ010",)), harmonised(people, synthetic=True), cycles=CYCLES)
    assert set(found.frame()["data"]) == {"SYNTHETIC"}
    assert found.notes()[0].startswith("SYNTHETIC")


def of_toy(toy_nhanes: pd.DataFrame, of: str, statistic: str) -> dict[str, Any]:
    tables = Harmonised(toy_nhanes, (TableRead("2017-2018", "BMX_J", len(toy_nhanes), 1, "0", False),))
    found = answer(Question((of,), (), "BMXHIP == 1", statistic), tables, cycles=["2017-2018"])
    (record,) = found.records
    return record


@pytest.mark.parametrize(
    ("of", "statistic", "name"),
    [("BMXWT", "total", "total_domain"), ("BMXWT / (BMXHT + 1)", "ratio", "ratio_domain"),
     ("BMXWT * 2 - BMXWT", "mean", "mean_domain")],
)  # fmt: skip
def test_totals_ratios_and_arithmetic_are_those_of_r(
    of: str, statistic: str, name: str, toy_nhanes: pd.DataFrame, golden: dict[str, Any]
) -> None:
    record = of_toy(toy_nhanes, of, statistic)
    assert {key: record[key] for key in golden[name]} == pytest.approx(golden[name], rel=1e-8)
    assert (record["statistic"], record["presentation"]) == (statistic, "")


def test_the_total_of_a_condition_is_how_many_people(toy_nhanes: pd.DataFrame, part: SurveyDesign) -> None:
    record = of_toy(toy_nhanes, "BMXWAIST == 1", "total")
    counted = (toy_nhanes["BMXWAIST"] == 1).to_numpy() & (part.analysis_weight > 0)
    assert record["estimate"] == pytest.approx(part.weight[counted].sum())
    assert record["presentation"] == ""


def test_people_with_none_of_the_denominator_count_in_a_ratio_and_not_in_a_mean(
    toy_nhanes: pd.DataFrame, part: SurveyDesign
) -> None:
    # BMXHT is 0 or 1.
    record = of_toy(toy_nhanes, "BMXWT / BMXHT", "ratio")
    weight = part.analysis_weight
    assert record["estimate"] == pytest.approx((weight @ toy_nhanes["BMXWT"]) / (weight @ toy_nhanes["BMXHT"]))
    assert (record["n"], record["missing"]) == (part.n, 0.0)
    alone = of_toy(toy_nhanes, "BMXWT / BMXHT", "mean")
    assert alone["n"] == ((toy_nhanes["BMXHT"] == 1) & (weight > 0)).sum()


def test_a_ratio_is_of_two_amounts() -> None:
    for of in ("BMXWT", "BMXWT * 2", "BMXWT / 2", "BMXWT >= 2"):
        with pytest.raises(MgRiskError) as caught:
            Question((of,), statistic="ratio").names()
        assert (caught.value.code, caught.value.status) == ("describe.ratio", ExitStatus.USAGE)


@pytest.mark.parametrize(
    ("of", "statistic"),
    [("BMXBMI", "proportion"), ("DIQ010", "quantile=0.5"), ("BMXBMI > 3", "quantile=0.5"), ("BMXBMI", "median")],
)
def test_a_statistic_that_a_kind_does_not_have_is_a_usage_error(of: str, statistic: str, people: pd.DataFrame) -> None:
    with pytest.raises(MgRiskError) as caught:
        asked(people, of, statistic=statistic)
    assert (caught.value.code, caught.value.status) == ("describe.statistic", ExitStatus.USAGE)


@pytest.mark.parametrize("statistic", ["quantile=0", "quantile=1", "quantile=1.5", "quantile=x", "quantile=.0"])
def test_a_probability_lies_strictly_between_0_and_1(statistic: str) -> None:
    with pytest.raises(MgRiskError) as caught:
        Question(("BMXBMI",), statistic=statistic).names()
    assert caught.value.code == "describe.statistic"


def test_a_question_knows_what_must_be_read() -> None:
    question = Question(("sex", "LBXGH >= 6.5"), ("cycle",), "RIDAGEYR >= 20")
    assert question.sources(CYCLES) == ("RIAGENDR", "LBXGH", "RIDAGEYR", "SDMVSTRA", "SDMVPSU", "WTMEC2YR")

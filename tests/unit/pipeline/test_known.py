from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from mgrisk.cohort.variables import problem_in
from mgrisk.errors import ExitStatus, MgRiskError
from mgrisk.features.diet import NUTRIENTS, PATTERNS, TOTAL, hei_2020
from mgrisk.nhanes.cycles import CYCLES
from mgrisk.nhanes.harmonise import Harmonised, TableRead
from mgrisk.nhanes.store import Store
from mgrisk.pipeline import known as known_module
from mgrisk.pipeline.known import (
    ANSWERS,
    ESTIMATED,
    KnownAnswer,
    UsualIntakeQuestion,
    applicable,
    check,
    stop_at_misses,
    variables,
)

GOLDEN = Path(__file__).parents[2] / "golden" / "survey.json"


@pytest.fixture
def people() -> pd.DataFrame:
    place = np.arange(80)
    return pd.DataFrame(
        {
            "SEQN": place,
            "cycle": "2017-2018",
            "SDMVSTRA": 100.0 + place // 20,
            "SDMVPSU": 1.0 + place % 2,
            "RIDAGEYR": 30.0,
            "BMXBMI": np.where(place % 4 == 0, 35.0, 25.0),
            "WTMEC2YR": 1000.0,
        }
    )


def harmonised(frame: pd.DataFrame, *, synthetic: bool = False) -> Harmonised:
    return Harmonised(frame, (TableRead("2017-2018", "DEMO_J", len(frame), 1, "0", synthetic),))


@pytest.fixture
def one_answer(monkeypatch: pytest.MonkeyPatch) -> KnownAnswer:
    """The only known answer: a quarter of 80 people."""
    known = KnownAnswer(
        name="obese",
        kind="published",
        of="BMXBMI >= 30",
        where="RIDAGEYR >= 20",
        population="everybody",
        cycles=("2017-2018",),
        published=0.25,
        tolerance=0.001,
        source="made up",
        people=80,
    )
    monkeypatch.setattr(known_module, "ANSWERS", (known,))
    return known


@pytest.mark.parametrize("known", ANSWERS, ids=lambda known: known.name)
def test_every_answer_asks_for_what_its_cycles_have(known: KnownAnswer) -> None:
    cycles = {each.years: each for each in CYCLES}
    for name in known.question.names():
        assert [problem_in(name, cycles[years]) for years in known.cycles] == [None] * len(known.cycles)
    assert known.tolerance > 0
    assert known.question.sources(known.cycles)


def test_names_of_answers_are_unique() -> None:
    assert len({known.name for known in ANSWERS}) == len(ANSWERS)


def test_printed_shares_may_be_off_by_their_rounding_only() -> None:
    usual = {known.name for known in ANSWERS if isinstance(known.question, UsualIntakeQuestion)}
    shares = [each for each in ANSWERS if each.kind == "published" and each.published < 1 and each.name not in usual]
    assert len(shares) > 10
    for each in shares:
        assert round(each.published, 3) == each.published
        assert each.tolerance <= 0.0006


def test_recomputed_answers_are_those_of_r() -> None:
    theirs = json.loads(GOLDEN.read_text(encoding="utf-8"))["values"]["nhanes"]
    magnesium = dict(zip(theirs["magnesium_2017"]["sex"], theirs["magnesium_2017"]["estimate"], strict=True))
    expected = {
        "undiagnosed-2011-2018": theirs["undiagnosed_2011_2018"]["estimate"],
        "magnesium-2017-2018-men": magnesium[1],
        "magnesium-2017-2018-women": magnesium[2],
    }
    found = {known.name: known.published for known in ANSWERS if known.kind == "recomputed"}
    assert found == pytest.approx(expected, rel=1e-12)
    assert all(known.tolerance <= 1.1e-6 * known.published for known in ANSWERS if known.kind == "recomputed")


def test_an_answer_applies_where_all_its_cycles_are_in_the_run() -> None:
    names = {known.name for known in applicable(["2013-2014", "2015-2016"])}
    assert {"diabetes-2013-2016", "obesity-2015-2016", "energy-2013-2014-men-20-29"} <= names
    assert not {"obesity-2011-2014", "undiagnosed-2011-2018", "obesity-2017-2018"} & names
    assert "LBXGLU" not in variables(["2015-2016"])


def test_a_reproduced_answer_passes(people: pd.DataFrame, one_answer: KnownAnswer) -> None:
    (record,) = check(harmonised(people), cycles=["2017-2018"])
    assert record["estimate"] == pytest.approx(0.25)
    assert (record["passed"], record["note"], record["n"], record["published"]) == (True, "", 80, 0.25)
    assert record["cycles"] == "2017-2018"
    assert json.loads(json.dumps(record)) == record
    stop_at_misses([record])


def test_a_figure_outside_the_tolerance_stops_the_run(people: pd.DataFrame, one_answer: KnownAnswer) -> None:
    wrong = people.assign(BMXBMI=people["BMXBMI"].where(people["SEQN"] != 1, 40.0))
    (record,) = check(harmonised(wrong), cycles=["2017-2018"])
    assert record["passed"] is False
    assert record["note"] == "off by +0.0125"
    with pytest.raises(MgRiskError, match="obese") as caught:
        stop_at_misses([record])
    assert (caught.value.code, caught.value.status) == ("known_answers.missed", ExitStatus.SOURCE)
    assert "made up" in caught.value.where


def test_another_number_of_people_is_a_miss_even_with_the_same_share(
    people: pd.DataFrame, one_answer: KnownAnswer
) -> None:
    (record,) = check(harmonised(people[people["SEQN"] < 60]), cycles=["2017-2018"])
    assert record["estimate"] == pytest.approx(0.25)
    assert (record["passed"], record["note"]) == (False, "60 people for 80")


def test_nobody_to_describe_is_a_miss_and_not_a_pass(people: pd.DataFrame, one_answer: KnownAnswer) -> None:
    (record,) = check(harmonised(people.assign(BMXBMI=np.nan)), cycles=["2017-2018"])
    assert record["passed"] is False


@pytest.mark.parametrize("said_by_the_tables", [True, False])
def test_nothing_applies_to_synthetic_people(
    said_by_the_tables: bool, people: pd.DataFrame, one_answer: KnownAnswer
) -> None:
    tables = harmonised(people.assign(BMXBMI=99.0), synthetic=said_by_the_tables)
    (record,) = check(tables, cycles=["2017-2018"], others="" if said_by_the_tables else "SYNTHETIC")
    assert (record["passed"], record["estimate"]) == (None, None)
    assert record["note"] == "not applicable, because the people are SYNTHETIC"
    stop_at_misses([record])


def test_synthetic_runs_read_no_table() -> None:
    nowhere = Store(source="/nowhere", cache=Path("/nowhere"), offline=True)
    records = known_module.known_answers(nowhere, cycles=["2017-2018"], others="SYNTHETIC")
    assert {record["note"] for record in records} == {"not applicable, because the people are SYNTHETIC"}
    assert len(records) == len(ANSWERS)


def test_an_answer_of_other_cycles_says_which_are_absent() -> None:
    nowhere = Store(source="/nowhere", cache=Path("/nowhere"), offline=True)
    records = known_module.known_answers(nowhere, cycles=["2003-2004"])
    notes = {record["name"]: record["note"] for record in records}
    assert notes["obesity-2011-2014"] == "not applicable, because the run has no 2011-2012, 2013-2014"


@pytest.fixture
def recalls() -> pd.DataFrame:
    """Men of 40 with habits about 300 mg (log SD 0.3) and two days of log SD 0.35 each; every fifth has one day."""
    random = np.random.default_rng(11)
    size = 4000
    habit = np.exp(random.normal(np.log(300), 0.3, size) + 0.35**2 / 2)
    days = habit[:, None] * np.exp(random.normal(-(0.35**2) / 2, 0.35, (size, 2)))
    second = np.where(np.arange(size) % 5 == 0, np.nan, days[:, 1])
    return pd.DataFrame(
        {
            "SEQN": np.arange(size),
            "cycle": "2013-2014",
            "SDMVSTRA": 100.0 + np.arange(size) % 15,
            "SDMVPSU": 1.0 + np.arange(size) // 15 % 2,
            "RIDAGEYR": 40.0,
            "RIAGENDR": 1.0,
            "WTDRD1": 1000.0,
            "DR1DRSTZ": 1.0,
            "DR2DRSTZ": np.where(np.isnan(second), 5.0, 1.0),
            "DR1TMAGN": days[:, 0],
            "DR2TMAGN": second,
        }
    )


def usual_answer(statistic: str, *, published: float, tolerance: float) -> KnownAnswer:
    return KnownAnswer(
        name="usual",
        kind="published",
        of="DR1TMAGN",
        statistic=statistic,
        where="RIDAGEYR >= 19 and RIAGENDR == 1",
        population="men",
        cycles=("2013-2014",),
        published=published,
        tolerance=tolerance,
        source="made up",
    )


# Of a log-normal habit with median 300 e^0.06 = 319 and log SD 0.3.
@pytest.mark.parametrize(
    ("statistic", "true", "tolerance"),
    [
        ("usual-intake quantile=0.5", 318.95, 8.0),
        ("usual-intake quantile=0.25", 260.5, 8.0),
        ("usual-intake below-ear", 0.622, 0.02),
    ],
)
def test_habits_are_asked_of_the_model_of_usual_intake(
    statistic: str, true: float, tolerance: float, recalls: pd.DataFrame
) -> None:
    known = usual_answer(statistic, published=true, tolerance=tolerance)
    found = known.estimated(harmonised(recalls))
    assert found["estimate"] == pytest.approx(true, abs=tolerance)
    assert (found["n"], found["se"], set(found)) == (4000, None, set(ESTIMATED))


def test_a_habit_is_not_a_day(recalls: pd.DataFrame) -> None:
    known = usual_answer("usual-intake quantile=0.25", published=1.0, tolerance=1.0)
    assert known.estimated(harmonised(recalls))["estimate"] - recalls["DR1TMAGN"].quantile(0.25) > 15


def test_habits_pass_and_miss_like_other_answers(recalls: pd.DataFrame, monkeypatch: pytest.MonkeyPatch) -> None:
    known = usual_answer("usual-intake quantile=0.5", published=319.0, tolerance=9.0)
    monkeypatch.setattr(known_module, "ANSWERS", (known,))
    assert {"DR2TMAGN", "DR2DRSTZ", "WTDRD1", "SDMVPSU"} <= set(variables(["2013-2014"]))
    (record,) = check(harmonised(recalls), cycles=["2013-2014"])
    assert (record["passed"], record["note"]) == (True, "no standard error: the model is fitted once")
    assert json.loads(json.dumps(record)) == record
    (record,) = check(harmonised(recalls.assign(DR1TMAGN=recalls["DR1TMAGN"] * 1.1)), cycles=["2013-2014"])
    assert record["passed"] is False
    (record,) = check(harmonised(recalls.assign(RIDAGEYR=10.0)), cycles=["2013-2014"])
    assert (record["passed"], record["n"]) == (False, 0)


@pytest.mark.parametrize("statistic", ["usual-intake", "usual-intake quantile=2", "usual-intake above-ear"])
def test_another_statistic_of_habits_is_refused(statistic: str) -> None:
    with pytest.raises(MgRiskError):
        usual_answer(statistic, published=1.0, tolerance=1.0).question.names()


def test_a_score_of_a_population_is_that_of_its_summed_days_and_needs_food_patterns(
    people: pd.DataFrame, monkeypatch: pytest.MonkeyPatch
) -> None:
    random = np.random.default_rng(5)
    eaten = pd.DataFrame(random.uniform(0.2, 3.0, (80, len(PATTERNS))), columns=list(PATTERNS))
    amounts = {"KCAL": 2000.0, "SFAT": 25.0, "MFAT": 30.0, "PFAT": 15.0, "SODI": 3000.0}
    nutrients = pd.DataFrame(amounts, index=range(80))
    raw = people.assign(
        DR1DRSTZ=np.where(np.arange(80) < 70, 1.0, 5.0),
        WTDRD1=random.uniform(1.0, 9.0, 80),
        **{f"DR1T{name}": nutrients[name] for name in NUTRIENTS},
    )
    weighted = eaten.join(nutrients).iloc[:70].mul(raw["WTDRD1"].iloc[:70], axis=0)
    truth = hei_2020(weighted.sum().to_frame().T)[TOTAL].item()
    known = KnownAnswer(
        name="diet", kind="published", of="healthy_eating_index", statistic="population ratio", where="RIDAGEYR >= 2",
        population="everybody", cycles=("2017-2018",), published=truth, tolerance=1e-9, source="made up",
    )  # fmt: skip
    monkeypatch.setattr(known_module, "ANSWERS", (known,))
    patterns = {"2017-2018": eaten.assign(SEQN=raw["SEQN"])}
    (record,) = check(harmonised(raw), cycles=["2017-2018"], patterns=patterns)
    assert (record["passed"], record["n"]) == (True, 70)
    (record,) = check(harmonised(raw.assign(WTDRD1=1.0)), cycles=["2017-2018"], patterns=patterns)
    assert record["passed"] is False
    (record,) = check(harmonised(raw), cycles=["2017-2018"])
    assert record["passed"] is None
    assert record["note"].endswith("USDA's food patterns are not given (MGRISK_FOOD_PATTERNS)")

"""Magnesium: from food, from supplements, together; none taken is zero, no answer is missing.

Reference intakes: the change between ages 30 and 31, pregnancy, missing values, invalid values.

The magnesium depletion score: points of each part, and none where a part is missing.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pandas as pd
import pytest

from mgrisk.errors import MgRiskError
from mgrisk.features import magnesium
from mgrisk.features.compute import complete
from mgrisk.features.magnesium import MAGNESIUM, derive_magnesium_depletion_score, reference_intakes
from mgrisk.features.registry import features, with_ancestors

NAN = float("nan")


def supplements(supplement: float, antacid: float, amount: float) -> float:
    raw = pd.DataFrame({"DSD010": [supplement], "DSD010AN": [antacid], "DSQTMAGN": [amount]})
    return float(magnesium.magnesium_supplement_mg(raw).iloc[0])


@pytest.mark.parametrize(("supplement", "antacid"), [(1, 2), (2, 1), (1, 1), (1, NAN), (NAN, 1)])
def test_who_took_something_has_the_amount_that_was_counted(supplement: float, antacid: float) -> None:
    assert supplements(supplement, antacid, 150.0) == 150.0


def test_who_took_nothing_has_exactly_zero() -> None:
    assert supplements(2, 2, NAN) == 0.0


def test_who_took_products_without_magnesium_has_exactly_zero() -> None:
    assert supplements(1, 2, NAN) == 0.0


@pytest.mark.parametrize(("supplement", "antacid"), [(NAN, NAN), (2, NAN), (NAN, 2)])
def test_who_did_not_say_whether_they_took_supplements_is_missing_not_zero(supplement: float, antacid: float) -> None:
    assert np.isnan(supplements(supplement, antacid, NAN))


def test_total_is_food_and_supplements_alike_from_nhanes_and_from_given_features() -> None:
    raw = pd.DataFrame(
        {
            "DR1DRSTZ": [1.0, 1.0, 5.0],
            "DR2DRSTZ": [1.0, 5.0, 5.0],
            "DR1TMAGN": [300.0, 250.0, NAN],
            "DR2TMAGN": [200.0, NAN, NAN],
            "DSD010": [1.0, NAN, 2.0],
            "DSD010AN": [2.0, NAN, 2.0],
            "DSQTMAGN": [100.0, NAN, NAN],
        }
    )
    np.testing.assert_array_equal(magnesium.magnesium_food_mg(raw), [250.0, 250.0, NAN])
    total = magnesium.magnesium_total_mg(raw)
    np.testing.assert_array_equal(total, [350.0, NAN, NAN])
    given = pd.DataFrame(
        {
            "magnesium_food_mg": magnesium.magnesium_food_mg(raw),
            "magnesium_supplement_mg": magnesium.magnesium_supplement_mg(raw),
        }
    )
    np.testing.assert_array_equal(magnesium.derive_magnesium_total_mg(given), total)


def test_a_day_counts_only_where_its_recall_is_reliable() -> None:
    raw = pd.DataFrame(
        {"DR1DRSTZ": [1.0, 2.0], "DR2DRSTZ": [5.0, 1.0], "DR1TMAGN": [300.0, 250.0], "DR2TMAGN": [90.0, 200.0]}
    )
    np.testing.assert_array_equal(magnesium.magnesium_food_day_1_mg(raw), [300.0, NAN])
    np.testing.assert_array_equal(magnesium.magnesium_food_day_2_mg(raw), [NAN, 200.0])


def test_supplements_of_recalled_days_are_averaged_over_days_on_which_they_were_asked() -> None:
    raw = pd.DataFrame(
        {
            "DR1DRSTZ": [1.0, 1.0, 1.0, 1.0, 2.0],
            "DR2DRSTZ": [1.0, 1.0, 5.0, 1.0, 1.0],
            "DS1DS": [1.0, 2.0, 1.0, NAN, 1.0],
            "DS1AN": [2.0, 2.0, 2.0, NAN, 2.0],
            "DS1TMAGN": [100.0, NAN, NAN, NAN, 500.0],
            "DS2DS": [2.0, 2.0, NAN, 2.0, 1.0],
            "DS2AN": [2.0, 1.0, NAN, 2.0, 2.0],
            "DS2TMAGN": [NAN, 60.0, NAN, NAN, 50.0],
        }
    )
    np.testing.assert_array_equal(magnesium.magnesium_supplement_recall_mg(raw), [50.0, 30.0, 0.0, 0.0, 50.0])


def test_density_and_ratio_are_missing_where_nothing_was_eaten() -> None:
    given = pd.DataFrame(
        {"magnesium_food_mg": [300.0, 0.0, NAN], "energy_kcal": [2000.0, 0.0, 1500.0], "calcium_mg": [900.0, 10.0, 5.0]}
    )
    np.testing.assert_array_equal(magnesium.derive_magnesium_density_mg_1000kcal(given), [150.0, NAN, NAN])
    np.testing.assert_array_equal(magnesium.derive_calcium_to_magnesium_ratio(given), [3.0, NAN, NAN])


def person(**known: object) -> pd.DataFrame:
    return pd.DataFrame([{"age_years": 40.0, "sex": "male", "pregnant": None, **known}])


@pytest.mark.parametrize(
    ("known", "requirement"),
    [
        ({}, 350.0),
        ({"age_years": 30.9}, 330.0),
        ({"age_years": 31.0}, 350.0),
        ({"sex": "female"}, 265.0),
        ({"sex": "female", "age_years": 30.0}, 255.0),
        ({"sex": "female", "age_years": 30.0, "pregnant": "yes"}, 290.0),
        ({"sex": "female", "pregnant": "yes"}, 300.0),
        ({"pregnant": "yes"}, 350.0),
    ],
)
def test_the_requirement_is_that_of_age_sex_and_pregnancy(known: dict[str, object], requirement: float) -> None:
    """Institute of Medicine 1997; a man who is said to be pregnant is a slip of the file, not a reason to stop."""
    below = magnesium.derive_magnesium_below_ear(person(usual_magnesium_total_mg=requirement - 0.1, **known))
    met = magnesium.derive_magnesium_below_ear(person(usual_magnesium_total_mg=requirement, **known))
    assert (below.item(), met.item()) == ("yes", "no")


def test_nobody_is_below_a_requirement_that_is_not_known_or_with_an_intake_that_is_not() -> None:
    for known in ({"usual_magnesium_total_mg": NAN}, {"usual_magnesium_total_mg": 100.0, "age_years": NAN}):
        assert magnesium.derive_magnesium_below_ear(person(**known)).isna().all()


def test_the_share_of_the_allowance_is_that_of_age_and_sex() -> None:
    given = person(magnesium_total_mg=210.0)
    assert magnesium.derive_magnesium_rda_share(given).item() == pytest.approx(0.5)


def test_the_upper_level_is_for_supplements_alone_and_is_not_passed_by_reaching_it() -> None:
    given = pd.concat([person(magnesium_supplement_mg=amount) for amount in (0.0, 350.0, 350.1, NAN)])
    marks = magnesium.derive_magnesium_supplement_above_ul(given)
    assert marks.where(marks.notna(), "").tolist() == ["no", "no", "yes", ""]


def test_pregnancy_is_no_for_men_and_missing_where_it_was_not_made_out() -> None:
    raw = pd.DataFrame({"RIDEXPRG": [1.0, 2.0, NAN, NAN], "RIAGENDR": [2.0, 2.0, 2.0, 1.0]})
    marks = magnesium.pregnant(raw)
    assert marks.where(marks.notna(), "").tolist() == ["yes", "no", "", "no"]


@pytest.mark.nhanes
@pytest.mark.parametrize(
    ("sex", "origin", "published"),
    [
        ("male", 3, 352),
        ("male", 4, 278),
        ("male", 1, 330),
        ("female", 3, 256),
        ("female", 4, 202),
        ("female", 1, 242),
    ],
)
def test_means_of_1999_2000_are_the_published_ones(
    people: Callable[..., pd.DataFrame], sex: str, origin: int, published: float
) -> None:
    """Ford and Mokdad (2003), J. Nutr. 133:2879, on 4,257 adults; the files of today have 4,239 of them."""
    frame = people(["1999-2000"], ["age_years", "sex", "magnesium_food_day_1_mg"], ["WTDRD1", "RIDRETH1"])
    adults = frame[(frame["age_years"] >= 20) & frame["magnesium_food_day_1_mg"].notna()]
    assert len(adults) == 4239
    group = adults[(adults["sex"] == sex) & (adults["RIDRETH1"] == origin)]
    mean = np.average(group["magnesium_food_day_1_mg"], weights=group["WTDRD1"])
    assert mean == pytest.approx(published, rel=0.02)


def values(age: float, sex: str, **state: bool) -> tuple[float, ...]:
    row = reference_intakes([age], [sex], **{name: [said] for name, said in state.items()})
    return tuple(row.iloc[0])


# Institute of Medicine (1997), Dietary Reference Intakes, chapter 6: EAR, RDA, UL of supplements, mg a day.
@pytest.mark.parametrize(
    ("age", "sex", "expected"),
    [
        (16, "male", (340, 410, 350)),
        (16, "female", (300, 360, 350)),
        (25, "male", (330, 400, 350)),
        (25, "female", (255, 310, 350)),
        (45, "male", (350, 420, 350)),
        (45, "female", (265, 320, 350)),
        (80, "male", (350, 420, 350)),
        (80, "female", (265, 320, 350)),
        (2, "female", (65, 80, 65)),
        (8, "male", (110, 130, 110)),
    ],
)
def test_adults_and_children_have_the_published_values(age: float, sex: str, expected: tuple[float, ...]) -> None:
    assert values(age, sex) == expected


@pytest.mark.parametrize(("age", "expected"), [(17, (335, 400)), (30, (290, 350)), (31, (300, 360)), (50, (300, 360))])
def test_pregnancy_has_its_own_values(age: float, expected: tuple[float, ...]) -> None:
    assert values(age, "female", pregnant=True)[:2] == expected


def test_lactation_has_the_values_of_other_women_of_the_age() -> None:
    for age in (16, 25, 40):
        assert values(age, "female", lactating=True) == values(age, "female")


def test_pregnancy_goes_before_lactation() -> None:
    assert values(25, "female", pregnant=True, lactating=True) == values(25, "female", pregnant=True)


def test_the_break_of_adults_lies_at_the_thirty_first_birthday() -> None:
    table = reference_intakes([30, 30.99, 31, 50, 51], ["male"] * 5)
    assert table["ear_mg"].tolist() == [330, 330, 350, 350, 350]
    assert table["rda_mg"].tolist() == [400, 400, 420, 420, 420]


def test_whom_no_row_speaks_of_has_no_value() -> None:
    table = reference_intakes(
        [0.5, np.nan, 40, 55], ["male", "male", None, "female"], pregnant=[None, None, None, True]
    )
    assert table.isna().all(axis=None)


def test_an_unknown_pregnancy_is_none() -> None:
    table = reference_intakes([25, 25], ["female"] * 2, pregnant=pd.Series([np.nan, False], dtype=object))
    assert table["ear_mg"].tolist() == [255, 255]


def test_the_answer_has_the_rows_of_the_question() -> None:
    age = pd.Series([40.0, 20.0], index=[7, 3])
    assert reference_intakes(age, ["male", "female"]).index.tolist() == [7, 3]


@pytest.mark.parametrize(
    ("age", "sex", "state", "code"),
    [
        ([40], ["Male"], {}, "dri.bad_sex"),
        ([40], ["male", "male"], {}, "dri.bad_length"),
        ([-1], ["male"], {}, "dri.bad_age"),
        (["forty"], ["male"], {}, "dri.bad_age"),
        ([40], ["male"], {"pregnant": [True]}, "dri.pregnant_man"),
        ([40], ["female"], {"pregnant": [True, False]}, "dri.bad_length"),
    ],
)
def test_what_cannot_be_is_refused(age: list[object], sex: list[str], state: dict[str, list[bool]], code: str) -> None:
    with pytest.raises(MgRiskError) as refused:
        reference_intakes(age, sex, **state)  # type: ignore[arg-type]
    assert refused.value.code == code


def test_rows_meet_without_gap_or_overlap_and_say_what_was_checked() -> None:
    for stage, sex in {(row.stage, row.sex) for row in MAGNESIUM}:
        rows = sorted((row for row in MAGNESIUM if (row.stage, row.sex) == (stage, sex)), key=lambda row: row.first)
        assert [row.first for row in rows[1:]] == [row.last + 1 for row in rows[:-1]]
    assert all(row.ear < row.rda and row.source and row.checked for row in MAGNESIUM)


LOWEST: dict[str, object] = {"diuretic_use": "no", "ppi_use": "no", "heavy_drinking": "no", "egfr": 90.0}


def score(**changed: object) -> float:
    return float(derive_magnesium_depletion_score(pd.DataFrame([LOWEST | changed])).iloc[0])


@pytest.mark.parametrize(
    ("changed", "points"),
    [
        ({}, 0),
        ({"diuretic_use": "yes"}, 1),
        ({"ppi_use": "yes"}, 1),
        ({"heavy_drinking": "yes"}, 1),
        ({"egfr": 89.99}, 1),
        ({"egfr": 60.0}, 1),
        ({"egfr": 59.99}, 2),
        ({"diuretic_use": "yes", "ppi_use": "yes", "heavy_drinking": "yes", "egfr": 20.0}, 5),
    ],
)
def test_points_are_those_of_fan_2021(changed: dict[str, object], points: int) -> None:
    assert score(**changed) == points


@pytest.mark.parametrize("name", LOWEST)
def test_a_missing_part_makes_the_score_missing(name: str) -> None:
    assert pd.isna(score(**{name: None if name != "egfr" else float("nan")}))


def test_scoring_derives_it_from_what_is_given() -> None:
    given = pd.DataFrame(
        {
            "age_years": [60.0], "sex": ["female"], "creatinine_mg_dl": [1.4], "drinks_per_day": [1.5],
            "diuretic_use": ["yes"], "ppi_use": ["no"],
        }
    )  # fmt: skip
    found = complete(given, with_ancestors(features(["magnesium_depletion_score"])))
    assert found[["egfr", "heavy_drinking", "magnesium_depletion_score"]].astype(str).iloc[0, 1] == "yes"
    assert found["magnesium_depletion_score"].tolist() == [4.0]

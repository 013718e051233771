"""Each food has one group, groups add up to the day, and shares are of the population's total."""

from __future__ import annotations

import json
import os
import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mgrisk.errors import MgRiskError
from mgrisk.features.compute import from_nhanes
from mgrisk.features.diet import mean_of_reliable_days
from mgrisk.features.foods import FoodGroups, Rule, by_group, day_by_group, food_groups, shares, top_foods
from mgrisk.features.registry import FEATURES, features
from mgrisk.features.summary import gather
from mgrisk.nhanes.cycles import CYCLES, Cycle
from mgrisk.nhanes.store import Store
from mgrisk.survey.design import SurveyDesign, WeightLevel
from mgrisk.survey.estimates import ratio

# Code, description as NHANES prints it, group: the cases that the rules are there for.
FOODS = [
    (72125100, "Spinach, raw", "leafy_vegetables"),
    (75113000, "Lettuce, raw", "leafy_vegetables"),
    (72201100, "Broccoli, raw", "other_vegetables"),
    (75103000, "Cabbage, green, raw", "other_vegetables"),
    (71401030, "Potato, french fries, fast food", "other_vegetables"),
    (42101130, "Almonds, salted", "nuts"),
    (42202000, "Peanut butter", "nuts"),
    (43104000, "Flax seeds", "seeds"),
    (41104020, "Pinto beans, from dried, no added fat", "legumes"),
    (41420010, "Soybean curd", "legumes"),
    (51300110, "Bread, whole wheat", "whole_grains"),
    (51301010, "Bread, wheat or cracked wheat", "refined_grains"),
    (51601020, "Bread, multigrain", "refined_grains"),
    (56205008, "Rice, white, cooked, no added fat", "refined_grains"),
    (56205018, "Rice, brown, cooked, no added fat", "whole_grains"),
    (57123000, "Cereal (General Mills Cheerios)", "whole_grains"),
    (57135000, "Cereal (Kellogg's Corn Flakes)", "refined_grains"),
    (57237100, "Cereal (Post Honey Bunches of Oats Honey Roasted)", "refined_grains"),
    (54403020, "Popcorn, popped in oil, buttered", "whole_grains"),
    (58106225, "Pizza, cheese, from restaurant or fast food, medium crust", "refined_grains"),
    (11111000, "Milk, whole", "dairy"),
    (13110100, "Ice cream, vanilla", "sweets"),
    (27510500, "Hamburger, on bun", "meat_fish"),
    (26137190, "Salmon, smoked", "meat_fish"),
    (31103010, "Egg, whole, boiled", "rest"),
    (63107010, "Banana, raw", "fruit"),
    (81101000, "Butter, stick, salted", "rest"),
    (53206000, "Cookie, chocolate chip", "sweets"),
    (91705300, "Chocolate, sweet or dark", "sweets"),
    (92101000, "Coffee, brewed", "coffee_tea"),
    (92410210, "Carbonated water, unsweetened", "water"),
    (92410320, "Soft drink, cola, diet", "rest"),
    (94000100, "Water, tap", "water"),
    (93101000, "Beer", "rest"),
]
# The same product before and after USDA gave it another code.
MOVED = [
    ((41440010, "Ensure liquid nutrition"), (95103000, "Nutritional drink or shake, ready-to-drink (Ensure)")),
    ((41435500, "Clif Bar"), (53720200, "Nutrition bar (Clif Bar)")),
    ((41430000, "Protein powder, NFS"), (95230030, "Nutritional powder mix, protein, NFS")),
]


def described(*foods: tuple[int, str]) -> pd.DataFrame:
    return pd.DataFrame({"DRXFDCD": [float(code) for code, _ in foods], "DRXFCLD": [text for _, text in foods]})


@pytest.fixture(scope="module")
def groups() -> pd.DataFrame:
    return food_groups().assign(described(*(food[:2] for food in FOODS)))


def eaten(day: int, rows: list[tuple[int, int, float]]) -> pd.DataFrame:
    return pd.DataFrame(rows, columns=["SEQN", f"DR{day}IFDCD", f"DR{day}IMAGN"])


@pytest.mark.parametrize(("code", "text", "group"), FOODS)
def test_a_food_is_in_the_group_where_a_reader_looks_for_it(code: int, text: str, group: str) -> None:
    assert food_groups().assign(described((code, text)))["group"].item() == group


@pytest.mark.parametrize(("before", "after"), MOVED)
def test_a_product_keeps_its_group_when_its_code_changes(before: tuple[int, str], after: tuple[int, str]) -> None:
    assert food_groups().assign(described(before, after))["group"].nunique() == 1


# The first two digits that the coding scheme has.
SCHEME = [*range(11, 15), *range(20, 29), *range(31, 36), *range(41, 45), *range(50, 60), *range(61, 68)]
SCHEME += [*range(71, 79), *range(81, 84), *range(91, 96)]


@given(st.sampled_from(SCHEME), st.integers(min_value=0, max_value=999_999), st.text(max_size=30))
def test_no_code_of_the_scheme_is_without_a_group(first: int, others: int, text: str) -> None:
    assert food_groups().assign(described((first * 1_000_000 + others, text)))["group"].notna().all()


def test_a_code_outside_the_scheme_is_refused_and_not_put_somewhere() -> None:
    with pytest.raises(MgRiskError) as caught:
        food_groups().assign(described((45000000, "")))
    assert caught.value.code == "foods.no_group"


def test_the_first_rule_that_fits_decides_and_words_must_fit_too() -> None:
    small = FoodGroups(
        {"a": "A", "b": "B"},
        ("a",),
        (Rule("a", ("51",), "s", "w", words=("WHOLE",)), Rule("b", ("5",), "s", "w", dish=True)),
    )
    found = small.assign(described((51000000, "whole wheat"), (51000001, "white"), (52000000, "whole wheat")))
    assert found["group"].tolist() == ["a", "b", "b"]
    assert found["rule"].tolist() == [0, 1, 1]
    assert found["dish"].tolist() == [False, True, True]
    with pytest.raises(MgRiskError, match=r"no rule matches food code 61000000, Orange, raw") as caught:
        small.assign(described((61000000, "Orange, raw")))
    assert caught.value.code == "foods.no_group"


def test_a_code_described_twice_is_refused() -> None:
    with pytest.raises(MgRiskError) as caught:
        food_groups().assign(described((94000100, "Water, tap"), (94000100, "Water")))
    assert caught.value.code == "foods.repeated_code"


def test_every_row_names_a_known_group_its_reason_and_words_that_compile() -> None:
    known = food_groups()
    for rule in known.rules:
        assert rule.group in known.labels
        assert rule.why.strip()
        assert all(prefix.isdigit() for prefix in rule.prefix)
        assert re.compile("|".join(rule.words)).search("") is None or not rule.words
    assert {rule.group for rule in known.rules} == set(known.labels)
    assert json.loads(json.dumps(known.to_dict()))["labels"] == known.labels
    assert len(known.frame()) == len(known.rules)


def test_a_day_is_summed_by_person_and_group_whatever_the_order_of_rows(groups: pd.DataFrame) -> None:
    rows = eaten(1, [(1, 72125100, 24), (2, 94000100, 3), (1, 75113000, 2), (9, 94000100, 50), (1, 94000100, 4)])
    for order in ([0, 1, 2, 3, 4], [4, 2, 0, 3, 1]):
        found = day_by_group(rows.iloc[order], groups, people=[2, 1, 5])
        assert found.index.tolist() == [2, 1, 5]
        assert found["leafy_vegetables"].tolist() == [0.0, 26.0, 0.0]
        assert found["water"].tolist() == [3.0, 4.0, 0.0]
        assert found.to_numpy().sum() == 33.0


def test_a_food_without_an_amount_makes_its_group_missing_and_not_zero(groups: pd.DataFrame) -> None:
    found = day_by_group(eaten(1, [(1, 11111000, np.nan), (1, 94000100, 2)]), groups, people=[1])
    assert np.isnan(found["dairy"].item())
    assert found["water"].item() == 2.0


def test_a_food_that_is_not_described_or_a_person_given_twice_is_refused(groups: pd.DataFrame) -> None:
    with pytest.raises(MgRiskError) as caught:
        day_by_group(eaten(1, [(1, 72125999, 1)]), groups, people=[1])
    assert caught.value.code == "foods.unknown_code"
    with pytest.raises(MgRiskError) as caught:
        day_by_group(eaten(1, [(1, 94000100, 1)]), groups, people=[1, 1])
    assert caught.value.code == "foods.repeated_person"


STATUS = st.sampled_from([1.0, 2.0, 4.0, 5.0, float("nan")])
ROWS = st.lists(
    st.tuples(st.integers(0, 4), st.sampled_from([food[0] for food in FOODS]), st.integers(0, 500)), max_size=40
)


@given(ROWS, ROWS, st.lists(st.tuples(STATUS, STATUS), min_size=5, max_size=5))
def test_groups_add_up_to_the_mean_of_reliable_days_exactly(
    first: list[tuple[int, int, float]], second: list[tuple[int, int, float]], status: list[tuple[float, float]]
) -> None:
    kinds = food_groups().assign(described(*(food[:2] for food in FOODS)))
    totals = pd.DataFrame({"SEQN": range(5), "DR1DRSTZ": [a for a, _ in status], "DR2DRSTZ": [b for _, b in status]})
    for day, rows in ((1, first), (2, second)):
        totals[f"t{day}"] = [float(sum(mg for seqn, _, mg in rows if seqn == person)) for person in range(5)]
    found = by_group(eaten(1, first), eaten(2, second), kinds, totals=totals)
    wanted = mean_of_reliable_days(totals, day_1="t1", day_2="t2")
    np.testing.assert_array_equal(found.sum(axis=1, skipna=False), wanted)


def test_one_reliable_day_counts_alone_and_a_day_of_fasting_as_zero(groups: pd.DataFrame) -> None:
    totals = pd.DataFrame({"SEQN": [1, 2, 3], "DR1DRSTZ": [1, 2, 1], "DR2DRSTZ": [5, 5, 1]})
    found = by_group(
        eaten(1, [(1, 94000100, 6), (2, 94000100, 6)]), eaten(2, [(3, 94000100, 6)]), groups, totals=totals
    )
    np.testing.assert_array_equal(found["water"], [6.0, np.nan, 3.0])


DESIGN = SurveyDesign([10.0, 20.0, 30.0, 40.0, 5.0], [1, 1, 2, 2, 2], [1, 2, 1, 2, 2], WeightLevel.RECALL1)


def test_shares_add_up_to_one_and_are_ratios_of_weighted_totals() -> None:
    intake = pd.DataFrame({"water": [10.0, 0, 20, 5, np.nan], "rest": [90.0, 50, 0, 45, np.nan]})
    found = shares(intake, DESIGN.where([True] * 4 + [False]))
    assert found["water"].estimate == pytest.approx((100 + 600 + 200) / (1000 + 1000 + 600 + 2000), rel=1e-12)
    assert found["water"].estimate + found["rest"].estimate == pytest.approx(1.0, rel=1e-12)
    assert found["water"].se == pytest.approx(found["rest"].se, rel=1e-9)
    assert list(found) == ["water", "rest"]


def test_top_foods_are_ranked_by_weighted_totals_inside_the_domain(groups: pd.DataFrame) -> None:
    # A food without an amount outside the domain does not hide the same food inside it.
    outside = [(5, 93101000, 9999.0), (77, 93101000, 9999.0), (5, 63107010, float("nan"))]
    inside = [(1, 92101000, 10.0), (2, 94000100, 4.0), (3, 94000100, 2.0), (4, 63107010, 30.0), (4, 63107010, 2.0)]
    rows = eaten(1, [*outside, *inside])
    top = top_foods(rows, groups, DESIGN.where([True] * 4 + [False]), people=[1, 2, 3, 4, 5], top=2)
    table = top.frame()
    assert table["food_code"].tolist() == [63107010, 94000100]
    assert table["group"].tolist() == ["fruit", "water"]
    assert table["share"].tolist() == pytest.approx([1280 / 1520, 140 / 1520])
    assert table["cumulative"].tolist() == pytest.approx([1280 / 1520, 1420 / 1520])
    assert table["mg_per_person"].tolist() == pytest.approx([12.8, 1.4])
    wanted = ratio([0, 0, 0, 32, 0], [10, 4, 2, 32, 0], DESIGN.where([True] * 4 + [False]))
    assert table["se"].iloc[0] == pytest.approx(wanted.se)
    assert json.loads(json.dumps(top.to_dict()))["n"] == 4


BY_GROUP = [name for name, feature in FEATURES.items() if feature.summary == "foods"]


def test_each_group_has_its_feature() -> None:
    assert [f"magnesium_from_{name}_mg" for name in food_groups().labels] == BY_GROUP
    assert {FEATURES[name].comparable for name in BY_GROUP} == {("2007-2008", "2021-2023")}


@pytest.mark.nhanes
@pytest.mark.parametrize("each", CYCLES, ids=lambda each: each.years)
def test_the_groups_of_every_person_add_up_to_magnesium_from_food_exactly(each: Cycle, tmp_path: Path) -> None:
    if not os.environ.get("MGRISK_NHANES"):
        pytest.skip("MGRISK_NHANES does not name the mirror of the tables")
    store = Store(source=os.environ["MGRISK_NHANES"], cache=tmp_path, offline=True)
    chosen = features([*BY_GROUP, "magnesium_food_mg"])
    found = from_nhanes(gather(store, cycles=[each], chosen=chosen).frame, chosen)
    if "DR1IFF" in each.absent:
        assert found[BY_GROUP].isna().all(axis=None)
        return
    assert found["magnesium_food_mg"].notna().sum() > 6500
    np.testing.assert_array_equal(found[BY_GROUP].sum(axis=1, skipna=False), found["magnesium_food_mg"])

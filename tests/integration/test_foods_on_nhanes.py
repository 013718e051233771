"""Food groups and supplement forms on the real tables of 2007-2018: sums to CDC's totals, every food in a group."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from mgrisk.features import foods, supplements
from mgrisk.features.magnesium import magnesium_food_mg, magnesium_supplement_mg
from mgrisk.nhanes import xpt
from mgrisk.nhanes.cycles import cycle
from mgrisk.survey.design import SurveyDesign, WeightLevel

pytestmark = pytest.mark.nhanes
YEARS = ["2007-2008", "2009-2010", "2011-2012", "2013-2014", "2015-2016", "2017-2018"]


@dataclass(frozen=True)
class Tables:
    """Tables of the mirror by cycle."""

    root: Path

    def read(self, years: str, table: str, *columns: str) -> pd.DataFrame:
        return xpt.read(self.root / cycle(years).path(table), columns=columns)

    def groups(self, years: str) -> pd.DataFrame:
        return foods.food_groups().assign(self.read(years, "DRXFCD", "DRXFDCD", "DRXFCLD"))

    def eaten(self, years: str, day: int) -> pd.DataFrame:
        return self.read(years, f"DR{day}IFF", "SEQN", f"DR{day}IFDCD", f"DR{day}IMAGN")

    def recalls(self, years: str) -> pd.DataFrame:
        first = self.read(years, "DR1TOT", "SEQN", "DR1DRSTZ", "DR1TMAGN", "WTDRD1")
        return first.merge(self.read(years, "DR2TOT", "SEQN", "DR2DRSTZ", "DR2TMAGN"), on="SEQN", how="outer")

    def adults(self, years: str, weight: pd.Series, level: WeightLevel) -> tuple[pd.Index, SurveyDesign]:
        """Everybody interviewed, with adults as the domain; the weight by SEQN, 0 where it is not there."""
        people = self.read(years, "DEMO", "SEQN", "SDMVSTRA", "SDMVPSU", "RIDAGEYR").set_index("SEQN")
        weights = weight.reindex(people.index).fillna(0.0)
        design = SurveyDesign(weights, people["SDMVSTRA"], people["SDMVPSU"], level)
        return people.index, design.where(people["RIDAGEYR"] >= 20)


@pytest.fixture(scope="module")
def tables(mirror: Path) -> Tables:
    return Tables(mirror)


@pytest.fixture(scope="module")
def forms(mirror: Path) -> tuple[pd.DataFrame, pd.DataFrame]:
    """The products (DSPI) and their forms."""
    folder = mirror / "Public" / "1999" / "DataFiles"
    products = xpt.read(folder / "DSPI.xpt", columns=["DSDPID", "DSDSUPID", "DSDSUPP"])
    ingredients = xpt.read(folder / "DSII.xpt", columns=["DSDPID", "DSDIID", "DSDINGR", "DSDQTY", "DSDUNIT"])
    blends = xpt.read(folder / "DSBI.xpt", columns=["DSDIID", "DSDBCNAM"])
    return products, supplements.product_forms(products, ingredients, blends)


def test_every_food_code_has_one_group_the_same_in_all_cycles_and_no_rule_is_idle(tables: Tables) -> None:
    found = pd.concat([tables.groups(years) for years in YEARS])
    assert len(found) == 46357
    assert found["group"].notna().all()
    changing = found.groupby(level=0)["group"].nunique().loc[lambda count: count > 1]
    assert changing.index.tolist() == []
    assert set(found["rule"]) == set(range(len(foods.food_groups().rules)))


@pytest.mark.parametrize("years", YEARS)
def test_groups_add_up_to_the_days_total_of_every_person_exactly(tables: Tables, years: str) -> None:
    """To the printed precision, whole milligrams; no tolerance."""
    recalls, groups = tables.recalls(years), tables.groups(years)
    for day in (1, 2):
        of_day = foods.day_by_group(tables.eaten(years, day), groups, people=recalls["SEQN"], day=day)
        reliable = (recalls[f"DR{day}DRSTZ"] == 1).to_numpy()
        total = of_day.sum(axis=1, skipna=False).to_numpy()
        np.testing.assert_array_equal(total[reliable], recalls[f"DR{day}TMAGN"].to_numpy()[reliable])
    found = foods.by_group(tables.eaten(years, 1), tables.eaten(years, 2), groups, totals=recalls)
    np.testing.assert_array_equal(found.sum(axis=1, skipna=False), magnesium_food_mg(recalls))


def test_sources_and_top_foods_of_adults_in_2017_2018(tables: Tables) -> None:
    """Numbers of this program at its first run (decision 0007): a change of a rule shows here."""
    years = "2017-2018"
    recalls, groups = tables.recalls(years), tables.groups(years)
    found = foods.by_group(tables.eaten(years, 1), tables.eaten(years, 2), groups, totals=recalls)
    people, design = tables.adults(years, recalls.set_index("SEQN")["WTDRD1"], WeightLevel.RECALL1)
    percent = foods.shares(found.reindex(people), design).frame().set_index("group")["estimate"] * 100
    assert percent.sum() == pytest.approx(100, abs=1e-9)
    assert percent[["refined_grains", "meat_fish", "other_vegetables", "nuts", "leafy_vegetables"]].round(
        1
    ).tolist() == [18.1, 15.0, 10.1, 6.1, 1.5]
    top = foods.top_foods(tables.eaten(years, 1), groups, design, people=people, top=3).frame()
    assert top["description"].tolist() == ["Water, bottled, unsweetened", "Coffee, brewed", "Water, tap"]
    assert (top["share"] * 100).round(2).tolist() == [4.09, 2.41, 2.19]


@pytest.mark.parametrize("years", YEARS)
def test_products_add_up_to_the_thirty_day_total_of_every_person(
    tables: Tables, forms: tuple[pd.DataFrame, pd.DataFrame], years: str
) -> None:
    products, found = forms
    number = "DSDPID" if years == "2017-2018" else "DSDSUPID"
    taken = tables.read(years, "DSQIDS", "SEQN", number, "DSD103", "DSQIMAGN")
    totals = tables.read(years, "DSQTOT", "SEQN", "DSD010", "DSD010AN", "DSQTMAGN")
    intake = supplements.by_form(taken, products, found, totals=totals)
    # CDC printed one decimal until 2009-2010 and two since.
    decimals = 1 if years < "2011" else 2
    checked = supplements.agreement(intake, totals, decimals=decimals)
    assert checked.people > 1400
    assert checked.agree == checked.people
    feature = magnesium_supplement_mg(totals)
    np.testing.assert_allclose(intake.sum(axis=1, skipna=False), feature, atol=0.5 * 10.0**-decimals + 1e-9, rtol=0)


def test_the_form_is_unspecified_for_nearly_all_users_of_2017_2018(
    tables: Tables, forms: tuple[pd.DataFrame, pd.DataFrame]
) -> None:
    products, found = forms
    years = "2017-2018"
    taken = tables.read(years, "DSQIDS", "SEQN", "DSDPID", "DSD103", "DSQIMAGN")
    totals = tables.read(years, "DSQTOT", "SEQN", "DSD010", "DSD010AN")
    weight = tables.read(years, "DEMO", "SEQN", "WTINT2YR").set_index("SEQN")["WTINT2YR"]
    people, design = tables.adults(years, weight, WeightLevel.INTERVIEW)
    intake = supplements.by_form(taken, products, found, totals=totals).reindex(people)
    share = supplements.users(intake, design.where(intake["oxide"].notna()))
    assert share["any"].estimate == pytest.approx(0.268, abs=0.0005)
    assert share["unspecified"].estimate == pytest.approx(0.251, abs=0.0005)
    assert share["other"].estimate == pytest.approx(0.021, abs=0.0005)
    assert max(share[form].estimate for form in ("oxide", "citrate", "glycinate", "chloride")) < 0.002

"""The chemical form is taken from the tables, amounts are not divided by form, and they add up to CDC's totals."""

from __future__ import annotations

import json
import os
import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from mgrisk.errors import MgRiskError
from mgrisk.features.compute import from_nhanes
from mgrisk.features.magnesium import magnesium_supplement_mg
from mgrisk.features.registry import FEATURES, features
from mgrisk.features.summary import gather
from mgrisk.features.supplements import (
    FORMS,
    agreement,
    by_form,
    product_forms,
    product_numbers,
    users,
    wordings,
)
from mgrisk.nhanes.cycles import CYCLES, Cycle
from mgrisk.nhanes.store import Store
from mgrisk.survey.design import SurveyDesign, WeightLevel

NAN = float("nan")
INGREDIENT = ["DSDPID", "DSDIID", "DSDINGR", "DSDQTY", "DSDUNIT"]
NO_BLENDS = pd.DataFrame({"DSDIID": [0.0], "DSDBCNAM": ["ROSE HIPS"]})


def read(name: str, *ingredients: tuple[str, float], blend: tuple[str, ...] = ()) -> tuple[str, str, str]:
    """Form, salt and evidence of one product; an ingredient called BLEND has the parts `blend`."""
    rows = [(7.0, float(place), text, mg, 1.0) for place, (text, mg) in enumerate(ingredients, start=1)]
    parts = [(row[1], part) for row in rows if row[2] == "BLEND" for part in blend]
    found = product_forms(
        pd.DataFrame({"DSDPID": [7.0], "DSDSUPP": [name]}),
        pd.DataFrame(rows, columns=INGREDIENT),
        pd.DataFrame(parts, columns=["DSDIID", "DSDBCNAM"]) if parts else NO_BLENDS,
    )
    return tuple(found.loc[7, ["form", "salt", "evidence"]])


PLAIN = ("MAGNESIUM", 100.0)
# Names of products that participants took, with what they say about the magnesium.
NAMES = [
    ("MAGNESIUM 400 MG", "unspecified", ""),
    ("CENTRUM SILVER MULTIVITAMIN / MULTIMINERAL", "unspecified", ""),
    ("COUNTRY LIFE MAGNESIUM CITRATE 250 MG", "citrate", "citrate"),
    ("KIRKLAND SIGNATURE CALCIUM CITRATE MAGNESIUM AND ZINC WITH VITAMIN D3", "unspecified", ""),
    ("CVS PHARMACY CALCIUM CITRATE + D WITH MAGNESIUM", "unspecified", ""),
    ("SOLARAY CAL-MAG CITRATE", "citrate", "citrate"),
    ("KAL MAGNESIUM GLYCINATE 400", "glycinate", "glycinate"),
    ("SLOW-MAG MAGNESIUM CHLORIDE WITH CALCIUM", "chloride", "chloride"),
    ("GASPARI NUTRITION NITRIC OXIDE XTREME", "unspecified", ""),
    ("SPRING VALLEY NATURAL MAGNESIUM WITH CHELATED ZINC", "unspecified", ""),
    ("NATURE'S BOUNTY CHELATED CALCIUM MAGNESIUM ZINC", "other", "chelate"),
    ("NOW MAGNESIUM & POTASSIUM ASPARATE WITH TAURINE", "other", "aspartate"),
    ("GERI-LANTA ALUMINA, MAGNESIA, AND SIMETHICONE ORAL SUSPENSION", "other", "hydroxide"),
    ("ORIGINAL ROLAIDS ANTACID / CALCIUM", "other", "hydroxide"),
    ("ROLAIDS SOFTCHEWS ULTRA STRENGTH ANTACID", "unspecified", ""),
    ("TUMS ANTACID CHEWY DELIGHTS ULTRA STRENGTH CALCIUM CARBONATE", "unspecified", ""),
]


@pytest.mark.parametrize(("name", "form", "salt"), NAMES)
def test_a_name_says_the_form_only_where_the_salt_is_the_magnesiums(name: str, form: str, salt: str) -> None:
    assert read(name, PLAIN)[:2] == (form, salt)


def test_an_ingredient_is_believed_before_a_name_and_a_name_before_a_brand() -> None:
    name = "MYLANTA WITH MAGNESIUM CITRATE"
    assert read(name, ("MAGNESIUM OXIDE", 300.0)) == ("oxide", "oxide", "ingredient")
    assert read(name, PLAIN) == ("citrate", "citrate", "name")
    assert read("MYLANTA", PLAIN) == ("other", "hydroxide", "brand")


def test_several_salts_are_named_together_and_nothing_is_divided() -> None:
    assert read("M", ("MAGNESIUM GLYCINATE", 690.0), ("MAGNESIUM TAURATE", 630.0)) == (
        "other",
        "glycinate + taurate",
        "ingredient",
    )
    assert read("M", ("MAGNESIUM OXIDE", 1.0), ("MAGNESIUM OXIDE", 2.0))[0] == "oxide"


def test_a_lubricant_of_tablets_says_nothing_about_the_form() -> None:
    assert read("MULTI", PLAIN, ("MAGNESIUM STEARATE", 8.0)) == ("unspecified", "", "")


def test_a_blend_is_believed_only_where_it_can_hold_the_magnesium() -> None:
    parts = ("MAGNESIUM OXIDE", "ROSE HIPS")
    assert read("MULTI", PLAIN, ("BLEND", 518.0), blend=parts) == ("oxide", "oxide", "blend")
    assert read("MULTI", PLAIN, ("BLEND", 25.0), blend=parts)[0] == "unspecified"
    assert read("MULTI", PLAIN, ("BLEND", NAN), blend=parts)[0] == "unspecified"
    assert read("MULTI", ("BLEND", NAN), blend=parts)[0] == "oxide"


def test_every_wording_has_a_form_and_words_that_compile() -> None:
    rows = wordings()
    for row in (*rows.salts, *rows.brands):
        assert row.form in {*FORMS, "none"} - {"unspecified"}
        assert row.words
        assert not re.compile("|".join(row.words)).search("MAGNESIUM")
    assert {"oxide", "citrate", "glycinate", "chloride"} <= {row.salt for row in rows.salts if row.form == row.salt}
    assert len(rows.frame()) == len(rows.salts) + len(rows.brands)


PRODUCTS = pd.DataFrame(
    {
        "DSDPID": [1.0, 2.0, 3.0],
        "DSDSUPID": ["1000000001", "1000000002", ""],
        "DSDSUPP": ["MAGNESIUM OXIDE 400 MG", "MAGNESIUM 250 MG", "MAGNESIUM CHLORIDE"],
    }
)
FOUND = product_forms(PRODUCTS, pd.DataFrame({name: pd.Series(dtype=float) for name in INGREDIENT}), NO_BLENDS)
TAKEN = pd.DataFrame(
    [
        (10, 1, 30, 240.0),
        (10, 2, 10, 250.0),
        (10, 1, 3, 100.0),
        (11, 3, 9999, 64.0),
        (11, 2, 5, NAN),
        (12, 3, 15, 64.0),
    ],
    columns=["SEQN", "DSDPID", "DSD103", "DSQIMAGN"],
)
TOTALS = pd.DataFrame(
    {
        "SEQN": [13, 12, 11, 10, 14],
        "DSD010": [2, 1, 1, 1, 9],
        "DSD010AN": [2, 2, 2, 2, 2],
        "DSQTMAGN": [NAN, 32.0, NAN, 333.33, NAN],
    }
)


def test_amounts_are_spread_over_thirty_days_by_form() -> None:
    intake = by_form(TAKEN, PRODUCTS, FOUND, totals=TOTALS)
    assert intake.columns.tolist() == list(FORMS)
    assert intake.loc[10, ["oxide", "unspecified", "chloride"]].tolist() == pytest.approx([250.0, 250 / 3, 0.0])
    assert intake.loc[12, "chloride"] == 32.0


def test_who_took_none_has_zero_and_who_did_not_say_is_missing_as_in_the_feature() -> None:
    intake = by_form(TAKEN, PRODUCTS, FOUND, totals=TOTALS)
    assert (intake.loc[[13, 11]] == 0.0).all(axis=None)
    assert intake.loc[14].isna().all()
    feature = magnesium_supplement_mg(TOTALS)
    np.testing.assert_allclose(intake.sum(axis=1, skipna=False), feature, atol=0.005)


def test_older_product_numbers_lead_to_the_same_products() -> None:
    older = TAKEN[TAKEN["DSDPID"] < 3].assign(DSDSUPID=lambda rows: 1_000_000_000 + rows["DSDPID"])
    pd.testing.assert_frame_equal(
        by_form(older.drop(columns="DSDPID"), PRODUCTS, FOUND, totals=TOTALS),
        by_form(TAKEN[TAKEN["DSDPID"] < 3], PRODUCTS, FOUND, totals=TOTALS),
    )
    assert product_numbers(pd.DataFrame({"DSDPID": [3.0, 99.0]}), PRODUCTS).tolist() == [3, -1]


def test_a_product_with_magnesium_that_is_not_listed_is_refused_and_one_without_is_not() -> None:
    unlisted = TAKEN.assign(DSDPID=99.0)
    with pytest.raises(MgRiskError) as caught:
        by_form(unlisted, PRODUCTS, FOUND, totals=TOTALS)
    assert caught.value.code == "supplements.unknown_product"
    assert by_form(unlisted.assign(DSQIMAGN=NAN), PRODUCTS, FOUND, totals=TOTALS).loc[10].sum() == 0.0


def test_agreement_counts_to_the_printed_digit() -> None:
    intake = by_form(TAKEN, PRODUCTS, FOUND, totals=TOTALS)
    assert agreement(intake, TOTALS, decimals=2).to_dict() == pytest.approx(
        {"people": 2, "agree": 2, "share": 1.0, "largest": 1 / 300}, abs=1e-9
    )
    wrong = TOTALS.assign(DSQTMAGN=[NAN, 32.0, NAN, 333.3, NAN])
    assert agreement(intake, wrong, decimals=2).agree == 1
    assert agreement(intake, wrong, decimals=1).agree == 2
    # A person with an amount on one side only is a disagreement, not left out.
    assert agreement(intake, TOTALS.assign(DSQTMAGN=[5.0, 32.0, NAN, 333.33, NAN]), decimals=2).people == 3


def test_users_are_weighted_and_a_person_with_two_forms_counts_once_in_any() -> None:
    design = SurveyDesign([4.0, 3, 2, 1, 9], [1, 1, 2, 2, 2], [1, 2, 1, 2, 2], WeightLevel.INTERVIEW)
    intake = by_form(TAKEN, PRODUCTS, FOUND, totals=TOTALS)
    found = users(intake, design.where(intake["oxide"].notna()))
    assert found["chloride"].estimate == pytest.approx(0.3)
    assert found["oxide"].estimate == pytest.approx(0.1)
    assert found["unspecified"].estimate == pytest.approx(0.1)
    assert found["any"].estimate == pytest.approx(0.4)
    assert json.loads(json.dumps(found.to_dict()))["any"]["n"] == 4
    with pytest.raises(MgRiskError, match="missing"):
        users(intake, design)


BY_FORM = [name for name, feature in FEATURES.items() if feature.summary == "supplements"]
PRINTED_TO_HUNDREDTHS = {"2011-2012", "2013-2014", "2015-2016", "2017-2018"}


def test_each_form_has_its_feature() -> None:
    assert [f"magnesium_{form}_mg" for form in FORMS] == BY_FORM
    assert {FEATURES[name].comparable for name in BY_FORM} == {("2007-2008", "2021-2023")}


@pytest.mark.nhanes
@pytest.mark.parametrize("each", CYCLES, ids=lambda each: each.years)
def test_the_forms_of_every_person_add_up_to_the_total_that_cdc_prints(each: Cycle, tmp_path: Path) -> None:
    if not os.environ.get("MGRISK_NHANES"):
        pytest.skip("MGRISK_NHANES does not name the mirror of the tables")
    store = Store(source=os.environ["MGRISK_NHANES"], cache=tmp_path, offline=True)
    chosen = features([*BY_FORM, "magnesium_supplement_mg"])
    gathered = gather(store, cycles=[each], chosen=chosen).frame
    found = from_nhanes(gathered, chosen)
    if each.first < 2007:
        assert found.isna().all(axis=None)
        return
    total = found["magnesium_supplement_mg"]
    assert found[BY_FORM].notna().all(axis=1).equals(total.notna())
    decimals = 2 if each.years in PRINTED_TO_HUNDREDTHS else 1
    whole = agreement(found[BY_FORM], gathered, decimals=decimals)
    assert whole.people > 1400
    assert whole.share == 1.0

"""`load_nhanes` gives the people of a run: the same rows, weights and folds, by the same code."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import mgrisk
from mgrisk.cohort.load import People, load_nhanes
from mgrisk.errors import MgRiskError
from mgrisk.nhanes.codebook import variable
from mgrisk.nhanes.cycles import cycle
from mgrisk.nhanes.documented import documentation
from mgrisk.nhanes.synthetic import write_cohort
from mgrisk.survey.design import WeightLevel

on_the_mirror = pytest.mark.skipif(
    not os.environ.get("MGRISK_NHANES"), reason="MGRISK_NHANES does not name the mirror of the tables"
)
DEMO = Path(__file__).parents[3] / "pipelines" / "demo.toml"
GOLDEN = Path(__file__).parents[2] / "golden" / "survey.json"
YEARS = ("2013-2014", "2015-2016")
CHOSEN = ["age_years", "sex", "magnesium_food_mg", "bmi_kg_m2", "usual_magnesium_mg"]
SETTINGS = (
    'cohort.across_breaks=["glucose-2015"]',
    "synthetic.people_per_cycle=1500",
    f"cohort.development={json.dumps(YEARS)}",
    "cohort.folds=4",
    "cohort.seed=3",
    f"model.features={json.dumps(CHOSEN)}",
)


@pytest.fixture(scope="module")
def run_and_tables(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    folder = tmp_path_factory.mktemp("run") / "run"
    mgrisk.run(DEMO, overrides=SETTINGS, out=folder, until="folds")
    (tables,) = {path.parents[3] for path in folder.rglob("DEMO_H.xpt")}
    return folder, tables


@pytest.fixture(scope="module")
def people(run_and_tables: tuple[Path, Path]) -> People:
    return load_nhanes(
        YEARS, features=CHOSEN, outcome="undiagnosed", variables=["INDFMPIR", "SMQ020"],
        across_breaks=["glucose-2015"], source=run_and_tables[1],
    )  # fmt: skip


def test_the_people_are_those_of_a_run(people: People, run_and_tables: tuple[Path, Path]) -> None:
    run, _ = run_and_tables
    cohort = pd.read_parquet(run / "cohort.parquet").query("set == 'development'")
    analysed = cohort[cohort["analysis"]].set_index("SEQN")
    assert people.frame.index.name == "SEQN"
    assert people.frame.index.tolist() == analysed.index.tolist()
    assert people.outcome is not None
    assert (people.outcome == analysed["outcome"]).all()
    assert people.outcome.sum() > 10
    assert (people.design.weights == analysed["weight"]).all()
    assert (people.cycle == analysed["cycle"]).all()
    of_run = pd.read_parquet(run / "features.parquet").set_index("SEQN").loc[analysed.index, CHOSEN]
    pd.testing.assert_frame_equal(people.frame[CHOSEN], of_run, check_exact=True)
    assert people.frame["usual_magnesium_mg"].notna().mean() > 0.5
    attrition = pd.read_json(run / "attrition.json").query("set == 'development'").reset_index(drop=True)
    pd.testing.assert_frame_equal(people.attrition, attrition[people.attrition.columns], check_dtype=False)
    assert people.attrition["n"].iloc[-1] == len(people) == len(people.design)


def test_the_folds_are_those_of_a_run(people: People, run_and_tables: tuple[Path, Path]) -> None:
    of_run = pd.read_parquet(run_and_tables[0] / "folds.parquet").set_index("SEQN")["fold"]
    cv = mgrisk.DesignKFold(4, design=people.design, seed=3)
    for number, (_, test) in enumerate(cv.split(people.frame)):
        assert set(of_run[people.frame.index[test]]) == {number}


def test_the_design_keeps_the_psus_of_everybody(people: People, run_and_tables: tuple[Path, Path]) -> None:
    cohort = pd.read_parquet(run_and_tables[0] / "cohort.parquet").query("set == 'development'")
    assert people.design.n_clusters == len(cohort[["stratum", "psu"]].drop_duplicates())
    old = load_nhanes("2015-2016", variables=["RIDAGEYR"], minimum_age=80, source=run_and_tables[1])
    assert len(old) < 150
    everybody = load_nhanes("2015-2016", variables=["RIDAGEYR"], minimum_age=0, source=run_and_tables[1])
    assert old.design.n_clusters == everybody.design.n_clusters
    domain = everybody.design.where(everybody.frame["RIDAGEYR"] >= 80)
    theirs = mgrisk.survey.total(everybody.frame["RIDAGEYR"], domain)
    np.testing.assert_allclose(mgrisk.survey.total(old.frame["RIDAGEYR"], old.design), theirs, rtol=1e-12)


def test_answers_are_in_cdcs_words_and_the_weight_follows_what_is_asked_for(run_and_tables: tuple[Path, Path]) -> None:
    tables = run_and_tables[1]
    asked = load_nhanes(YEARS, variables=["SMQ020"], source=tables)
    assert asked.outcome is None
    assert set(asked.frame["SMQ020"].dropna()) == {"Yes", "No"}
    assert asked.attrition.columns.tolist() == ["rule", "n", "excluded"]
    given = [(["SMQ020"], WeightLevel.INTERVIEW, "SMQ020"), (["SMQ020", "BMXBMI"], WeightLevel.EXAM, "BMXBMI"),
             (["BMXBMI", "LBXGLU"], WeightLevel.FASTING, "LBXGLU")]  # fmt: skip
    for variables, level, forced_by in given:
        found = load_nhanes("2015-2016", variables=variables, source=tables)
        assert (found.design.level, found.forced_by) == (level, forced_by)
        assert (found.design.weights > 0).all()
    # Two cycles share the years.
    one = load_nhanes("2015-2016", variables=["SMQ020"], source=tables)
    assert asked.design.weights[asked.cycle == "2015-2016"].sum() == pytest.approx(one.design.weights.sum() / 2)


def test_it_says_in_a_line_and_on_a_page_of_a_notebook_what_it_is(people: People) -> None:
    said = repr(people)
    assert said.startswith(f"People(SYNTHETIC: {len(people):,} of 2013-2014, 2015-2016; ")
    assert "cases of undiagnosed; 7 columns; fasting weight WTSAF2YR, because of LBXGLU" in said
    page = people._repr_html_()
    assert "SYNTHETIC" in page
    assert "not pregnant" in page
    marked = replace(people, forced_by="<b>")
    assert "&lt;b&gt;" in marked._repr_html_()


@pytest.mark.parametrize(
    ("ask", "code", "said"),
    [
        (lambda **t: load_nhanes("2015-2016", features=["age"], **t), "features.unknown", "age"),
        (lambda **t: load_nhanes("2015-2016", variables=["SMQ02"], **t), "codebook.unknown_variable", "SMQ02"),
        (lambda **t: load_nhanes("2015-2016", variables=["RXDUSE"], **t), "harmonise.several_rows", "table RXQ_RX"),
        (lambda **t: load_nhanes("2015-2016", variables=["DSDUNIT"], **t), "harmonise.several_rows", "table DS"),
        (lambda **t: load_nhanes("2015-2016", features=["sex"], outcome="diabetis", **t), "outcomes.unknown", "diab"),
        (lambda **t: load_nhanes("2014-2015", features=["sex"], **t), "cycles.unknown_cycle", "2014-2015"),
        (lambda **t: load_nhanes("2007-2008", variables=["RIDRETH3"], **t), "describe.not_measured", "2007-2008"),
        (lambda **t: load_nhanes("2015-2016", features=["sex", "sex"], **t), "load.twice", "sex"),
        (lambda **t: load_nhanes("2015-2016", **t), "design.no_variables", "without variables"),
        (lambda **t: load_nhanes("2015-2016", features=["sex"], minimum_age=120, **t), "load.nobody", "nobody"),
        (lambda **t: load_nhanes("2015-2016", outcome="undiagnosed", variables=["LBXGH"], **t),
         "leakage.by_name", "glycaemia"),
        (lambda **t: load_nhanes(["2013-2014", "2015-2016"], variables=["LBXGLU"], **t),
         "eras.not_comparable", "glucose-2015"),
    ],
)  # fmt: skip
def test_what_cannot_be_loaded_is_refused_with_its_reason(
    ask: Callable[..., People], code: str, said: str, run_and_tables: tuple[Path, Path]
) -> None:
    with pytest.raises(MgRiskError) as caught:
        ask(source=run_and_tables[1])
    assert caught.value.code == code
    assert said in " ".join(caught.value.lines())


def test_a_break_is_pooled_or_converted_by_name(run_and_tables: tuple[Path, Path]) -> None:
    pooled, converted = (
        load_nhanes(YEARS, variables=["LBXGLU"], source=run_and_tables[1], **{how: ["glucose-2015"]})
        for how in ("across_breaks", "harmonise")
    )
    before = pooled.cycle == "2013-2014"
    assert converted.frame["LBXGLU"][before].dropna().tolist() == pytest.approx(
        (-0.5108 + 1.023 * pooled.frame["LBXGLU"][before].dropna()).tolist()
    )
    assert converted.frame["LBXGLU"][~before].equals(pooled.frame["LBXGLU"][~before])
    assert "to the later scale of glucose-2015" in repr(converted)
    assert "later scale" not in repr(pooled)


def test_an_equation_that_needs_other_variables_has_them_read(tmp_path: Path) -> None:
    write_cohort(tmp_path, people_per_cycle=200, cycles=[cycle("2009-2010")])
    found = load_nhanes(
        "2009-2010", features=["bmi_class"], variables=["BMXBMI"], harmonise=["bmi-2011"], source=tmp_path
    )
    both = load_nhanes("2009-2010", variables=["BMXBMI", "BMXWT", "BMXHT"], source=tmp_path).frame.loc[
        found.frame.index
    ]
    assert found.frame.columns.tolist() == ["bmi_class", "BMXBMI"]
    exact = both["BMXWT"] / (both["BMXHT"] / 100.0) ** 2
    assert (found.frame["BMXBMI"] - exact).abs().max() <= 0.05 + 1e-9
    assert found.frame["BMXBMI"].tolist() == pytest.approx(found.frame["BMXBMI"].round(1).tolist(), abs=1e-12)


@pytest.mark.nhanes
@on_the_mirror
def test_any_variable_of_nhanes_has_the_counts_of_cdc() -> None:
    asked = ["SLQ050", "KIQ022", "DBQ197", "LBXHSCRP", "DMDMARTL"]
    people = load_nhanes("2017-2018", variables=asked, minimum_age=0)
    assert (people.design.level, people.weight) == (WeightLevel.BLOOD, ("WTMEC2YR",))
    everybody = load_nhanes("2017-2018", variables=["SLQ050", "DMDMARTL"], minimum_age=0)
    assert len(everybody) == 9254
    for name in ("SLQ050", "DMDMARTL"):
        (told,) = (row for row in documentation(name) if row["cycle"] == "2017-2018")
        words = variable(name).codes
        counts = {words[code["code"]]: code["count"] for code in told["codes"] if code["code"] in words}
        assert everybody.frame[name].value_counts().to_dict() == counts
    share = mgrisk.survey.proportion(everybody.frame["SLQ050"], everybody.design)
    assert share.loc["Yes", "estimate"] == pytest.approx(0.29, abs=0.02)


def test_a_cohort_of_its_own_is_read_offline(tmp_path: Path) -> None:
    write_cohort(tmp_path / "made-up", people_per_cycle=200, cycles=[cycle("2009-2010")])
    found = load_nhanes("2009-2010", features=["age_years"], source=tmp_path / "made-up", offline=True)
    assert found.synthetic
    with pytest.raises(MgRiskError, match="does not have this table"):
        load_nhanes("2011-2012", features=["age_years"], source=tmp_path / "made-up")
    with pytest.raises(MgRiskError) as caught:
        load_nhanes("2011-2012", variables=["SMQ020", "BMXBMI"], source=tmp_path / "made-up")
    assert caught.value.code == "store.fetch_failed"
    assert "SMQ_G" in caught.value.where
    assert "BMX_G" in caught.value.where


@pytest.mark.nhanes
@on_the_mirror
def test_obesity_by_age_from_the_call_to_the_frame_is_that_of_r() -> None:
    theirs = json.loads(GOLDEN.read_text("utf-8"))["values"]["nhanes"]["obesity_2017"]
    people = load_nhanes("2017-2018", features=["age_years"], variables=["BMXBMI", "RIDEXPRG"])
    pregnant = people.frame["RIDEXPRG"] == "Yes, positive lab pregnancy test or self-reported pregnant at exam"
    assert pregnant.sum() == 55
    group = pd.cut(people.frame["age_years"], [20, 40, 60, np.inf], right=False, labels=theirs["age_group"])
    obese = (people.frame["BMXBMI"] >= 30).where(people.frame["BMXBMI"].notna())
    found = mgrisk.survey.proportion(obese.astype("boolean"), people.design.where(~pregnant), by=group)
    assert found.index.tolist() == theirs["age_group"]
    assert found["estimate"].tolist() == pytest.approx(theirs["estimate"], rel=1e-9)
    assert found["se"].tolist() == pytest.approx(theirs["se"], rel=1e-8)
    assert found["n"].sum() == theirs["n"]

"""A user's file as a cohort: eligibility, attrition, and errors before training."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from mgrisk.config.pipeline_file import Pipeline, load
from mgrisk.errors import MgRiskError
from mgrisk.pipeline.own_cohort import columns, files, given, make_cohort, refuse_misuse
from mgrisk.pipeline.workspace import Workspace
from mgrisk.storage.files import read_json

FEATURES = ["age_years", "sex", "bmi_kg_m2", "hypertension_told"]
N = 400


def people() -> pd.DataFrame:
    random = np.random.default_rng(8)
    return pd.DataFrame(
        {
            "person_id": [f"P{number:04d}" for number in range(N)],
            "year": np.repeat([2015, 2016, 2017, 2018], N // 4),
            "clinic": random.integers(1, 9, N),
            "w": random.uniform(1, 3, N).round(3),
            "age_years": random.integers(25, 80, N),
            "sex": random.choice(["female", "male"], N),
            "height_cm": random.normal(170, 8, N).round(1),
            "weight_kg": random.normal(80, 12, N).round(1),
            "hypertension_told": random.choice(["no", "yes"], N),
            "case": random.choice([0, 1], N, p=[0.8, 0.2]),
        }
    )


Make = Callable[..., Workspace]


@pytest.fixture
def make(tmp_path: Path) -> Make:
    def workspace(
        frame: pd.DataFrame | None = None,
        *overrides: str,
        own: str = "",
        suffix: str = ".csv",
        held_out: str = 'period = "year"',
        sets: str = 'development = ["2015", "2016"]\nheld_out = ["2017"]',
    ) -> Workspace:
        source = tmp_path / f"cohort{suffix}"
        frame = people() if frame is None else frame
        frame.to_parquet(source) if suffix == ".parquet" else frame.to_csv(source, index=False)
        pipeline = tmp_path / "own.toml"
        pipeline.write_text(
            f"""
            name = "own"
            title = "Own"
            [own]
            file = "{source}"
            data = "Elsewhere 2015-2017"
            outcome = "case"
            {held_out}
            {own}
            [cohort]
            outcome = "diabetes"
            {sets}
            [model]
            features = {json.dumps(FEATURES)}
            [model.spline_logistic]
            """
        )
        (tmp_path / "run").mkdir(exist_ok=True)
        settings = load(pipeline, overrides=overrides)
        assert settings.own is not None
        return Workspace(settings, tmp_path / "run", given=given(settings.own))

    return workspace


def made(workspace: Workspace) -> pd.DataFrame:
    own = workspace.pipeline.own
    assert own is not None
    refuse_misuse(workspace, own)
    make_cohort(workspace, own)
    return pd.read_parquet(workspace.run.path("cohort.parquet"))


def refused(workspace: Workspace) -> str:
    with pytest.raises(MgRiskError) as caught:
        made(workspace)
    return caught.value.code


def test_a_row_is_a_participant_by_its_number_and_rows_of_other_periods_are_counted(make: Make) -> None:
    workspace = make()
    cohort = made(workspace)
    assert cohort["SEQN"].tolist() == list(range(1, 301))
    assert cohort.groupby("cycle", observed=True)["set"].first().to_dict() == {
        "2015": "development", "2016": "development", "2017": "held-out",
    }  # fmt: skip
    told = read_json(workspace.run.path("cohort.json"))
    assert told["own"]["other_periods"] == 100
    assert told["data"] == "Elsewhere 2015-2017"
    assert set(pd.read_parquet(workspace.run.path("features.parquet"))["data"]) == {"Elsewhere 2015-2017"}
    assert not any("P0001" in path.read_text("latin-1") for path in workspace.folder.iterdir())


def test_features_are_derived_as_in_scoring(make: Make) -> None:
    workspace = make()
    made(workspace)
    frame = people()[:300]
    found = pd.read_parquet(workspace.run.path("features.parquet"))["bmi_kg_m2"]
    np.testing.assert_allclose(found, frame["weight_kg"] / (frame["height_cm"] / 100) ** 2)


def test_each_rule_counts_whom_it_takes_out_of_each_set(make: Make) -> None:
    frame = people().astype({"case": object})
    frame.loc[[0, 1], "case"] = ""
    frame.loc[[2, 3, 4, 250], "age_years"] = [21, 22, 500, 21]
    workspace = make(frame, "cohort.minimum_age=25")
    cohort = made(workspace)
    steps = {(step["set"], step["rule"]): step for step in read_json(workspace.run.path("attrition.json"))}
    assert steps["development", "rows of 2015, 2016"]["n"] == 200
    assert steps["development", "case known"]["excluded"] == 2
    assert steps["development", "accepted by the input schema"]["excluded"] == 1
    assert steps["development", "25 years and older"]["excluded"] == 2
    assert steps["held-out", "25 years and older"] == {
        "set": "held-out", "rule": "25 years and older", "n": 99, "excluded": 1,
        "events": int((frame["case"][200:300] == 1).sum() - (frame["case"][250] == 1)), "data": "Elsewhere 2015-2017",
    }  # fmt: skip
    assert cohort.groupby("set", observed=True)["analysis"].sum().to_dict() == {"development": 195, "held-out": 99}
    assert read_json(workspace.run.path("cohort.json"))["own"]["problems"] == {"out_of_range:age_years": 1}


def test_weights_strata_and_units_are_those_of_the_file(make: Make) -> None:
    workspace = make(own='weight = "w"\nstrata = "sex"\npsu = "clinic"')
    cohort = made(workspace)
    frame = people()[:300]
    np.testing.assert_allclose(cohort["weight"], frame["w"])
    pairs = pd.MultiIndex.from_frame(cohort[["stratum", "psu"]])
    assert pairs.nunique() == len(frame[["sex", "clinic"]].drop_duplicates())
    assert read_json(workspace.run.path("cohort.json"))["weight"] == "w"


def test_without_a_design_everybody_counts_the_same_in_random_groups(make: Make) -> None:
    cohort = made(make())
    assert set(cohort["weight"]) == {1.0}
    assert cohort["stratum"].nunique() == 1
    assert cohort["psu"].nunique() == 100


def test_years_of_a_parquet_file_are_years(make: Make) -> None:
    frame = people().astype({"year": float})
    assert set(made(make(frame, suffix=".parquet"))["cycle"]) == {"2015", "2016", "2017"}


def test_an_outcome_of_its_own_is_named_as_the_file_says(make: Make) -> None:
    workspace = make(own='label = "Diabetes in 5 years"\ndefinition = "told within five years"')
    told = workspace.outcome
    assert (told.name, told.label) == ("case", "Diabetes in 5 years")
    assert told.definition == "told within five years; the column case of cohort.csv"
    assert "mgrisk cannot check whether" in told.warning
    assert told.leaks  # those of cohort.outcome still hold
    taken = make().outcome
    assert taken.name == "diabetes"
    assert taken.definition.endswith("here: the column case of cohort.csv, taken for it")


def test_a_mapped_file_is_read_in_its_own_words(make: Make, tmp_path: Path) -> None:
    frame = (
        people().rename(columns={"sex": "GENDER"}).assign(GENDER=lambda d: d["GENDER"].map({"male": 1, "female": 2}))
    )
    mapping = tmp_path / "mapping.toml"
    mapping.write_text(
        """
        [keep]
        year = "year"
        case = "case"
        [features.age_years]
        from = "age_years"
        [features.sex]
        from = "GENDER"
        levels = { 1 = "male", 2 = "female" }
        [features.bmi_kg_m2]
        from = "weight_kg"
        factor = 0.34
        """
    )
    workspace = make(frame, 'model.features=["age_years", "sex", "bmi_kg_m2"]', own=f'mapping = "{mapping}"')
    assert workspace.pipeline.own is not None
    assert [path.name for path in files(workspace.pipeline.own)] == ["cohort.csv", "mapping.toml"]
    made(workspace)
    features = pd.read_parquet(workspace.run.path("features.parquet"))
    assert features["sex"].tolist() == people()["sex"][:300].tolist()
    told = read_json(workspace.run.path("cohort.json"))["own"]["mapping"]
    assert told["file"] == "mapping.toml"
    assert "person_id" in told["not_carried"]
    assert [table["table"] for table in read_json(workspace.run.path("tables.json"))] == ["cohort.csv", "mapping.toml"]
    assert list(workspace.folder.glob(".*")) == []


def test_a_mapping_says_how_the_file_is_written_and_what_is_left_out(make: Make, tmp_path: Path) -> None:
    mapping = tmp_path / "mapping.toml"
    mapping.write_text(
        """
        [file]
        separator = ";"
        [people]
        person = "person_id"
        [[exclude]]
        from = "note"
        codes = ["test*"]
        [keep]
        year = "year"
        case = "case"
        [features.age_years]
        from = "age_years"
        [features.sex]
        from = "sex"
        [features.bmi_kg_m2]
        from = "weight_kg"
        factor = 0.34
        """
    )
    frame = people().assign(note="")
    twice = pd.concat([frame, frame[:7], frame[:3].assign(note="Test case", weight_kg=1)])
    workspace = make(frame, 'model.features=["age_years", "sex", "bmi_kg_m2"]', own=f'mapping = "{mapping}"')
    assert workspace.pipeline.own is not None
    twice.to_csv(workspace.pipeline.own.file, sep=";", index=False)
    assert columns(workspace.pipeline.own) == ("year", "case", "age_years", "sex", "bmi_kg_m2")
    made(workspace)
    assert len(pd.read_parquet(workspace.run.path("features.parquet"))) == 300
    told = read_json(workspace.run.path("cohort.json"))["own"]["mapping"]
    assert (told["excluded"], told["rows"]) == ({"note": 3}, len(frame) + 10)


def test_scores_are_compared_only_where_the_file_answers_them(make: Make) -> None:
    workspace = make()
    assert workspace.reference == ()
    assert workspace.why_no_score("uspstf") == ""
    assert workspace.why_no_score("ada").startswith("the file has no gestational_diabetes")


@pytest.mark.parametrize(
    ("change", "own", "code"),
    [
        (lambda d: d.drop(columns="case"), "", "own.missing_column"),
        (lambda d: d, 'psu = "ward"', "own.missing_column"),
        (lambda d: d.drop(columns="sex"), "", "own.no_feature"),
        (lambda d: d.drop(columns="height_cm"), "", "own.no_feature"),
        (lambda d: d[d["year"] != 2017], "", "own.no_such_period"),
        (lambda d: d.assign(case=np.where(d["year"] == 2017, 0, d["case"])), "", "own.one_class"),
        (lambda d: d.assign(hypertension_told=""), "", "own.empty_feature"),
        (lambda d: d.assign(person_id=np.where(d.index < 2, "same", d["person_id"])), "", "own.person_twice"),
        (
            lambda d: d.assign(person_id=np.where(d.index.isin([0, 299]), "same", d["person_id"])),
            'psu = "person_id"',
            "own.person_in_both_sets",
        ),
        (lambda d: d.assign(w=-1.0), 'weight = "w"', "input.bad_weight"),
        (lambda d: d.assign(ward=d["sex"]), 'strata = "sex"\npsu = "ward"', "own.single_psu"),
        (lambda d: d.assign(ward=d["sex"]), 'psu = "ward"', "own.few_units"),
    ],
)
def test_what_cannot_be_a_cohort_is_refused(
    make: Make, change: Callable[[pd.DataFrame], pd.DataFrame], own: str, code: str
) -> None:
    assert refused(make(change(people()), own=own)) == code


def test_several_rows_of_a_person_stay_together_where_the_person_is_the_unit(make: Make) -> None:
    frame = people()
    frame["person_id"] = [f"P{number // 2:04d}" for number in range(N)]
    cohort = made(make(frame, own='psu = "person_id"'))
    assert cohort["psu"].nunique() == 150


def test_a_leaking_feature_is_refused_as_for_nhanes(make: Make) -> None:
    frame = people().assign(high_glucose_told="no")
    assert refused(make(frame, 'model.features=["age_years", "high_glucose_told"]')) == "leakage.marker"


@pytest.mark.parametrize(
    "override",
    [
        "synthetic.seed=1",
        "source=/somewhere",
        "evidence.outcomes=[]",
        'cohort.across_breaks=["race-2011"]',
        'cohort.crosswalks=["glucose-2015"]',
        'model.sums={two = ["spline_logistic:hba1c_percent"]}',
        "own.data=NHANES",
        "own.file='-'",
        'own.label="Only a label"',
    ],
)
def test_what_needs_nhanes_does_not_go_with_a_file(make: Make, override: str) -> None:
    with pytest.raises(MgRiskError) as caught:
        make(None, override)
    assert caught.value.code == "config.bad_value"


def test_a_run_depends_on_the_section_own_where_there_is_one(make: Make) -> None:
    first: Pipeline = make().pipeline
    assert first.digest(*first.decisive) != make(None, "own.warning=Other").pipeline.digest(*first.decisive)
    assert "own" in first.decisive


def random_split(make: Make, frame: pd.DataFrame, *overrides: str) -> Workspace:
    return make(frame, *overrides, held_out="held_out_share = 0.25", sets="")


def test_a_file_without_a_period_is_split_at_random(make: Make) -> None:
    workspace = random_split(make, people().drop(columns="year"))
    cohort = made(workspace)
    assert cohort["set"].value_counts().to_dict() == {"development": 300, "held-out": 100}
    assert (cohort["cycle"].astype(str) == cohort["set"].astype(str)).all()
    told = read_json(workspace.run.path("cohort.json"))["own"]
    assert (told["split"], told["other_periods"]) == ("25 % of the people, drawn at random", 0)
    assert made(workspace)["set"].tolist() == cohort["set"].tolist()
    other = made(random_split(make, people(), "cohort.seed=2"))
    assert other["set"].tolist() != cohort["set"].tolist()


@pytest.mark.parametrize(
    ("held_out", "own", "whole"),
    [
        ("held_out_by = 'clinic'", "", "clinic"),
        ("", "psu = 'clinic'", "clinic"),
        ("", "psu = 'person_id'", "person_id"),
    ],
)
def test_what_is_held_out_is_held_out_whole(make: Make, held_out: str, own: str, whole: str) -> None:
    frame = people()
    if whole == "person_id":
        frame["person_id"] = [f"P{number // 2:04d}" for number in range(N)]
    cohort = made(make(frame, "cohort.folds=3", own=own, held_out=f"held_out_share = 0.25\n{held_out}", sets=""))
    assert cohort["set"].groupby(frame[whole]).nunique().max() == 1
    assert cohort["set"].nunique() == 2


def test_periods_that_are_words_are_development_and_held_out_as_the_file_says(make: Make) -> None:
    frame = people().assign(year=lambda d: d["year"].map({2015: "baseline", 2016: "second", 2017: "after", 2018: "x"}))
    cohort = made(make(frame, sets='development = ["baseline", "second"]\nheld_out = ["after"]'))
    assert cohort.groupby("cycle", observed=True)["set"].first().to_dict() == {
        "baseline": "development", "second": "development", "after": "held-out",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("held_out", "sets"),
    [
        ("", 'development = ["2015"]\nheld_out = ["2017"]'),
        ('period = "year"\nheld_out_share = 0.2', 'development = ["2015"]\nheld_out = ["2017"]'),
        ('period = "year"\nheld_out_by = "clinic"', 'development = ["2015"]\nheld_out = ["2017"]'),
        ("held_out_share = 0.2", 'development = ["2015"]\nheld_out = ["2017"]'),
        ("held_out_share = 0.0", ""),
        ("held_out_share = 1.0", ""),
        ('period = "year"', 'development = ["2016"]\nheld_out = ["2015"]'),
    ],
)
def test_who_is_held_out_is_said_in_one_way(make: Make, held_out: str, sets: str) -> None:
    with pytest.raises(MgRiskError) as caught:
        make(held_out=held_out, sets=sets)
    assert caught.value.code == "config.bad_value"


def test_a_file_of_no_rows_is_refused_in_words(make: Make) -> None:
    assert refused(random_split(make, people()[:0])) == "input.one_class"


def test_an_outcome_with_a_third_code_is_refused(make: Make) -> None:
    assert refused(make(people().assign(case=np.arange(N) % 3))) == "input.bad_outcome"

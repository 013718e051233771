"""Every row of a file with outcomes is in the analysis or is excluded with a reason."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from mgrisk.errors import MgRiskError
from mgrisk.features.registry import features
from mgrisk.own_data.labelled import LabelColumns, read_labelled
from mgrisk.score.cells import Missing
from mgrisk.score.eligibility import Exclusion

INPUTS = features(["age_years", "sex", "bmi_kg_m2"])


def people(n: int = 240) -> pd.DataFrame:
    random = np.random.default_rng(3)
    return pd.DataFrame(
        {
            "age_years": random.integers(20, 80, n),
            "sex": random.choice(["female", "male"], n),
            "bmi_kg_m2": np.round(random.normal(28, 4, n), 1),
            "case": random.choice(["yes", "no"], n, p=[0.2, 0.8]),
            "w": random.uniform(1, 5, n),
            "place": random.choice(["north", "south"], n),
            "clinic": random.choice(["a", "b", "c"], n),
        }
    )


def written(frame: pd.DataFrame, tmp_path: Path) -> str:
    frame.to_csv(tmp_path / "people.csv", index=False)
    return str(tmp_path / "people.csv")


def test_every_row_is_analysed_or_counted_out_with_its_reason(tmp_path: Path) -> None:
    frame = people()
    frame["case"] = frame["case"].astype(object)
    frame.loc[:9, "case"] = ""
    frame.loc[10:12, "case"] = "NA"
    frame.loc[20:24, "age_years"] = 400
    frame.loc[30:33, "w"] = 0
    source = written(frame, tmp_path)
    with Path(source).open("a") as stream:
        stream.write("50,male\n")
    found = read_labelled(source, INPUTS, LabelColumns("case", weight="w"))
    assert [(step["step"], step["excluded"], step["n"]) for step in found.attrition] == [
        ("rows of the file", 0, 241),
        ("too many or too few fields", 1, 240),
        ("case is not given", 13, 227),
        ("rejected by the input schema", 5, 222),
        ("w is not given or 0", 4, 218),
    ]
    assert len(found.inside) == found.design.n == 218
    assert len(found.design) == len(found.y) == 241
    assert found.problems["out_of_range:age_years"] == 5
    assert found.problems["wrong_field_count"] == 1
    assert found.cases == (frame["case"] == "yes").drop([*range(13), *range(20, 25), *range(30, 34)]).sum()


def test_who_is_not_eligible_is_a_step_of_its_own_where_a_column_tells(tmp_path: Path) -> None:
    frame = people()
    (pregnant,) = features(["pregnant"])
    excluded = [Exclusion(pregnant, "pregnant", level="yes")]
    frame.loc[:5, "age_years"] = 400
    without = read_labelled(written(frame, tmp_path), INPUTS, LabelColumns("case"), excluded=excluded)
    assert [step["step"] for step in without.attrition][-1] == "rejected by the input schema"
    assert without.lines[-1] == "not for people pregnant (pregnant); the file has no column to identify them"
    frame["pregnant"] = "no"
    frame.loc[3:9, "pregnant"] = "yes"
    found = read_labelled(written(frame, tmp_path), INPUTS, LabelColumns("case"), excluded=excluded)
    # Of the seven pregnant ones, three have an age that would be rejected.
    assert [(step["step"], step["excluded"]) for step in found.attrition][-2:] == [
        ("rejected by the input schema", 3),
        ("not eligible", 7),
    ]
    assert len(found.inside) == 230
    assert not found.not_told
    assert found.problems == {"out_of_range:age_years": 3, "not_eligible:pregnant": 7}


def test_a_cohort_without_a_design_is_people_drawn_alone_in_a_hundred_groups(tmp_path: Path) -> None:
    found = read_labelled(written(people(), tmp_path), INPUTS, LabelColumns("case"))
    assert (found.design.weight == 1).all()
    assert (found.design.df, found.design.n_clusters) == (99, 100)
    assert np.bincount(found.design.cluster).tolist() == sorted(np.bincount(found.design.cluster).tolist())[::-1]
    assert "no weights; simple random sampling" in found.sampling


def test_units_are_ordered_as_numbers_where_they_are_numbers_and_none_are_merged(tmp_path: Path) -> None:
    frame = people()
    frame["clinic"] = np.resize(["10", "9", "north", "1e3", "09"], len(frame))
    found = read_labelled(
        written(frame.astype({"clinic": object}), tmp_path), INPUTS, LabelColumns("case", psu="clinic")
    )
    assert found.design.psu[:5].tolist() == [2, 1, 4, 3, 0]


def test_a_small_cohort_has_a_unit_for_each_person(tmp_path: Path) -> None:
    found = read_labelled(written(people(60), tmp_path), INPUTS, LabelColumns("case"))
    assert found.design.n_clusters == 60


def test_weights_that_are_texts_are_told_beside_those_that_are_not_given(tmp_path: Path) -> None:
    frame = people()
    frame["w"] = frame["w"].astype(object)
    frame.loc[:119, "w"] = "about 3"
    frame.loc[120:124, "w"] = ""
    frame.loc[125:126, "w"] = 0
    found = read_labelled(written(frame, tmp_path), INPUTS, LabelColumns("case", weight="w"))
    assert found.sampling.startswith("w is not a number in 120 rows, which are excluded; weights of w")
    assert found.attrition[-1]["excluded"] == 127
    assert "no number" not in read_labelled(written(people(), tmp_path), INPUTS, LabelColumns("case")).sampling


def test_strata_and_units_are_taken_by_their_names(tmp_path: Path) -> None:
    frame = people()
    found = read_labelled(
        written(frame, tmp_path), INPUTS, LabelColumns("case", weight="w", strata="place", psu="clinic")
    )
    assert (found.design.n_clusters, found.design.df) == (6, 4)
    np.testing.assert_allclose(found.design.analysis_weight, frame["w"])
    assert "the values of clinic within the strata of place" in found.sampling


@pytest.mark.parametrize(
    ("change", "columns", "code"),
    [
        ({}, LabelColumns("diabetes"), "input.missing_column"),
        ({}, LabelColumns("case", psu="practice"), "input.missing_column"),
        ({"case": "maybe"}, LabelColumns("case"), "input.bad_outcome"),
        ({"case": "no"}, LabelColumns("case"), "input.one_class"),
        ({"case": ""}, LabelColumns("case"), "input.one_class"),
        ({"w": -1.0}, LabelColumns("case", weight="w"), "input.bad_weight"),
        ({"w": 1e200}, LabelColumns("case", weight="w"), "input.bad_weight"),
        ({"w": 1e308}, LabelColumns("case", weight="w"), "input.bad_weight"),
        ({"w": 1e-200}, LabelColumns("case", weight="w"), "input.bad_weight"),
        ({"clinic": ""}, LabelColumns("case", psu="clinic"), "input.bad_design"),
    ],
)
def test_what_cannot_be_understood_is_refused(
    tmp_path: Path, change: dict[str, object], columns: LabelColumns, code: str
) -> None:
    with pytest.raises(MgRiskError) as caught:
        read_labelled(written(people().assign(**change), tmp_path), INPUTS, columns)
    assert caught.value.code == code


def test_parquet_says_the_same_as_csv(tmp_path: Path) -> None:
    frame = people().assign(case=lambda f: (f["case"] == "yes").astype(float))
    frame.to_parquet(tmp_path / "people.parquet")
    one = read_labelled(str(tmp_path / "people.parquet"), INPUTS, LabelColumns("case"))
    other = read_labelled(written(frame, tmp_path), INPUTS, LabelColumns("case"))
    np.testing.assert_array_equal(one.y, other.y)
    pd.testing.assert_frame_equal(one.values, other.values)


def test_more_than_a_thousand_units_are_kept_whole_in_random_groups(tmp_path: Path) -> None:
    """Persons with two rows each: a jackknife over a hundred groups of them, none of whom is split."""
    frame = people(2400)
    frame["who"] = np.arange(2400) // 2
    found = read_labelled(written(frame, tmp_path), INPUTS, LabelColumns("case", psu="who"))
    assert found.design.n_clusters == 100
    assert pd.Series(found.design.psu).groupby(frame["who"]).nunique().max() == 1
    assert "1,200 of them in 100 random groups" in found.sampling


def test_other_columns_come_as_they_stand_in_the_file(tmp_path: Path) -> None:
    frame = people()
    found = read_labelled(written(frame, tmp_path), INPUTS, LabelColumns("case"), carry=["clinic"])
    assert found.carried["clinic"].tolist() == frame["clinic"].tolist()
    assert np.nanmean(found.outcome) == pytest.approx((frame["case"] == "yes").mean())


@pytest.mark.parametrize("third", ["2", "2.0", "-9"])
def test_an_outcome_with_a_third_code_is_refused_by_the_code(tmp_path: Path, third: str) -> None:
    frame = people().assign(case=lambda f: np.where(f["case"] == "yes", "1", "0"))
    frame.loc[[4, 7], "case"] = third
    with pytest.raises(MgRiskError) as caught:
        read_labelled(written(frame, tmp_path), INPUTS, LabelColumns("case"))
    assert caught.value.code == "input.bad_outcome"
    assert caught.value.message == f"case has {int(float(third))}, which is neither yes nor no, in 2 rows"
    assert caught.value.where == "column case, row 5"


@pytest.mark.parametrize("cell", ["Jane Doe, born 1950", "5551234", "2.5", "maybe"])
def test_an_outcome_that_is_no_code_is_refused_without_a_word_of_it(tmp_path: Path, cell: str) -> None:
    frame = people()
    frame["case"] = frame["case"].astype(object)
    frame.loc[3, "case"] = cell
    with pytest.raises(MgRiskError) as caught:
        read_labelled(written(frame, tmp_path), INPUTS, LabelColumns("case"))
    assert caught.value.code == "input.bad_outcome"
    assert cell not in " ".join(caught.value.lines())


def test_an_outcome_of_a_row_with_too_many_cells_is_not_judged(tmp_path: Path) -> None:
    source = written(people(), tmp_path)
    with Path(source).open("a") as stream:
        stream.write("50,male,30,7,1,north,a,b\n")
    assert read_labelled(source, INPUTS, LabelColumns("case")).problems["wrong_field_count"] == 1


def test_persons_with_several_rows_are_the_sampling_units(tmp_path: Path) -> None:
    once = people().assign(person_id=lambda f: [f"{row:05d}" for row in range(len(f))])
    alone = read_labelled(written(once, tmp_path), INPUTS, LabelColumns("case"))
    assert alone.persons is None
    assert "simple random sampling" in alone.sampling
    visits = read_labelled(written(pd.concat([once] * 3), tmp_path), INPUTS, LabelColumns("case"))
    assert visits.persons == visits.design.n_clusters == 240
    assert visits.lines[0].startswith("720 rows of 240 people, ")
    assert visits.sampling == "no weights; sampling units are the values of person_id"
    by_clinic = read_labelled(written(pd.concat([once] * 3), tmp_path), INPUTS, LabelColumns("case", psu="clinic"))
    assert (by_clinic.persons, by_clinic.design.n_clusters) == (240, 3)


def test_a_column_that_looks_like_an_id_and_repeats_is_named_or_refused(tmp_path: Path) -> None:
    once = people().assign(MRN=lambda f: [f"made-up-{row:05d}" for row in range(len(f))])
    assert read_labelled(written(once, tmp_path), INPUTS, LabelColumns("case")).persons is None
    source = written(pd.concat([once] * 3), tmp_path)
    with pytest.raises(MgRiskError) as caught:
        read_labelled(source, INPUTS, LabelColumns("case"))
    assert caught.value.code == "input.repeated_people"
    assert "240 values in 720 rows" in caught.value.message
    assert "--person MRN" in caught.value.hint
    assert "made-up" not in str(caught.value)
    # Numbers of rows under the name of people's ids do not hide it.
    numbered = pd.concat([once] * 3).assign(person_id=range(720))
    with pytest.raises(MgRiskError, match="MRN looks like a person identifier"):
        read_labelled(written(numbered, tmp_path), INPUTS, LabelColumns("case"))
    source = written(pd.concat([once] * 3), tmp_path)
    named = read_labelled(source, INPUTS, LabelColumns("case", person="MRN"))
    assert named.persons == named.design.n_clusters == 240
    assert named.sampling == "no weights; sampling units are the values of MRN"
    assert "MRN" not in named.unused
    # Whoever names the sampling units has said what is independent of what.
    assert read_labelled(source, INPUTS, LabelColumns("case", psu="clinic")).design.n_clusters == 3


def test_people_in_several_sampling_units_are_told(tmp_path: Path) -> None:
    once = people().assign(who=range(240))
    moved = pd.concat([once, once.iloc[:5].assign(clinic="elsewhere")])
    columns = LabelColumns("case", psu="clinic", person="who")
    assert read_labelled(written(moved, tmp_path), INPUTS, columns).sampling == (
        "no weights; sampling units are the values of clinic; 5 people have rows in several units, which count as "
        "independent"
    )
    assert "several" not in read_labelled(written(once, tmp_path), INPUTS, columns).sampling


def test_a_third_code_of_prediabetes_is_refused_in_words_of_its_own(tmp_path: Path) -> None:
    frame = people().assign(near=2)
    with pytest.raises(MgRiskError) as caught:
        read_labelled(written(frame, tmp_path), INPUTS, LabelColumns("case", prediabetes="near"))
    assert caught.value.code == "input.bad_prediabetes"
    assert "case" not in f"{caught.value} {caught.value.hint}"


def test_rows_without_an_id_are_people_of_their_own(tmp_path: Path) -> None:
    frame = people().assign(person_id=["", "NA", "7", "7", *map(str, range(100, 336))])
    assert read_labelled(written(frame, tmp_path), INPUTS, LabelColumns("case")).persons == 239


def test_what_was_left_out_and_not_used_is_said(tmp_path: Path) -> None:
    frame = people().rename(columns={"bmi_kg_m2": "body mass"})
    frame.loc[:3, "age_years"] = 400
    found = read_labelled(written(frame, tmp_path), INPUTS, LabelColumns("case", weight="w"))
    assert found.lines[1] == "excluded: 4 of 240 rows (4: rejected by the input schema)"
    assert found.unused == {"body mass": "bmi_kg_m2", "place": "", "clinic": ""}


def test_words_for_missing_hold_for_outcome_weight_and_inputs(tmp_path: Path) -> None:
    frame = people().astype(object)
    frame.loc[:3, "case"] = [".A", "n/a", "-9.0", "unknown"]
    frame.loc[10:11, "w"] = [-9, "NA"]
    frame.loc[20, "bmi_kg_m2"] = -9
    missing = Missing.also(["-9", "unknown"])
    found = read_labelled(written(frame, tmp_path), INPUTS, LabelColumns("case", weight="w"), missing=missing)
    assert [step["excluded"] for step in found.attrition] == [0, 0, 4, 0, 2]
    assert np.isnan(found.values["bmi_kg_m2"][20])


def test_persons_with_long_numbers_stay_two_beside_one_without(tmp_path: Path) -> None:
    frame = people()
    frame["who"] = pd.array([2**53 + 1, 2**53, None, *range(len(frame) - 3)], dtype="Int64")
    frame.to_parquet(tmp_path / "people.parquet")
    found = read_labelled(str(tmp_path / "people.parquet"), INPUTS, LabelColumns("case"), carry=["who"])
    assert found.carried["who"].tolist()[:4] == ["9007199254740993", "9007199254740992", "", "0"]

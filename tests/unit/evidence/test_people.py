from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from mgrisk.evidence.adjustment_set import DIET_QUALITY, OUTCOMES, SEQUENCE, TERMS
from mgrisk.evidence.people import (
    People,
    build_panel,
    encode,
    evidence_variables,
    panel_cycles,
    panel_level,
    panels,
    read_people,
)
from mgrisk.nhanes.cycles import cycle
from mgrisk.nhanes.store import Store
from mgrisk.nhanes.synthetic import write_cohort
from mgrisk.survey.design import WeightLevel

YEARS = ("2013-2014", "2015-2016")


@pytest.fixture(scope="module")
def people(tmp_path_factory: pytest.TempPathFactory) -> People:
    folder = tmp_path_factory.mktemp("synthetic")
    write_cohort(folder, people_per_cycle=500, seed=3, cycles=[cycle(years) for years in YEARS])
    store = Store(source=str(folder), cache=tmp_path_factory.mktemp("cache"), offline=True)
    return read_people(store, YEARS)


def changed(people: People, place: int, **values: float) -> People:
    raw = people.raw.copy()
    for name, value in values.items():
        raw.loc[place, name] = value
    return replace(people, raw=raw)


def test_a_panel_keeps_everybody_and_studies_some(people: People) -> None:
    panel = build_panel(people, "fasting")
    assert len(panel.design) == len(people.raw) == len(panel.frame)
    assert 50 < panel.design.n < len(people.raw) / 2
    assert set(panel.outcomes) == {each.name for each in OUTCOMES.values() if each.panel == "fasting"}
    assert all(np.isfinite(values[panel.inside]).all() for values in panel.outcomes.values())
    assert np.isfinite(panel.amounts["magnesium"][panel.inside, 0]).all()


def test_who_was_told_of_diabetes_is_not_studied_unless_asked_for(people: People) -> None:
    panel = build_panel(people, "fasting")
    some = int(panel.inside[0])
    told = changed(people, some, DIQ010=1.0)
    assert some not in build_panel(told, "fasting").inside
    assert some in build_panel(told, "fasting", with_diagnosed=True).inside


@pytest.mark.parametrize("values", [{"RIDEXPRG": 1.0}, {"RIDAGEYR": 19.0}, {"RIDSTATR": 1.0}, {"LBXGH": np.nan}])
def test_each_rule_takes_a_person_out(people: People, values: dict[str, float]) -> None:
    some = int(build_panel(people, "fasting").inside[0])
    assert some not in build_panel(changed(people, some, **values), "fasting").inside


def test_outcomes_are_on_the_scale_that_is_modelled(people: People) -> None:
    panel = build_panel(people, "fasting")
    glucose = panel.frame["glucose_mg_dl"].to_numpy()[panel.inside]
    assert panel.outcomes["glucose"][panel.inside] == pytest.approx(np.log(glucose))
    assert panel.outcomes["tyg"][panel.inside] == pytest.approx(panel.frame["tyg"].to_numpy()[panel.inside])
    assert set(np.unique(panel.outcomes["undiagnosed"][panel.inside])) <= {0.0, 1.0}


def test_each_panel_has_the_weight_of_its_smallest_subsample() -> None:
    levels = {name: panel_level(name) for name in panels()}
    assert levels == {"fasting": WeightLevel.FASTING, "tolerance": WeightLevel.OGTT, "recall": WeightLevel.RECALL1}
    assert {"WTSAF2YR", "WTSOG2YR", "WTDRD1"} <= set(evidence_variables(["2015-2016", "2017-2018"]))
    assert panel_cycles("fasting", ["2015-2016", "2017-2018"]) == ("2015-2016", "2017-2018")


def test_fewer_outcomes_leave_the_people_the_same(people: People) -> None:
    some = build_panel(people, "fasting", outcomes=["homa_ir"])
    assert list(some.outcomes) == ["homa_ir"]
    assert some.inside.tolist() == build_panel(people, "fasting").inside.tolist()


def test_a_cycle_without_people_has_no_column(people: People) -> None:
    panel = build_panel(people, "fasting")
    both = panel.adjusted_for(["age"])
    one = panel.where((people.raw["cycle"] == YEARS[0]).to_numpy()).adjusted_for(["age"])
    assert (both.shape[1], one.shape[1]) == (4, 3)


def test_without_the_first_cycle_another_is_the_one_that_others_are_against(people: People) -> None:
    panel = build_panel(people, "fasting")
    place = np.arange(len(panel.design)) % 3
    three = replace(panel, columns={**panel.columns, "cycle": np.equal(place[:, None], [1, 2]).astype(float)})
    assert np.linalg.matrix_rank(three.adjusted_for(["age"])) == three.adjusted_for(["age"]).shape[1] == 5
    without = three.where(place > 0).adjusted_for(["age"])
    assert np.linalg.matrix_rank(without) == without.shape[1] == 4


def test_before_2011_asian_and_other_are_missing_and_count_as_one_level() -> None:
    values = pd.Series(["white", "asian", "other", None, "mexican_american"])
    found = encode(TERMS["race"], values)
    assert found[1].tolist() == found[2].tolist() == found[3].tolist()
    assert found[4].sum() == 0.0
    assert found[0].sum() == 1.0


def test_a_missing_category_is_missing_where_nothing_is_merged() -> None:
    assert np.isnan(encode(TERMS["smoking"], pd.Series(["never", None]))[1]).all()


@pytest.mark.parametrize(("years", "known"), [(YEARS, True), (YEARS[:1], False), ((), False)])
def test_diet_quality_is_adjusted_for_where_every_cycle_has_it_and_changes_nobody_else(
    people: People, years: tuple[str, ...], known: bool
) -> None:
    scores = pd.Series(np.where(people.raw["cycle"].isin(years), 50.0 + np.arange(len(people.raw)) % 30, np.nan))
    panel = build_panel(replace(people, frame=people.frame.assign(healthy_eating_index=scores)), "fasting")
    assert (DIET_QUALITY in panel.models) is known
    assert set(SEQUENCE) <= set(panel.models)
    assert panel.design.n == build_panel(people, "fasting").design.n

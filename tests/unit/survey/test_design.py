from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest

from mgrisk.errors import MgRiskError
from mgrisk.survey.design import SurveyDesign, WeightLevel, weight_level
from mgrisk.survey.estimates import mean, total
from mgrisk.survey.variance import jackknife

LEVELS = {
    "age": WeightLevel.INTERVIEW,
    "bmi": WeightLevel.EXAM,
    "magnesium": WeightLevel.RECALL1,
    "usual_magnesium": WeightLevel.RECALL2,
    "glucose": WeightLevel.FASTING,
}


@pytest.mark.parametrize("last", range(len(LEVELS)))
def test_the_smallest_subsample_wins_and_names_its_variable(last: int) -> None:
    names = list(LEVELS)[: last + 1]
    assert weight_level({name: LEVELS[name] for name in reversed(names)}) == (LEVELS[names[-1]], names[-1])


def test_the_first_variable_of_the_smallest_subsample_is_named() -> None:
    levels = {"age": WeightLevel.INTERVIEW, "waist": WeightLevel.EXAM, "bmi": WeightLevel.EXAM}
    assert weight_level(levels) == (WeightLevel.EXAM, "waist")


def test_no_variables_have_no_weight() -> None:
    with pytest.raises(MgRiskError) as caught:
        weight_level({})
    assert caught.value.code == "design.no_variables"


def test_degrees_of_freedom_are_those_of_r(full: SurveyDesign, part: SurveyDesign, golden: dict[str, Any]) -> None:
    assert (full.df, part.df) == (golden["degf_full"], golden["degf_domain"]) == (8, 6)


def test_a_domain_keeps_every_row_and_every_cluster(full: SurveyDesign, part: SurveyDesign) -> None:
    assert len(part) == len(full)
    assert part.n_clusters == full.n_clusters == 14
    assert part.n < full.n


def test_domains_intersect() -> None:
    design = SurveyDesign([1.0] * 4, [1, 1, 2, 2], [1, 2, 1, 2], WeightLevel.EXAM)
    smaller = design.where([True, True, False, True]).where([False, True, True, True])
    assert smaller.domain.tolist() == [False, True, False, True]
    assert design.domain.all()


def test_zero_weights_are_outside_n_and_the_domain_is_outside_the_analysis_weight() -> None:
    design = SurveyDesign([0.0, 2.0, 3.0, 4.0], [1, 1, 2, 2], [1, 2, 1, 2], WeightLevel.FASTING)
    smaller = design.where([True, True, True, False])
    assert smaller.n == 2
    assert smaller.analysis_weight.tolist() == [0.0, 2.0, 3.0, 0.0]


def test_psu_numbers_repeat_between_strata_without_being_one_cluster() -> None:
    design = SurveyDesign([1.0] * 5, [20, 10, 20, 10, 20], [1, 1, 2, 2, 1], WeightLevel.EXAM)
    assert design.cluster.tolist() == [2, 0, 3, 1, 2]
    assert design.cluster_stratum.tolist() == [0, 0, 1, 1]


def test_whole_floats_and_pandas_columns_are_read_as_numbers_of_strata() -> None:
    design = SurveyDesign(pd.Series([1.0, 1.0]), pd.Series([134.0, 134.0]), pd.Series([1.0, 2.0]), WeightLevel.EXAM)
    assert design.stratum.dtype == np.int64
    assert design.where(pd.Series([True, False])).n == 1


def test_the_design_cannot_be_changed_from_outside() -> None:
    weight = np.ones(2)
    design = SurveyDesign(weight, [1, 1], [1, 2], WeightLevel.EXAM)
    weight[0] = 5.0
    assert design.weight.tolist() == [1.0, 1.0]
    with pytest.raises(ValueError, match="read-only"):
        design.weight[0] = 5.0


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"weight": [1.0, -1.0]}, "design.bad_weight"),
        ({"weight": [1.0, np.nan]}, "design.bad_weight"),
        ({"weight": [1.0, np.inf]}, "design.bad_weight"),
        ({"weight": [[1.0, 1.0]]}, "design.bad_weight"),
        ({"stratum": [1]}, "design.bad_length"),
        ({"stratum": [1.0, np.nan]}, "design.bad_stratum"),
        ({"psu": [1.0, 1.5]}, "design.bad_psu"),
        ({"psu": ["one", "two"]}, "design.bad_psu"),
        ({"domain": [True]}, "design.bad_length"),
        ({"domain": [1, 0]}, "design.bad_domain"),
        ({"domain": pd.array([True, None], dtype="boolean")}, "design.bad_domain"),
    ],
)
def test_a_wrong_design_is_refused_with_its_reason(change: dict[str, Any], code: str) -> None:
    right: dict[str, Any] = {"weight": [1.0, 1.0], "stratum": [1, 1], "psu": [1, 2]}
    with pytest.raises(MgRiskError) as caught:
        SurveyDesign(**(right | change), level=WeightLevel.EXAM)
    assert caught.value.code == code


def test_an_unknown_level_is_refused() -> None:
    with pytest.raises(ValueError, match="lunch"):
        SurveyDesign([1.0, 1.0], [1, 1], [1, 2], "lunch")  # type: ignore[arg-type]


def test_the_description_counts_the_domain_and_the_full_design(part: SurveyDesign) -> None:
    described = part.to_dict()
    assert described["level"] == "exam"
    assert (described["rows"], described["n"], described["strata"], described["psus"]) == (413, part.n, 6, 14)
    assert described["population"] == pytest.approx(part.weight[part.domain].sum())


def test_a_shorter_design_gives_the_numbers_of_the_domain(
    toy: pd.DataFrame, full: SurveyDesign, part: SurveyDesign
) -> None:
    # The domain of the toy survey leaves out a whole stratum and a whole PSU.
    rows = toy["domain"].to_numpy() == 1
    shorter = full.keep(rows)
    assert len(shorter) == rows.sum() < len(full)
    assert (shorter.n, shorter.df, shorter.n_clusters) == (part.n, part.df, part.n_clusters)
    for statistic in (mean, total):
        assert statistic(toy["amount"][rows], shorter).to_dict() == pytest.approx(
            statistic(toy["amount"], part).to_dict(), rel=1e-12
        )
    assert len(jackknife(shorter)) == len(jackknife(part)) == 14
    forgetful = SurveyDesign(*(toy[name][rows] for name in ("weight", "stratum", "psu")), WeightLevel.EXAM)
    assert total(toy["amount"][rows], forgetful).se != pytest.approx(total(toy["amount"], part).se, rel=1e-3)


def test_a_shorter_design_stays_one_when_it_is_shortened_again(toy: pd.DataFrame, full: SurveyDesign) -> None:
    once = full.keep((toy["domain"] == 1) & (toy["x2"] == 1))
    first = full.keep(toy["domain"] == 1)
    twice = first.keep((toy["x2"] == 1)[toy["domain"] == 1])
    assert twice.cluster_psu.tolist() == once.cluster_psu.tolist() == full.cluster_psu.tolist()
    assert (twice.weights == once.weights).all()


def test_a_single_psu_is_named_though_none_of_its_rows_is_left() -> None:
    design = SurveyDesign([1.0] * 3, [1, 1, 2], [1, 2, 1], WeightLevel.EXAM).keep([True, True, False])
    with pytest.raises(MgRiskError, match="only one PSU") as caught:
        mean([1.0, 2.0], design)
    assert "stratum 2" in caught.value.where


def test_a_design_says_in_a_line_and_on_a_page_of_a_notebook_what_it_is(part: SurveyDesign) -> None:
    assert f"<th>n</th><td>{part.n}</td>" in part._repr_html_()
    assert "<th>psus</th><td>14</td>" in part._repr_html_()
    assert repr(part) == f"SurveyDesign({part.n} people, exam weights, 6 strata, 14 PSUs)"

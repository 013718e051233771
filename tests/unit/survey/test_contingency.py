from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from mgrisk.errors import MgRiskError
from mgrisk.survey.contingency import chi_square
from mgrisk.survey.design import SurveyDesign


def cell_shares(weight: np.ndarray, row: np.ndarray, column: np.ndarray) -> np.ndarray:
    table = np.zeros((row.max() + 1, column.max() + 1))
    np.add.at(table, (row, column), weight)
    shares: np.ndarray = (table / table.sum()).ravel()
    return shares


def by_hand(row: np.ndarray, column: np.ndarray, design: SurveyDesign) -> tuple[float, float, float]:
    """Return F, its degrees of freedom and p as Rao and Scott (1984) write them.

    Their covariance of the interaction of a loglinear model over that of a simple random sample; the covariance of
    shares by making each PSU a little heavier and a little lighter. No formula is the one of the module.
    """
    weight = design.analysis_weight
    share = cell_shares(weight, row, column)
    step, covariance = 1e-4, np.zeros((share.size, share.size))
    slopes = []
    for cluster in range(design.n_clusters):
        more, less = (np.where(design.cluster == cluster, 1 + sign * step, 1.0) * weight for sign in (1, -1))
        slopes.append((cell_shares(more, row, column) - cell_shares(less, row, column)) / (2 * step))
    for stratum in np.unique(design.cluster_stratum):
        of_stratum = np.array(slopes)[design.cluster_stratum == stratum]
        off = of_stratum - of_stratum.mean(axis=0)
        covariance += len(off) / (len(off) - 1) * off.T @ off
    r, c = row.max() + 1, column.max() + 1
    rows, columns = np.repeat(np.arange(r), c), np.tile(np.arange(c), r)
    main = np.column_stack([*(rows == k for k in range(1, r)), *(columns == k for k in range(1, c))]).astype(float)
    both = np.column_stack([(rows == i) & (columns == j) for i in range(1, r) for j in range(1, c)]).astype(float)
    simple = (np.diag(share) - np.outer(share, share)) / design.n
    rest = both - main @ np.linalg.solve(main.T @ simple @ main, main.T @ simple @ both)
    effects = np.linalg.eigvals(np.linalg.solve(rest.T @ simple @ rest, rest.T @ covariance @ rest)).real
    table = share.reshape(r, c)
    counts = stats.chi2_contingency(table * design.n, correction=False).statistic
    f, numerator = counts / effects.sum(), effects.sum() ** 2 / (effects**2).sum()
    return f, numerator, float(stats.f.sf(f, numerator, numerator * design.df))


@pytest.mark.parametrize(("row", "column"), [("x2", "y"), ("y", "group"), ("group", "third")])
@pytest.mark.parametrize("which", ["full", "part"])
def test_it_is_that_of_rao_and_scott_by_hand(
    row: str, column: str, which: str, toy: pd.DataFrame, request: pytest.FixtureRequest
) -> None:
    design = request.getfixturevalue(which)
    toy = toy.assign(third=pd.qcut(toy["amount"], 3, labels=False))
    found = chi_square(toy[row], toy[column], design)
    f, numerator, p = by_hand(pd.factorize(toy[row])[0], pd.factorize(toy[column])[0], design)
    assert found.statistic == pytest.approx(f, rel=1e-5)
    assert found.numerator == pytest.approx(numerator, rel=1e-5)
    assert found.denominator == pytest.approx(numerator * design.df, rel=1e-5)
    assert found.p == pytest.approx(p, rel=1e-4)
    assert found.n == design.n


@pytest.mark.parametrize(
    ("name", "row", "column"), [("chi_square_2x3", "y", "group"), ("chi_square_3x2", "group", "x2")]
)
def test_it_is_svychisq_of_r(
    name: str, row: str, column: str, toy: pd.DataFrame, part: SurveyDesign, in_r: dict[str, Any]
) -> None:
    found = chi_square(toy[row], toy[column], part).to_dict()
    for key, value in in_r[name].items():
        assert found[key] == pytest.approx(value, rel=1e-9)


def test_it_does_not_depend_on_sides_order_or_units_of_weight(toy: pd.DataFrame, part: SurveyDesign) -> None:
    found = chi_square(toy["y"], toy["group"], part)
    renamed = toy["group"].map({"a": "z", "b": "a", "c": "b"})
    heavier = SurveyDesign(part.weight * 1000, part.stratum, part.psu, part.level, part.domain)
    for other in (chi_square(toy["group"], toy["y"], part), chi_square(toy["y"], renamed, heavier)):
        assert list(other.to_dict().values()) == pytest.approx(list(found.to_dict().values()))


def test_rows_outside_the_domain_may_hold_anything(toy: pd.DataFrame, part: SurveyDesign) -> None:
    inside = part.analysis_weight > 0
    strange = toy["group"].where(inside).mask(~inside & (toy["x2"] == 1), "nobody's")
    assert chi_square(toy["y"], strange, part) == chi_square(toy["y"], toy["group"], part)


def test_a_plain_sample_gives_pearsons_test() -> None:
    # Everybody a PSU of one stratum: the design effects are 1 but for n / (n - 1).
    random = np.random.default_rng(3)
    row, column = random.integers(0, 3, 900), random.integers(0, 2, 900)
    ones = np.ones(900)
    found = chi_square(row, column, SurveyDesign(ones, ones, np.arange(900), "exam"))  # type: ignore[arg-type]
    pearson = stats.chi2_contingency(pd.crosstab(row, column), correction=False)
    assert found.statistic * 2 == pytest.approx(pearson.statistic * 899 / 900, rel=1e-6)
    assert found.numerator == pytest.approx(2.0)
    assert found.p == pytest.approx(pearson.pvalue, abs=0.01)


@pytest.mark.parametrize(
    ("row", "code"),
    [
        (lambda toy: ["one"] * len(toy), "chi_square.one_category"),
        (lambda toy: toy["group"].where(toy["x2"] == 1), "design.missing_values"),
        (lambda toy: toy["group"].iloc[1:], "design.bad_length"),
        (lambda toy: toy["y"].astype(str) + toy["group"], "chi_square.empty_cells"),
    ],
)
def test_what_cannot_be_tested_is_refused(row: object, code: str, toy: pd.DataFrame, full: SurveyDesign) -> None:
    assert callable(row)
    with pytest.raises(MgRiskError) as caught:
        chi_square(row(toy), toy["y"].astype(str) + toy["group"], full)
    assert caught.value.code == code

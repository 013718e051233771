"""Every plot of shap accepts an explanation, and slices keep their people."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import matplotlib as mpl
import numpy as np
import pandas as pd
import pytest
from tests.conftest import ToyPeople

from mgrisk.explain.attributions import Explainer, Explanation
from mgrisk.explain.for_shap import ShapExplanation
from mgrisk.model.bundle import Bundle


@pytest.fixture(scope="module")
def ours(toy_bundles: dict[str, Bundle], toy_people: ToyPeople) -> Explanation:
    people = toy_people.frame.iloc[:60].set_axis([f"p{place}" for place in range(60)])
    return Explainer(toy_bundles["xgboost"]).explain(people)


@pytest.fixture
def theirs(ours: Explanation) -> ShapExplanation:
    return ours.to_shap()


def test_it_has_the_values_the_base_the_data_and_the_names(ours: Explanation, theirs: ShapExplanation) -> None:
    import shap

    assert isinstance(theirs, shap.Explanation)
    assert theirs.shape == ours.values.shape
    np.testing.assert_array_equal(theirs.values, ours.values)
    np.testing.assert_array_equal(theirs.base_values, ours.base_values)
    np.testing.assert_array_equal(theirs.log_odds, ours.log_odds)
    assert theirs.feature_names == list(ours.data)
    np.testing.assert_array_equal(theirs.data[:, 0], ours.data["age_years"])
    # A category is its code where numbers are wanted, and its word where words are shown.
    assert theirs.display_data[3, 1] == ours.data["sex"].iloc[3]
    assert theirs.data[3, 1] == ours.data["sex"].cat.codes.iloc[3]


def test_the_index_stays_with_the_people_in_tables_and_slices(ours: Explanation, theirs: ShapExplanation) -> None:
    pd.testing.assert_frame_equal(theirs.frame(), ours.frame())
    pd.testing.assert_frame_equal(theirs[7:9].frame(), ours.frame().iloc[7:9])
    pd.testing.assert_frame_equal(theirs[[9, 2]].frame(), ours.frame().iloc[[9, 2]])
    one = theirs[7]
    assert isinstance(one, ShapExplanation)
    assert one.frame().index.tolist() == ["p7"]
    np.testing.assert_array_equal(theirs[:, "age_years"].values, ours.values[:, 0])


def test_an_index_of_numbers_is_not_taken_for_places(ours: Explanation) -> None:
    turned = replace(ours, data=ours.data.set_axis(range(60)[::-1])).to_shap()
    np.testing.assert_array_equal(turned[0].values, ours.values[0])
    assert turned[0].index == 59


@pytest.mark.parametrize(
    ("plot", "of"),
    [
        ("bar", lambda e: e),
        ("bar", lambda e: e[0]),
        ("beeswarm", lambda e: e),
        ("violin", lambda e: e),
        ("heatmap", lambda e: e),
        ("scatter", lambda e: e[:, "age_years"]),
        ("scatter", lambda e: e[:, "sex"]),
        ("waterfall", lambda e: e[0]),
    ],
)
def test_every_plot_of_shap_takes_it(plot: str, of: Any, theirs: ShapExplanation) -> None:
    mpl.use("Agg")
    import matplotlib.pyplot as plt
    import shap

    getattr(shap.plots, plot)(of(theirs), show=False)
    drawn = plt.gcf()
    assert any(axes.has_data() for axes in drawn.axes)
    plt.close("all")


def test_force_and_decision_plots_take_it(theirs: ShapExplanation) -> None:
    mpl.use("Agg")
    import matplotlib.pyplot as plt
    import shap

    assert "p0" not in shap.plots.force(theirs[0]).html()  # features, and nobody's name
    shap.plots.decision(
        float(theirs.base_values[0]), theirs.values, theirs.display_data, theirs.feature_names, show=False
    )
    plt.close("all")


def test_what_a_notebook_shows_is_short(theirs: ShapExplanation) -> None:
    assert repr(theirs) == "<SHAP values of 60 people and 6 features, in log-odds>"
    assert theirs._repr_html_().count("<tr") == 6

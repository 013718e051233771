from __future__ import annotations

import json
import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from mgrisk.features.registry import features
from mgrisk.model.additive import Additive
from mgrisk.model.bundle import Bundle, read_bundle
from mgrisk.model.released import released
from mgrisk.report import probe
from mgrisk.report.probe import _moves, _note, page_model


@pytest.fixture(scope="module")
def bundle() -> Bundle:
    return read_bundle(released("undiagnosed"))


@pytest.mark.parametrize("learner", ["xgboost", "shapes"])
def test_of_trees_and_shapes_each_feature_has_an_entry_for_each_bin(
    toy_bundles: dict[str, Bundle], learner: str
) -> None:
    model = json.loads(json.dumps(page_model(toy_bundles[learner]), allow_nan=False))
    assert model["tables"]
    for each in model["tables"]:
        assert len(each["columns"]) == len(each["cuts"]) == len(each["missing"]) == len(each["bins"])
        assert [len(entries) for entries in each["entries"]] == [math.prod(each["bins"])] * len(each["players"])


def test_a_model_with_other_parts_or_too_many_entries_is_not_in_the_page_and_says_why(
    toy_bundles: dict[str, Bundle], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert page_model(toy_bundles["blend"]) == {"absent": f"{probe.CANNOT} has curves beside trees."}
    monkeypatch.setattr(probe, "MOST_ENTRIES", 10)
    assert page_model(toy_bundles["xgboost"])["absent"].startswith(f"{probe.CANNOT} is too large")


def test_the_page_holds_the_model_to_the_last_digit(bundle: Bundle) -> None:
    model = json.loads(json.dumps(page_model(bundle), allow_nan=False))
    fitted = bundle.fitted
    assert isinstance(fitted, Additive)
    assert model["coefficients"] == fitted.coefficients.tolist()
    assert sum(max(len(each["knots"]) - 1, 1) for each in model["columns"]) == len(fitted.coefficients)
    p = len(fitted.coefficients)
    precision = np.zeros((p, p))
    precision[np.tril_indices(p)] = model["precision"]
    precision += np.tril(precision, -1).T
    correlation = fitted.moments.covariance / np.outer(model["scale"], model["scale"])
    np.testing.assert_allclose(precision @ (correlation + model["ridge"] * np.eye(p)), np.eye(p), atol=1e-8)


def test_an_interval_without_refits_is_that_of_the_calibration(bundle: Bundle) -> None:
    assert isinstance(bundle.fitted, Additive)
    model = page_model(replace(bundle, fitted=replace(bundle.fitted, sampling=None)))
    assert model["sampling"] is None
    assert model["calibrator"]["covariance"] == bundle.calibrator.covariance.tolist()


def test_a_control_starts_at_the_median_or_the_most_frequent_level_and_says_what_is_required(bundle: Bundle) -> None:
    controls = dict(zip([each.name for each in bundle.features], page_model(bundle)["inputs"], strict=True))
    assert controls["age_years"]["usual"] == bundle.reference["age_years"]["quantiles"]["0.5"]
    assert [name for name, each in controls.items() if each["required"]] == ["age_years", "sex"]
    shares = bundle.reference["smoking"]["shares"]
    levels = next(each.levels for each in bundle.features if each.name == "smoking")
    assert levels[controls["smoking"]["usual"]] == max(shares, key=shares.__getitem__)
    # Most digits that a person's value has.
    assert all(len(f"{each['usual']:g}".replace(".", "")) <= 5 for each in controls.values())
    for each in controls.values():
        if "step" in each:
            assert 50 <= (each["high"] - each["low"]) / each["step"] <= 125


def test_what_follows_from_a_level_of_another_input_is_settled_by_it(bundle: Bundle) -> None:
    names = [each.name for each in bundle.features]
    controls = dict(zip(names, page_model(bundle)["inputs"], strict=True))
    # Nobody asked men; of women it is not derived.
    assert controls["gestational_diabetes"]["settled"] == {"by": names.index("sex"), "to": [None, 0]}
    assert {name for name, each in controls.items() if each["settled"]} == {"gestational_diabetes", "large_baby"}


def test_a_derived_number_moves_with_its_parents_as_its_own_function_has_it(bundle: Bundle) -> None:
    names = [each.name for each in bundle.features]
    controls = dict(zip(names, page_model(bundle)["inputs"], strict=True))
    height, food = str(names.index("height_cm")), str(names.index("magnesium_food_mg"))
    assert controls["bmi_kg_m2"]["moves"] == {"by": "ratio", "of": {height: -2.0}}
    assert controls["bmi_kg_m2"]["note"] == "Moves with Height, at the same Weight."
    assert controls["magnesium_total_mg"]["moves"] == {"by": "difference", "of": {food: 1.0}}
    assert {name for name, each in controls.items() if each.get("moves")} == {"bmi_kg_m2", "magnesium_total_mg"}


@pytest.mark.parametrize(
    ("name", "moves"),
    [
        ("waist_to_height", {"by": "ratio", "of": {"0": 1.0, "1": -1.0}}),
        ("magnesium_density_mg_1000kcal", {"by": "ratio", "of": {}}),
        # Neither a sum nor a product of powers, or a model of its own.
        ("egfr", None),
        ("dash_score", None),
        ("usual_magnesium_mg", None),
    ],
)
def test_how_any_derived_number_moves_is_found_from_its_function(
    bundle: Bundle, name: str, moves: dict[str, Any] | None
) -> None:
    other = replace(bundle, features=features(["waist_cm", "height_cm", name]))
    assert _moves(other, other.features[-1]) == moves


def test_what_cannot_be_moved_says_that_it_is_set_by_itself(bundle: Bundle) -> None:
    chosen = features(["bmi_kg_m2", "race_ethnicity", "bmi_class", "magnesium_density_mg_1000kcal"])
    of_class, density = chosen[-2:]
    other = replace(bundle, features=chosen)
    assert _note(other, of_class, None) == (
        "Scoring derives it from Body mass index and Race/ethnicity where it is not given. Here it is set by itself."
    )
    # Nothing on the page could contradict it.
    assert _note(other, density, None) == ""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest

from mgrisk.model.additive import Additive
from mgrisk.model.bundle import Bundle, read_bundle, released
from mgrisk.report.probe import NOT_ADDITIVE, page_model


@pytest.fixture(scope="module")
def bundle() -> Bundle:
    return read_bundle(released("undiagnosed"))


@pytest.mark.parametrize("learner", ["xgboost", "shapes", "blend"])
def test_a_model_that_is_not_additive_is_said_to_be_none(toy_bundles: dict[str, Bundle], learner: str) -> None:
    assert page_model(toy_bundles[learner]) == {"absent": NOT_ADDITIVE}


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


def test_what_follows_from_another_input_is_settled_by_it_and_a_number_that_could_be_derived_says_that_it_is_not(
    bundle: Bundle,
) -> None:
    names = [each.name for each in bundle.features]
    controls = dict(zip(names, page_model(bundle)["inputs"], strict=True))
    # Nobody asked men; of women it is not derived.
    assert controls["gestational_diabetes"]["settled"] == {"by": names.index("sex"), "to": [None, 0]}
    assert {name for name, each in controls.items() if each["settled"]} == {"gestational_diabetes", "large_baby"}
    assert controls["bmi_kg_m2"]["note"].startswith("Scoring derives it from Height and Weight where it is not given.")
    assert {name for name, each in controls.items() if each["note"]} == {"bmi_kg_m2", "magnesium_total_mg"}

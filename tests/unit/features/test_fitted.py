"""Features that need a model: fitted once, carried as plain values, the same for a scored row as for a fitted one."""

from __future__ import annotations

import json
import sys
from dataclasses import dataclass
from types import ModuleType
from typing import Any

import numpy as np
import pandas as pd
import pytest

from mgrisk.errors import ExitStatus, MgRiskError
from mgrisk.features import fitted
from mgrisk.features.compute import complete
from mgrisk.features.registry import FEATURES, Feature, with_ancestors
from mgrisk.survey.design import SurveyDesign, WeightLevel

NAN = float("nan")


@dataclass(frozen=True)
class Centred:
    """Weight less the weighted mean of the people of the fit."""

    mean: float

    def predict(self, parents: pd.DataFrame) -> pd.DataFrame:
        return pd.DataFrame({"weight_centred_kg": parents["weight_kg"] - self.mean})

    def to_dict(self) -> dict[str, Any]:
        return {"mean": self.mean}


@pytest.fixture
def centred(monkeypatch: pytest.MonkeyPatch) -> Feature:
    """Return a feature whose model a module of features would fit."""
    module = ModuleType("mgrisk.features.toy_centred")

    def fit(people: pd.DataFrame, design: SurveyDesign) -> Centred:
        known = people["weight_kg"].notna().to_numpy()
        weights = design.analysis_weight[known]
        return Centred(float(np.average(people["weight_kg"][known], weights=weights)))

    vars(module).update(fit=fit, from_dict=lambda content: Centred(**content))
    monkeypatch.setitem(sys.modules, module.__name__, module)
    row = {"name": "weight_centred_kg", "fitted": "toy_centred", "derived_from": ("weight_kg",), "sources": ()}
    return FEATURES["weight_kg"].model_copy(update=row)


@pytest.fixture
def models(centred: Feature) -> fitted.Models:
    people = pd.DataFrame({"weight_kg": [50.0, 80.0, NAN, 500.0]})
    design = SurveyDesign([1.0, 2.0, 5.0, 9.0], [1, 1, 2, 2], [1, 2, 1, 2], WeightLevel.EXAM)
    domain = design.where(np.array([True, True, True, False]))
    return fitted.fit(people, domain, [centred, centred, FEATURES["age_years"]])


def test_a_model_is_fitted_once_with_the_weights_of_the_domain(models: fitted.Models) -> None:
    assert fitted.to_dict(models) == {"toy_centred": {"mean": 70.0}}


def test_a_model_comes_back_from_its_file_and_predicts_the_same(models: fitted.Models, centred: Feature) -> None:
    back = fitted.from_dict(json.loads(json.dumps(fitted.to_dict(models))), [centred])
    given = pd.DataFrame({"weight_kg": [71.0, NAN]}, index=[9, 4])
    family = with_ancestors([centred])
    values = complete(given, family, models=back)["weight_centred_kg"]
    assert values.index.tolist() == [9, 4]
    np.testing.assert_array_equal(values, [1.0, NAN])
    pd.testing.assert_series_equal(values, complete(given, family, models=models)["weight_centred_kg"])


def test_a_given_value_wins_over_the_predicted_one(models: fitted.Models, centred: Feature) -> None:
    given = pd.DataFrame({"weight_kg": [71.0, 71.0], "weight_centred_kg": [5.0, NAN]})
    assert complete(given, with_ancestors([centred]), models=models)["weight_centred_kg"].tolist() == [5.0, 1.0]


def test_without_its_model_a_feature_is_missing(centred: Feature) -> None:
    assert complete(pd.DataFrame({"weight_kg": [71.0]}), with_ancestors([centred]))["weight_centred_kg"].isna().all()


def test_a_bundle_that_lacks_a_model_is_refused_by_its_name(centred: Feature) -> None:
    with pytest.raises(MgRiskError) as refused:
        fitted.from_dict({}, [centred])
    assert refused.value.code == "fitted.missing"
    assert refused.value.status == ExitStatus.BUNDLE
    assert "toy_centred" in refused.value.message


def test_features_without_a_model_need_none() -> None:
    assert fitted.from_dict({}, [FEATURES["age_years"]]) == {}

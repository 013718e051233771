"""The reference distribution: weighted shares and quantiles, and the training distribution."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import pytest

from mgrisk.features.compute import to_columns, typed
from mgrisk.features.registry import Feature, features
from mgrisk.model.reference import check, describe, outside_domain
from mgrisk.types import Booleans

if TYPE_CHECKING:
    from tests.conftest import ToyPeople

NAN = float("nan")
CHOSEN = features(["bmi_kg_m2", "smoking"])


def frame(bmi: list[float], smoking: list[str | None]) -> pd.DataFrame:
    return typed(pd.DataFrame({"bmi_kg_m2": bmi, "smoking": smoking}), CHOSEN)


def inside(people: pd.DataFrame, chosen: Sequence[Feature], reference: Mapping[str, Any]) -> Booleans:
    found: Booleans = ~outside_domain(to_columns(people, chosen), chosen, reference, n=len(people)).any(axis=0)
    return found


def test_quantiles_shares_and_missing_are_of_people_and_not_of_rows() -> None:
    content = describe(
        frame([20, 30, 40, NAN], ["never", "current", None, "never"]), CHOSEN, np.array([1.0, 6.0, 1.0, 2.0])
    )
    bmi = content["bmi_kg_m2"]
    assert (bmi["missing"], bmi["quantiles"]["0.5"], bmi["quantiles"]["0.9995"]) == (0.2, 30.0, 40.0)
    assert content["smoking"]["missing"] == 0.1
    assert content["smoking"]["shares"] == {"never": 3 / 9, "former": 0.0, "current": 6 / 9}


def test_the_description_does_not_depend_on_the_scale_of_weights(toy_people: ToyPeople) -> None:
    rows = toy_people.frame.iloc[toy_people.inside]
    plain = describe(rows, toy_people.features, toy_people.weight)
    scaled = describe(rows, toy_people.features, toy_people.weight / 1024)
    assert plain == scaled


def test_the_bounds_and_missing_values_are_inside_and_what_lies_beyond_or_was_never_seen_is_not() -> None:
    reference = describe(frame([20, 30, 40], ["never", "current", "never"]), CHOSEN, np.ones(3))
    people = frame([20, 40, 19.9, 40.1, NAN, 30, 30], ["never", "current", "never", "never", None, "former", None])
    stored = json.loads(json.dumps(reference))
    for known in (reference, stored):
        assert inside(people, CHOSEN, known).tolist() == [True, True, False, False, True, False, True]


def test_where_nobody_had_a_value_whoever_has_one_is_outside() -> None:
    reference = describe(frame([NAN, NAN], [None, None]), CHOSEN, np.ones(2))
    people = frame([NAN, 30, NAN], [None, None, "never"])
    assert inside(people, CHOSEN, reference).tolist() == [True, False, False]


def test_almost_everybody_described_is_in_the_domain_of_their_own_description(toy_people: ToyPeople) -> None:
    rows = toy_people.frame.iloc[toy_people.inside]
    reference = describe(rows, toy_people.features, toy_people.weight)
    assert inside(rows, toy_people.features, reference).mean() > 0.98


def test_numbers_that_do_not_go_together_are_outside_though_each_alone_is_not() -> None:
    random = np.random.default_rng(4)
    bmi = random.normal(28, 5, 5000)
    waist = 98 + 2.3 * (bmi - 28) + random.normal(0, 6, 5000)
    chosen = features(["bmi_kg_m2", "waist_cm", "age_years"])
    people = typed(
        pd.DataFrame({"bmi_kg_m2": bmi, "waist_cm": waist, "age_years": random.uniform(20, 80, 5000)}), chosen
    )
    reference = json.loads(json.dumps(describe(people, chosen, np.ones(5000))))
    assert inside(people, chosen, reference).mean() > 0.995
    asked = pd.DataFrame({"bmi_kg_m2": [41, 41, 17, NAN, 41], "waist_cm": [128, 80, 120, 80, NAN], "age_years": 50.0})
    assert inside(typed(asked, chosen), chosen, reference).tolist() == [True, False, False, True, True]


def test_numbers_that_go_with_no_other_have_no_companion(toy_people: ToyPeople) -> None:
    rows = toy_people.frame.iloc[toy_people.inside]
    reference = describe(rows, toy_people.features, toy_people.weight)
    assert not any("beside" in row for row in reference.values())


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (("bmi_kg_m2", "quantiles", "0.5"), NAN),
        (("bmi_kg_m2", "quantiles", "0.5"), 99.0),
        (("bmi_kg_m2", "quantiles", "0.6"), 30.0),
        (("bmi_kg_m2", "missing"), 2.0),
        (("bmi_kg_m2", "people"), -1.0),
        (("bmi_kg_m2", "below"), [0.1]),
        (("bmi_kg_m2", "beside"), {"name": "smoking", "slope": 1.0, "low": 0.0, "high": 1.0}),
        (("bmi_kg_m2", "beside"), {"name": "bmi_kg_m2", "slope": NAN, "low": 0.0, "high": 1.0}),
        (("smoking", "shares"), {"never": 1.0}),
        (("smoking", "shares", "never"), -0.1),
        (("smoking",), {}),
        (("bmi_kg_m2",), None),
    ],
)
def test_a_reference_that_no_description_gives_is_refused(path: tuple[str, ...], value: object) -> None:
    reference = describe(frame([20, 30, 40], ["never", "current", None]), CHOSEN, np.ones(3))
    check(reference, CHOSEN)
    *parents, last = path
    place = reference
    for name in parents:
        place = place[name]
    place[last] = value
    with pytest.raises((ValueError, KeyError, TypeError)):
        check(reference, CHOSEN)

from __future__ import annotations

from mgrisk.evidence.typical import TYPICAL
from mgrisk.evidence.what_if import FEATURES
from mgrisk.features.registry import FEATURES as REGISTRY


def test_three_people_of_known_features_within_their_ranges() -> None:
    assert len(TYPICAL) == 3
    for person in TYPICAL:
        for name, value in person.values.items():
            feature = REGISTRY[name]
            if feature.kind == "category":
                assert value in feature.levels, (person.name, name)
            else:
                assert feature.minimum is not None
                assert feature.maximum is not None
                assert feature.minimum <= float(value) <= feature.maximum, (person.name, name)


def test_every_option_has_what_it_reads() -> None:
    for person in TYPICAL:
        assert set(FEATURES) - set(person.values) <= {"usual_magnesium_mg"}
        bmi = float(person.values["weight_kg"]) / (float(person.values["height_cm"]) / 100.0) ** 2
        assert abs(bmi - float(person.values["bmi_kg_m2"])) < 0.1

"""Mark values of one person that contradict each other, or are improbable together (`contradictions.toml`)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Final

import numpy as np

from mgrisk.config.toml import rows
from mgrisk.features.compute import derive
from mgrisk.features.registry import Feature
from mgrisk.score.csv.decimals import CONTRADICTED, GOOD, IMPROBABLE
from mgrisk.score.input_schema import Checked
from mgrisk.types import Booleans, Floats

_ALL: Final = rows("mgrisk.score", "contradictions.toml", "rule")
RULES: Final = [row for row in _ALL if "column" in row]
(DERIVED,) = (row for row in _ALL if "derived" in row)
STATES: Final = {"contradiction": CONTRADICTED, "improbable": IMPROBABLE}


def mark_contradictions(checked: Checked) -> Checked:
    """Mark the values that contradict another value; without any, return the same object.

    A derived number, such as BMI, that disagrees with the inputs it is computed from is marked and recomputed.

    Examples
    --------
    >>> import pandas as pd
    >>> from mgrisk.features.registry import features
    >>> from mgrisk.score.input_schema import check
    >>> people = pd.DataFrame({"sex": ["male", "female"], "large_baby": "yes"})
    >>> mark_contradictions(check(people, features(["sex", "large_baby"]))).problems.tolist()
    ['contradiction:large_baby', '']
    >>> man = pd.DataFrame({"height_cm": [175], "weight_kg": [80], "bmi_kg_m2": [33]})
    >>> found = mark_contradictions(check(man, features(["height_cm", "weight_kg", "bmi_kg_m2"])))
    >>> found.problems.tolist(), found.values["bmi_kg_m2"].round(1).tolist()
    (['improbable:bmi_kg_m2'], [26.1])
    """
    place = {feature.name: i for i, feature in enumerate(checked.inputs)}
    found: list[tuple[int, int, Booleans]] = []
    for rule in RULES:
        others = {rule[key] for key in ("column", "other", "below", "most", "least") if key in rule}
        if others <= place.keys() and (wrong := _holds(rule, checked, place)).any():
            found.append((place[rule["column"]], STATES[rule["code"]], wrong))
    worked_out = _worked_out(checked, place)
    if not (found or worked_out):
        return checked
    state, numbers = checked.state.copy(), checked.numbers.copy() if worked_out else checked.numbers
    for i, marked, wrong in (*found, *((i, IMPROBABLE, wrong) for i, (wrong, _) in worked_out.items())):
        # A contradiction takes precedence over an improbable value.
        state[i, wrong] = np.maximum(state[i, wrong], marked)
    for i, (wrong, values) in worked_out.items():
        numbers[i, wrong] = values[wrong]
    return replace(checked, state=state, numbers=numbers)


def _holds(rule: dict[str, Any], checked: Checked, place: Mapping[str, int]) -> Booleans:
    """Return which rows break a rule, shape (n,); a row without one of the two values does not."""

    def has(column: str, level: str) -> Booleans:
        levels = checked.inputs[place[column]].levels
        # No row can have a level that the bundle does not know.
        has_level: Booleans = checked.numbers[place[column]] == (levels.index(level) if level in levels else -1)
        return has_level

    if "level" in rule:
        return has(rule["column"], rule["level"]) & has(rule["other"], rule["other_level"])
    values, slack = checked.numbers[place[rule["column"]]], rule.get("slack", 0.0)
    if "below" in rule:
        wrong: Booleans = values >= checked.numbers[place[rule["below"]]]
    elif "most" in rule:
        wrong = values > checked.numbers[place[rule["most"]]] * (1.0 + slack)
    else:
        wrong = values < checked.numbers[place[rule["least"]]] * (1.0 - slack)
    return wrong


def _worked_out(checked: Checked, place: Mapping[str, int]) -> dict[int, tuple[Booleans, Floats]]:
    """Return, by index of a derived input, the rows that disagree with its formula, and the recomputed values."""
    found = {}
    for i, feature in enumerate(checked.inputs):
        if not _is_checked(feature) or not set(feature.derived_from) <= place.keys():
            continue
        rows = [i, *(place[name] for name in feature.derived_from)]
        # Checked first because it is cheaper than the computation.
        if not np.isfinite(checked.numbers[rows]).all(axis=0).any():
            continue
        parents = [checked.inputs[each] for each in rows[1:]]
        made = derive(
            feature, {parent.name: checked.numbers[place[parent.name]] for parent in parents}, parents, n=len(checked)
        )
        given = checked.numbers[i]
        wrong = (checked.state[i] == GOOD) & (np.abs(given - made) > DERIVED["slack"] * np.abs(made))
        if wrong.any():
            found[i] = wrong, made
    return found


def _is_checked(feature: Feature) -> bool:
    return (
        feature.kind == "number" and bool(feature.derived_from) and not feature.fitted and not feature.derived_in_part
    )

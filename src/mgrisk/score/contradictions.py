"""Values of one person that cannot both be right, by the rules of `contradictions.toml`."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Final

from mgrisk.config.toml import rows
from mgrisk.score.csv.decimals import CONTRADICTED
from mgrisk.score.input_schema import Checked
from mgrisk.types import Booleans

RULES: Final = rows("mgrisk.score", "contradictions.toml", "contradiction")


def mark_contradictions(checked: Checked) -> Checked:
    """Return checked people with the values marked that contradict another, as it is where there are none.

    Examples
    --------
    >>> import pandas as pd
    >>> from mgrisk.features.registry import features
    >>> from mgrisk.score.input_schema import check
    >>> people = pd.DataFrame({"sex": ["male", "female"], "large_baby": "yes"})
    >>> mark_contradictions(check(people, features(["sex", "large_baby"]))).problems.tolist()
    ['contradiction:large_baby', '']
    """
    place = {feature.name: i for i, feature in enumerate(checked.inputs)}
    state = None
    for rule in RULES:
        if {rule["column"], rule.get("other", rule.get("below"))} <= place.keys():
            wrong = _holds(rule, checked, place)
            if wrong.any():
                state = checked.state.copy() if state is None else state
                state[place[rule["column"]], wrong] = CONTRADICTED
    return checked if state is None else replace(checked, state=state)


def _holds(rule: dict[str, Any], checked: Checked, place: dict[str, int]) -> Booleans:
    """Return who breaks a rule, shape (n,); who lacks one of the two values breaks none."""

    def has(column: str, level: str) -> Booleans:
        levels = checked.inputs[place[column]].levels
        # Nobody has a level that a bundle does not know.
        told: Booleans = checked.numbers[place[column]] == (levels.index(level) if level in levels else -1)
        return told

    if "below" in rule:
        wrong: Booleans = checked.numbers[place[rule["column"]]] >= checked.numbers[place[rule["below"]]]
        return wrong
    return has(rule["column"], rule["level"]) & has(rule["other"], rule["other_level"])

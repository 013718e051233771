"""Sets of inputs that are removed to evaluate a model without them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final, Literal

import numpy as np

from mgrisk.config.toml import rows
from mgrisk.features.registry import Feature
from mgrisk.types import Integers

NOTHING: Final = "nothing"
"""Name of the pattern in which nothing is absent."""
RANDOM: Final = 30
SEED: Final = 20_261_129

Kind = Literal["all", "set", "input", "random"]


@dataclass(frozen=True)
class Pattern:
    """A set of absent inputs.

    Attributes
    ----------
    name, label
        Name in records, and in the report.
    kind
        Nothing absent, a named set of inputs, one input, or inputs drawn at random.
    absent
        Indices of the model's features that are absent.
    """

    name: str
    label: str
    kind: Kind
    absent: Integers


def patterns(features: Sequence[Feature]) -> tuple[Pattern, ...]:
    """Return the empty set, the sets of missing_inputs.toml, each input alone, and sets drawn at random.

    Required inputs are never absent. A set that equals an earlier one is left out.

    Parameters
    ----------
    features
        Features of the model.

    Examples
    --------
    >>> from mgrisk.features.registry import features
    >>> [each.name for each in patterns(features(["age_years", "sex", "bmi_kg_m2"]))]
    ['nothing', 'age_sex']
    """
    found: dict[tuple[int, ...], Pattern] = {}
    for each in _all(features):
        found.setdefault(tuple(each.absent.tolist()), each)
    return tuple(found.values())


def _all(features: Sequence[Feature]) -> Iterator[Pattern]:
    yield Pattern(NOTHING, "All inputs", "all", np.empty(0, dtype=np.int64))
    optional = [place for place, feature in enumerate(features) if not feature.required]
    for row in rows("mgrisk.evaluate", "missing_inputs.toml", "pattern"):
        named, groups, only = set(row.get("features", ())), set(row.get("groups", ())), set(row.get("only", ()))
        absent = [
            place
            for place in optional
            if (features[place].name not in only if only else features[place].name in named)
            or features[place].group in groups
        ]
        # A set with `only` needs a model that has all of these features.
        if absent and only <= {feature.name for feature in features}:
            yield Pattern(row["name"], row["label"], "set", np.array(absent))
    for place in optional:
        yield Pattern(features[place].name, f"Absent: {features[place].label}", "input", np.array([place]))
    random = np.random.default_rng(SEED)
    for number in range(RANDOM if len(optional) > 3 else 0):
        count = int(random.integers(2, len(optional)))
        absent = np.sort(random.choice(optional, size=count, replace=False)).tolist()
        left = len(features) - count
        yield Pattern(f"random_{number + 1}", f"{left} inputs drawn at random", "random", np.array(absent))

"""The leak guard: features computed from what defines, treats or follows the outcome are refused by name."""

from __future__ import annotations

from collections.abc import Sequence
from fnmatch import fnmatchcase

from mgrisk.cohort.outcomes import Outcome
from mgrisk.errors import usage
from mgrisk.features.registry import Feature


def refuse_leaks(outcome: Outcome, chosen: Sequence[Feature]) -> None:
    """Stop where a feature has a source on the outcome's leak list.

    Raises
    ------
    MgRiskError
        `leakage.by_name`, naming the feature, its source and the pattern that forbids it.
    """
    for feature in chosen:
        for source in feature.sources:
            for pattern in outcome.leaks:
                if fnmatchcase(source, pattern):
                    raise usage(
                        "leakage.by_name",
                        f"feature {feature.name} gives away {outcome.name}: its source {source} is on the leak list",
                        got=pattern,
                        where="model.features",
                        hint="leave the feature out; cohort/outcomes.toml says what defines, treats or follows",
                    )

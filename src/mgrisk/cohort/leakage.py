"""The leak guard: features computed from what defines, treats or follows the outcome are refused by name."""

from __future__ import annotations

from collections.abc import Sequence
from fnmatch import fnmatchcase

from mgrisk.cohort.outcomes import Outcome
from mgrisk.errors import usage
from mgrisk.features.registry import Feature, with_ancestors

MARKER = "marker"


def refuse_leaks(outcome: Outcome, chosen: Sequence[Feature]) -> None:
    """Stop where a feature, or one that it is made of, is a marker or has a source on the outcome's leak lists.

    Raises
    ------
    MgRiskError
        `leakage.by_name`, naming the feature, its source and the pattern that forbids it; `leakage.marker`.
    """
    for feature in chosen:
        for part in with_ancestors([feature]):
            made_of = "" if part.name == feature.name else f", by way of {part.name}"
            if part.group == MARKER:
                raise usage(
                    "leakage.marker",
                    f"feature {feature.name} is measured for outcomes and evidence and never predicts{made_of}",
                    got=part.name,
                    where="model.features",
                    hint="leave the feature out; features/registry/marker.toml and its like hold the markers",
                )
            _refuse_sources(outcome, feature, part, made_of)


def _refuse_sources(outcome: Outcome, feature: Feature, part: Feature, made_of: str) -> None:
    for leak in outcome.leaks:
        if part.name in leak.spares:
            continue
        for source in part.sources:
            for pattern in leak.patterns:
                if fnmatchcase(source, pattern):
                    raise usage(
                        "leakage.by_name",
                        f"feature {feature.name} gives away {outcome.name}: its source {source}{made_of} is on the "
                        f"leak list {leak.name}, which {leak.why}",
                        got=pattern,
                        where="model.features",
                        hint="leave the feature out; cohort/leaks.toml says what defines, treats or follows",
                    )

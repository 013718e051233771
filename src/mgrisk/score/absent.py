"""Estimate how much of a batch's uncertainty comes from missing inputs, and which inputs would reduce it most.

Rows are counted by the set of inputs they lack. A batch may have as many sets as rows; only the sets with the smallest
hashes are counted. These are a random sample that does not depend on the order of rows, and counts of blocks can be
added.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from mgrisk.model.additive import Additive
from mgrisk.model.bundle import Bundle
from mgrisk.model.missing_inputs import as_words
from mgrisk.types import Booleans, Floats

KEPT: Final = 128
"""Maximum number of sets of absent inputs that are counted."""


@dataclass(frozen=True)
class AbsentSets:
    """Number of rows by the set of features they lack.

    Attributes
    ----------
    rows
        Number of rows by set, at most `KEPT` sets. A set is a bit mask of features in hexadecimal.
    """

    rows: Mapping[str, int]

    @classmethod
    def of(cls, values: Floats, scored: Booleans) -> AbsentSets:
        """Count the scored rows by missing features; `values` has shape (n_features, n), NaN where missing."""
        if not scored.any():
            return cls({})
        words, width = as_words(np.ascontiguousarray(np.isnan(values).T))[scored], -(-len(values) // 8)
        met, counts = np.unique(words[:, 0] if words.shape[1] == 1 else words, axis=0, return_counts=True)
        met = met.reshape(len(met), -1)
        kept = np.argsort(_mixed(met), kind="stable")[:KEPT]
        names = [row.tobytes()[:width].hex() for row in met[kept]]
        return cls(dict(sorted(zip(names, counts[kept].tolist(), strict=True))))

    def _smallest(self) -> AbsentSets:
        if len(self.rows) <= KEPT:
            return self
        names = list(self.rows)
        raw = [bytes.fromhex(name) for name in names]
        words = np.array([np.frombuffer(each.ljust(-(-len(each) // 8) * 8, b"\0"), np.uint64) for each in raw])
        kept = sorted(names[place] for place in np.argsort(_mixed(words), kind="stable")[:KEPT])
        return AbsentSets({name: self.rows[name] for name in kept})

    def __add__(self, other: AbsentSets) -> AbsentSets:
        names = self.rows.keys() | other.rows.keys()
        return AbsentSets(
            {name: self.rows.get(name, 0) + other.rows.get(name, 0) for name in sorted(names)}
        )._smallest()

    def sets(self, n_features: int) -> list[tuple[Booleans, int]]:
        """Return which features each set lacks, shape (n_features,), with its number of rows."""
        return [
            (np.unpackbits(np.frombuffer(bytes.fromhex(name), np.uint8), count=n_features).astype(np.bool_), count)
            for name, count in self.rows.items()
        ]


def _mixed(words: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """Return a hash of each row of words, shape (n, k), by splitmix64."""
    found = np.zeros(len(words), dtype=np.uint64)
    for word in words.T:
        found = (found ^ word) + np.uint64(0x9E3779B97F4A7C15)
        found = (found ^ (found >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        found = (found ^ (found >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        found = found ^ (found >> np.uint64(31))
    return found


@dataclass(frozen=True)
class Gain:
    """Reduction in uncertainty from measuring a missing input.

    Attributes
    ----------
    name
        The input.
    absent
        Share of rows that lack it.
    removes
        Share of the variance of the log-odds from missing inputs, summed over rows, that measuring it would remove.
    """

    name: str
    absent: float
    removes: float

    def to_dict(self) -> dict[str, Any]:
        """Return the record in the summary file."""
        return dict(vars(self))


def gains(bundle: Bundle, found: AbsentSets) -> Sequence[Gain]:
    """Return the gain from each missing input, the largest first; empty for a model that is not additive.

    Parameters
    ----------
    bundle
        The model.
    found
        Number of rows by the inputs they lack.
    """
    if not isinstance(bundle.fitted, Additive):
        return []
    unknown, rows = 0.0, 0
    removed, lacking = np.zeros(len(bundle.features)), np.zeros(len(bundle.features))
    for absent, count in found.sets(len(bundle.features)):
        unknown += count * bundle.fitted.unknown(absent)
        removed += count * bundle.fitted.gains(absent)
        lacking += count * absent
        rows += count
    if not unknown > 0:
        return []
    listed = [
        Gain(feature.name, float(lacking[place] / rows), float(removed[place] / unknown))
        for place, feature in enumerate(bundle.features)
        if lacking[place]
    ]
    return sorted(listed, key=lambda gain: (-gain.removes, gain.name))

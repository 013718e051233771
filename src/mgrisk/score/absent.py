"""What the inputs that a batch lacks leave unknown, and which of them would tell most if they were measured.

Rows are counted by the set of inputs they lack. A batch may have as many sets as rows; the counts are kept of those
sets whose digests are smallest, a random sample of the sets that does not depend on the order of rows and adds up from
block to block.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from mgrisk.model.additive import Additive
from mgrisk.model.bundle import Bundle
from mgrisk.types import Booleans, Floats

KEPT: Final = 128
"""Sets of absent inputs whose rows are counted."""


@dataclass(frozen=True)
class AbsentSets:
    """Rows by the set of features they lack.

    Attributes
    ----------
    rows
        Number of rows by set; a set is the bits of its features in hexadecimal. At most `KEPT` sets.
    """

    rows: Mapping[str, int]

    @classmethod
    def of(cls, values: Floats, scored: Booleans) -> AbsentSets:
        """Count the scored rows of completed features, shape (n_features, n), NaN where missing."""
        bits = np.packbits(np.isnan(values), axis=0).T[scored]
        if not len(bits):
            return cls({})
        # As one item for each row: numpy sorts rows of bytes many times slower.
        items = np.ascontiguousarray(bits).view(np.dtype((np.void, bits.shape[1]))).ravel()
        met, counts = np.unique(items, return_counts=True)
        return cls._smallest({each.tobytes().hex(): count for each, count in zip(met, counts.tolist(), strict=True)})

    @classmethod
    def _smallest(cls, rows: Mapping[str, int]) -> AbsentSets:
        if len(rows) <= KEPT:
            return cls(dict(sorted(rows.items())))
        kept = sorted(rows, key=lambda name: hashlib.sha256(name.encode()).digest())[:KEPT]
        return cls({name: rows[name] for name in sorted(kept)})

    def __add__(self, other: AbsentSets) -> AbsentSets:
        names = self.rows.keys() | other.rows.keys()
        return self._smallest({name: self.rows.get(name, 0) + other.rows.get(name, 0) for name in names})

    def sets(self, n_features: int) -> list[tuple[Booleans, int]]:
        """Return which features each set lacks, shape (n_features,), with its number of rows."""
        return [
            (np.unpackbits(np.frombuffer(bytes.fromhex(name), np.uint8), count=n_features).astype(np.bool_), count)
            for name, count in self.rows.items()
        ]


@dataclass(frozen=True)
class Gain:
    """What measuring an absent input would tell.

    Attributes
    ----------
    name
        The input.
    absent
        Share of the rows that lack it.
    removes
        Share of what is unknown of all rows' log-odds (the sum of their variances) that would be known.
    """

    name: str
    absent: float
    removes: float

    def to_dict(self) -> dict[str, Any]:
        """Return what the summary file says."""
        return dict(vars(self))


def gains(bundle: Bundle, found: AbsentSets) -> Sequence[Gain]:
    """Return the absent inputs, that which would tell most first; none where the model cannot tell.

    Parameters
    ----------
    bundle
        The model; only an additive one can tell.
    found
        Rows by the inputs they lack.
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

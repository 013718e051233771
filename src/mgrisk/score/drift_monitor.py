"""Measure distribution shift between a batch and the development cohort: features, missing values and risks.

Both are counted in bins between quantiles of the reference, so that counts of blocks can be added. Unweighted shares of
the batch are compared with shares of the population that the reference represents; a batch from a clinic differs from
it without anything being wrong. A shift is reported only where there are enough rows for the index to exceed sampling
variation (`Shift.enough`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Final

import numpy as np
from scipy.special import chdtri

from mgrisk.compiled import compiled_later
from mgrisk.features.registry import Feature
from mgrisk.model.reference import RISK
from mgrisk.score.answers import Answers
from mgrisk.types import Booleans, Floats, Integers

SMALL, LARGE = 0.1, 0.25
"""Population stability index (PSI) from which a shift is small or large (Siddiqi 2006, Credit Risk Scorecards)."""
CHANCE: Final = 0.001
"""Probability that sampling alone exceeds `Shift.psi_limit`: with 30 independent features, about 1 batch in 30."""
MISSING_MORE: Final = 0.1
"""Increase of a share of missing values over development that counts as more."""
BINS_BETWEEN: Final = (0.05, 0.1, 0.25, 0.5, 0.75, 0.9, 0.95)
"""Quantiles of the reference that separate the bins, without the outermost ones, where bins would be too small."""


@dataclass(frozen=True)
class Shift:
    """Distribution shift of one feature, or of the risks, against the reference.

    Attributes
    ----------
    name
        The feature, or `risk`.
    people
        Number of rows in the batch with a value.
    psi, psi_by_chance, psi_limit
        Population stability index (PSI) over the bins; its mean under sampling alone, and the value exceeded with
        probability `CHANCE` under sampling alone.
    ks, ks_se
        Kolmogorov-Smirnov statistic: the largest difference of the distribution functions at a bin edge (for a
        category, of the share of a level); and its standard error, from the sizes of the batch and the effective size
        of the reference.
    missing, missing_in_reference
        Shares of rows without a value.
    rows
        Scored rows, with or without a value.
    counts
        Number of rows in each bin; the reference has the same bins.
    ordered
        Whether the bins are ordered, so that shares can be cumulated; False for a category.
    """

    name: str
    people: int
    psi: float
    psi_by_chance: float
    psi_limit: float
    ks: float
    ks_se: float
    missing: float
    missing_in_reference: float
    rows: int = 0
    counts: tuple[int, ...] = ()
    ordered: bool = True

    @property
    def enough(self) -> bool:
        """Whether there are enough rows for a large shift to exceed chance: about 100 for eight bins."""
        return self.psi_limit <= LARGE

    def exceeds(self, size: float) -> bool:
        """Whether the PSI is at least `size` and exceeds `psi_limit`."""
        return self.enough and self.psi >= max(size, self.psi_limit)

    @property
    def misses_more(self) -> bool:
        """Whether values are missing more often than in development."""
        return self.missing >= self.missing_in_reference + MISSING_MORE

    def to_dict(self) -> dict[str, Any]:
        """Return the record in the summary file."""
        return {**vars(self), "counts": list(self.counts)}

    def against(self, *, rows: int, counts: Sequence[int] | Integers) -> Shift:
        """Compare with other rows counted in the same bins, instead of the reference.

        Parameters
        ----------
        rows, counts
            Their number of scored rows, and the number in each bin, shape (n_bins,).

        Examples
        --------
        >>> unknown = dict.fromkeys(["psi", "psi_by_chance", "psi_limit", "ks", "ks_se", "missing"], 0.0)
        >>> here = Shift("age_years", 1000, **unknown, missing_in_reference=0.0, rows=1000, counts=(500, 500))
        >>> found = here.against(rows=2000, counts=(600, 1400))
        >>> round(found.psi, 3), round(found.ks, 3)
        (0.169, 0.2)
        """
        people = int(np.sum(counts))
        shares = tuple((np.array(counts) / max(people, 1)).tolist())
        missing = 1.0 - people / rows if rows else float("nan")
        scale = _Scale(self.name, self.ordered, (), shares, float(people), missing)
        return _shift(scale, np.array(self.counts, dtype=np.int64), self.rows)


@dataclass(frozen=True)
class BinCounts:
    """Counts of rows in the bins of a reference; counts of blocks can be added.

    Attributes
    ----------
    rows
        Scored rows.
    counts
        Number of rows in each bin of each feature, shape (n_scales, n_bins).
    """

    rows: int
    counts: Integers

    def __add__(self, other: BinCounts) -> BinCounts:
        return BinCounts(self.rows + other.rows, self.counts + other.counts)

    def to_dict(self) -> dict[str, Any]:
        """Return the counts as JSON for a journal."""
        return {"rows": self.rows, "counts": self.counts.tolist()}

    @classmethod
    def from_dict(cls, content: Mapping[str, Any]) -> BinCounts:
        """Restore the counts from `to_dict`."""
        return cls(content["rows"], np.array(content["counts"], dtype=np.int64))


@dataclass(frozen=True)
class _Scale:
    """Bin edges of one feature; the bin of a level reaches half a unit to each side of its index."""

    name: str
    number: bool
    borders: tuple[float, ...]
    shares: tuple[float, ...]
    people: float
    missing: float


class ReferenceBins:
    """The bins of the reference distribution of a bundle.

    Parameters
    ----------
    features
        The model's features.
    reference
        The bundle's reference; risks are compared only if it has a distribution of risks.
    """

    def __init__(self, features: tuple[Feature, ...], reference: Mapping[str, Any]) -> None:
        self._scales = [_scale(feature.name, feature.levels, reference[feature.name]) for feature in features]
        if RISK in reference:
            self._scales.append(_scale(RISK, (), reference[RISK]))

    @cached_property
    def _borders(self) -> Floats:
        most = max(len(scale.borders) for scale in self._scales)
        borders = np.full((len(self._scales), most), np.inf)
        for row, scale in zip(borders, self._scales, strict=True):
            row[: len(scale.borders)] = scale.borders
        return borders

    def measure(self, answers: Answers) -> BinCounts:
        """Count the scored rows."""
        borders = self._borders
        counts = np.zeros((len(borders), borders.shape[1] + 1), dtype=np.int64)
        scored, k = answers.scored, len(answers.features)
        # Values and risks are counted separately, since joining the arrays would take longer than counting.
        _count(answers.values, scored, borders[:k], counts[:k])
        _count(answers.risk[: len(borders) - k], scored, borders[k:], counts[k:])
        return BinCounts(int(scored.sum()), counts)

    def shifts(self, counted: BinCounts) -> list[Shift]:
        """Compare counts with the reference, the largest index first."""
        found = [_shift(scale, row, counted.rows) for scale, row in zip(self._scales, counted.counts, strict=True)]
        return sorted(found, key=lambda shift: -np.nan_to_num(shift.psi, nan=-1.0))


def _scale(name: str, levels: tuple[str, ...], row: Mapping[str, Any]) -> _Scale:
    if levels:
        shares = tuple(float(row["shares"][level]) for level in levels)
        borders = tuple(place + 0.5 for place in range(len(levels) - 1))
    else:
        # A frequent value makes quantiles coincide: they become one edge, with the whole share up to it.
        below = dict(zip(row["quantiles"].values(), row["below"], strict=True))
        chosen = {row["quantiles"][str(p)]: None for p in BINS_BETWEEN} if below else {}
        borders = tuple(border for border in chosen if below[border] < 1.0)
        shares = tuple(np.diff([0.0, *(below[border] for border in borders), 1.0]).tolist())
    return _Scale(name, not levels, borders, shares, float(row.get("people", 0.0)), float(row["missing"]))


def _shift(scale: _Scale, counts: Integers, rows: int) -> Shift:
    counts = counts[: len(scale.shares)]
    n, m = int(counts.sum()), scale.people
    missing = 1.0 - n / rows if rows else float("nan")
    counted: dict[str, Any] = {"rows": rows, "counts": tuple(counts.tolist()), "ordered": scale.number}
    if not n or not m:
        unknown: dict[str, Any] = dict.fromkeys(("psi", "psi_by_chance", "psi_limit", "ks", "ks_se"), float("nan"))
        return Shift(scale.name, n, **unknown, missing=missing, missing_in_reference=scale.missing, **counted)
    shares = np.array(scale.shares)
    # An empty bin counts as half a row, since the index is undefined for it.
    of_batch, of_reference = np.maximum(counts, 0.5) / n, np.maximum(shares, 0.5 / m)
    psi = float(((of_batch - of_reference) * np.log(of_batch / of_reference)).sum())
    differences = np.abs(counts / n - shares)
    expected = shares
    if scale.number:
        expected = np.cumsum(shares)
        differences = np.abs(np.cumsum(counts) / n - expected)
    worst = int(differences.argmax())
    p = expected[worst]
    sampling = 1 / n + 1 / m
    return Shift(
        name=scale.name,
        people=n,
        psi=psi,
        # Yurdakul and Naranjo 2020, J. Risk Model Validation 14(4): the index times nm/(n + m) is about chi-squared.
        psi_by_chance=(len(shares) - 1) * sampling,
        psi_limit=float(chdtri(max(len(shares) - 1, 1), CHANCE)) * sampling,
        ks=float(differences[worst]),
        ks_se=float(np.sqrt(max(p * (1 - p), 0.0) * sampling)),
        missing=missing,
        missing_in_reference=scale.missing,
        **counted,
    )


@compiled_later
def _count(
    values: Floats,
    scored: Booleans,
    borders: Floats,
    counts: Integers,
) -> None:
    """Count scored values in each bin; an edge belongs to the bin below it, and NaN to none."""
    for j in range(len(values)):
        x = values[j]
        above = np.int64(0)
        for r in range(len(x)):
            above += np.int64(scored[r] and x[r] == x[r])
        for k in range(borders.shape[1]):
            border, beyond = borders[j, k], np.int64(0)
            for r in range(len(x)):
                beyond += np.int64(scored[r] and x[r] > border)
            counts[j, k] += above - beyond
            above = beyond
        counts[j, borders.shape[1]] += above

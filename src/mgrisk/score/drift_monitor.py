"""How a batch differs from the people that the model was made on: by feature, in what is missing, and in its risks.

Both are compared on bins between quantiles of the reference, so that a batch of any length is a few counts, which add
up from block to block. What is compared is shares of people in the batch, who have no weights, with shares of the
population that the reference stands for: a batch from a clinic differs from it without anything being wrong. A shift is
only called one where there are enough rows for it to exceed what sampling alone makes of the index (`Shift.enough`).
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
"""Population stability index from which a shift counts as small and as large (Siddiqi 2006, Credit Risk Scorecards)."""
CHANCE: Final = 0.001
"""How often sampling alone exceeds `Shift.psi_limit`: with thirty independent features, in one batch of thirty."""
MISSING_MORE: Final = 0.1
"""How much larger than in development a share of missing values is that counts as more."""
BINS_BETWEEN: Final = (0.05, 0.1, 0.25, 0.5, 0.75, 0.9, 0.95)
"""The reference's quantiles between the bins: all but the outermost, beyond which a share is a handful of people."""


@dataclass(frozen=True)
class Shift:
    """How the values of one feature, or the risks, lie against the reference.

    Attributes
    ----------
    name
        The feature, or `risk`.
    people
        Of the batch, who has a value.
    psi, psi_by_chance, psi_limit
        Population stability index over the bins; what it would be on average by sampling alone, and what it would
        exceed in one of a thousand batches.
    ks, ks_se
        Kolmogorov-Smirnov statistic: the largest difference of the distribution functions at a border of bins (for a
        category, of the shares of a level), and its sampling error: that of the batch and of the reference's effective
        number of people.
    missing, missing_in_reference
        Shares.
    rows
        Scored rows, with a value or without.
    counts
        People in each bin, of which the reference has the same.
    ordered
        Whether the bins follow one another, so that their shares can be cumulated; those of a category do not.
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
        """Whether there are enough people for a large shift to exceed chance: about 100 in the batch for eight bins."""
        return self.psi_limit <= LARGE

    def exceeds(self, size: float) -> bool:
        """Whether the index is at least `size`, and beyond what sampling alone would make of it."""
        return self.enough and self.psi >= max(size, self.psi_limit)

    @property
    def misses_more(self) -> bool:
        """Whether values are missing more often than in development."""
        return self.missing >= self.missing_in_reference + MISSING_MORE

    def to_dict(self) -> dict[str, Any]:
        """Return what the summary file says."""
        return {**vars(self), "counts": list(self.counts)}

    def against(self, *, rows: int, counts: Sequence[int] | Integers) -> Shift:
        """Compare with other people who were counted in the same bins, in place of the reference.

        Parameters
        ----------
        rows, counts
            Their scored rows, and how many of them are in each bin, shape (n_bins,).

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
class Spread:
    """Counts of some rows over the bins of a yardstick; those of two blocks add up to those of both.

    Attributes
    ----------
    rows
        Scored rows.
    counts
        People in each bin, shape (n_rows_of_the_yardstick, n_bins).
    """

    rows: int
    counts: Integers

    def __add__(self, other: Spread) -> Spread:
        return Spread(self.rows + other.rows, self.counts + other.counts)

    def to_dict(self) -> dict[str, Any]:
        """Return the counts for a journal."""
        return {"rows": self.rows, "counts": self.counts.tolist()}

    @classmethod
    def from_dict(cls, content: Mapping[str, Any]) -> Spread:
        """Take back what `to_dict` gave."""
        return cls(content["rows"], np.array(content["counts"], dtype=np.int64))


@dataclass(frozen=True)
class _Scale:
    """What one feature is compared on: borders of bins (a level is between its place and half a place around)."""

    name: str
    number: bool
    borders: tuple[float, ...]
    shares: tuple[float, ...]
    people: float
    missing: float


class Yardstick:
    """The bins of a bundle's reference.

    Parameters
    ----------
    features
        The model's features.
    reference
        The bundle's; without a distribution of risks in it, the risks of a batch are not compared.
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

    def measure(self, answers: Answers) -> Spread:
        """Count the scored rows."""
        borders = self._borders
        counts = np.zeros((len(borders), borders.shape[1] + 1), dtype=np.int64)
        scored, k = answers.scored, len(answers.features)
        # The values apart from the risks: to put them into one array would take longer than to count them.
        _count(answers.values, scored, borders[:k], counts[:k])
        _count(answers.risk[: len(borders) - k], scored, borders[k:], counts[k:])
        return Spread(int(scored.sum()), counts)

    def shifts(self, spread: Spread) -> list[Shift]:
        """Compare counts with the reference, the largest index first."""
        found = [_shift(scale, row, spread.rows) for scale, row in zip(self._scales, spread.counts, strict=True)]
        return sorted(found, key=lambda shift: -np.nan_to_num(shift.psi, nan=-1.0))


def _scale(name: str, levels: tuple[str, ...], row: Mapping[str, Any]) -> _Scale:
    if levels:
        shares = tuple(float(row["shares"][level]) for level in levels)
        borders = tuple(place + 0.5 for place in range(len(levels) - 1))
    else:
        # Many with one value make quantiles coincide: one border, with all the share up to it.
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
    # Half a person where there is none, as the index has no value for an empty bin.
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
    """Count scored values in each bin; a border belongs to the bin below it, and NaN to none."""
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

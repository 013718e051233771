"""Expected performance without labels: AUROC, sensitivity and yield that the risks of a batch imply if calibrated.

Of people whose risks p are calibrated, p of each is expected to be a case and 1 - p not. Expected counts of cases and
others at or above a threshold, and of pairs of a case and another person in the right order, follow without outcomes.
Whether the risks are calibrated cannot be seen in this way.

Risks are counted in bins, so that a batch of any length is a few counts, which add up from block to block.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from scipy.special import expit

from mgrisk.evaluate.thresholds import RISKS
from mgrisk.types import Floats, Integers

STEP: Final = 0.02
"""Width of a bin in log-odds. People of one bin count as tied, which costs the AUROC at most STEP / 4 = 0.005 where all
risks lie in one bin, and about 1e-5 where they spread as in a population."""
EDGES: Final[Floats] = np.union1d(expit(np.arange(-12.0, 12.0 + STEP / 2, STEP)), RISKS)
"""Lower ends of all bins but the first, from a risk of 6e-6 to 1 - 6e-6. The thresholds are among them, so that who is
at or above one is exact."""
QUANTILES: Final = (0.1, 0.5, 0.9)
UNIT: Final = 2.0**-30
"""Risks are summed in whole multiples of this: the sum is the same in any order, to 1e-9 of each risk."""
ASSUMES: Final = "holds if the risks are calibrated for these people; miscalibration cannot be seen without outcomes"


@dataclass(frozen=True)
class RiskCounts:
    """Risks of some rows in bins; those of two blocks add up to those of both.

    Attributes
    ----------
    people
        In each bin, shape (n_bins,).
    risk
        Sum of their risks in multiples of `UNIT`, shape (n_bins,).
    """

    people: Integers
    risk: Integers

    @classmethod
    def of(cls, risk: Floats) -> RiskCounts:
        """Count risks, shape (n,); NaN, who has none, counts nowhere.

        Examples
        --------
        >>> found = RiskCounts.of(np.array([0.01, 0.03, 0.3, np.nan])).expected()
        >>> found["people"], round(found["cases"], 6)
        (3, 0.34)
        """
        # Few edges are looked for among sorted risks, and not each risk among many edges: a tenth of the time.
        ordered = np.sort(risk[~np.isnan(risk)])
        ends = np.concatenate([[0], np.searchsorted(ordered, EDGES), [len(ordered)]])
        below = np.concatenate([[0.0], np.cumsum(np.rint(ordered / UNIT))])
        return cls(np.diff(ends), np.diff(below[ends]).astype(np.int64))

    @classmethod
    def nobody(cls) -> RiskCounts:
        """Count no risk."""
        return cls.of(np.empty(0))

    def __add__(self, other: RiskCounts) -> RiskCounts:
        return RiskCounts(self.people + other.people, self.risk + other.risk)

    def to_dict(self) -> dict[str, Any]:
        """Return the counts for a journal."""
        return {"people": self.people.tolist(), "risk": self.risk.tolist()}

    @classmethod
    def from_dict(cls, content: Mapping[str, Any]) -> RiskCounts:
        """Take back what `to_dict` gave."""
        return cls(*(np.array(content[name], dtype=np.int64) for name in ("people", "risk")))

    def quantiles(self) -> dict[str, float | None]:
        """Return quantiles of the risks by probability, each the mean risk of the bin that it lies in; None of nobody.

        Examples
        --------
        >>> {p: round(risk, 4) for p, risk in RiskCounts.of(np.array([0.01] * 8 + [0.3] * 2)).quantiles().items()}
        {'0.1': 0.01, '0.5': 0.01, '0.9': 0.3}
        """
        below, people = np.cumsum(self.people), int(self.people.sum())
        if not people:
            return dict.fromkeys(map(str, QUANTILES))
        places = [int(np.searchsorted(below, p * people, side="right")) for p in QUANTILES]
        mean = self.risk * UNIT / np.maximum(self.people, 1)
        return {str(p): float(mean[place]) for p, place in zip(QUANTILES, places, strict=True)}

    def expected(self) -> dict[str, Any]:
        """Return the expected performance.

        Returns
        -------
        dict
            ``people``, ``cases`` (expected), ``auroc`` (expected pairs in the right order over expected pairs of a case
            and another person), ``thresholds``: for each of `evaluate.thresholds.RISKS` {threshold, flagged,
            sensitivity, specificity, ppv} as shares of people at or above it (`flagged` of all), and ``assumes``. None
            where a share is one of nobody.
        """
        cases = self.risk * UNIT
        others = self.people - cases
        all_cases, all_others = float(cases.sum()), float(others.sum())
        # Nobody makes a pair with himself. Within a bin risks hardly differ: n of the n² pairs are of that kind.
        alone = float((cases * others / np.maximum(self.people, 1)).sum())
        in_order = float((cases * (np.cumsum(others) - others / 2)).sum()) - alone / 2
        thresholds = []
        for threshold in RISKS:
            first = int(np.searchsorted(EDGES, threshold, side="right"))
            flagged, true, false = (int(self.people[first:].sum()), float(cases[first:].sum()), others[first:].sum())
            thresholds.append(
                {
                    "threshold": threshold,
                    "flagged": _share(flagged, int(self.people.sum())),
                    "sensitivity": _share(true, all_cases),
                    "specificity": _share(all_others - float(false), all_others),
                    "ppv": _share(true, flagged),
                }
            )
        return {
            "people": int(self.people.sum()),
            "cases": all_cases,
            "auroc": _share(in_order, all_cases * all_others - alone),
            "thresholds": thresholds,
            "assumes": ASSUMES,
        }


def _share(part: float, whole: float) -> float | None:
    return part / whole if whole > 0 else None

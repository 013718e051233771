"""What a batch came to: counts of rows, problems and risks, added up block by block."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from mgrisk.score.answers import Answers
from mgrisk.score.drift import Spread, Yardstick


@dataclass(frozen=True)
class Tally:
    """Counts of some rows; those of two blocks add up to those of both.

    Attributes
    ----------
    rows, rejected, outside_domain
        Counts of rows; those outside the domain are among the scored.
    risk_sum
        Sum of the risks of scored rows.
    problems
        How often each code stood.
    spread
        Scored rows by their values, for the comparison with the reference.
    """

    rows: int = 0
    rejected: int = 0
    outside_domain: int = 0
    risk_sum: float = 0.0
    problems: Counter[str] = field(default_factory=Counter)
    spread: Spread | None = None

    @classmethod
    def of(cls, answers: Answers, yardstick: Yardstick) -> Tally:
        """Count answers."""
        scored = ~answers.rejected
        return cls(
            rows=len(answers),
            rejected=int(answers.rejected.sum()),
            outside_domain=int((scored & ~answers.inside).sum()),
            risk_sum=float(answers.risk[0][scored].sum()),
            problems=answers.problems.counts,
            spread=yardstick.measure(answers),
        )

    @property
    def scored(self) -> int:
        """Rows that have a risk."""
        return self.rows - self.rejected

    def __add__(self, other: Tally) -> Tally:
        return Tally(
            rows=self.rows + other.rows,
            rejected=self.rejected + other.rejected,
            outside_domain=self.outside_domain + other.outside_domain,
            risk_sum=self.risk_sum + other.risk_sum,
            problems=self.problems + other.problems,
            spread=self.spread + other.spread if self.spread and other.spread else self.spread or other.spread,
        )

    def to_dict(self) -> dict[str, Any]:
        """Return the counts for a journal."""
        # A plain dict: `dataclasses.asdict` takes a Counter inside a record for things to be counted.
        return {
            **vars(self),
            "problems": dict(self.problems),
            "spread": self.spread.to_dict() if self.spread else None,
        }

    @classmethod
    def from_dict(cls, content: Mapping[str, Any]) -> Tally:
        """Take back what `to_dict` gave."""
        spread = Spread.from_dict(content["spread"]) if content["spread"] else None
        return cls(**{**content, "problems": Counter(content["problems"]), "spread": spread})

    def summary(self) -> dict[str, Any]:
        """Return what the summary file says."""
        return {
            "rows": self.rows,
            "scored": self.scored,
            "rejected": self.rejected,
            "outside_domain": self.outside_domain,
            "mean_risk": self.risk_sum / self.scored if self.scored else None,
            "problems": dict(self.problems.most_common()),
        }

"""Published risk scores, a TOML file each: points that add up, or a logistic formula."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Final, Literal, Self

import numpy as np
import pandas as pd
from pydantic import model_validator
from scipy.special import expit

from mgrisk.cohort.outcomes import Outcome
from mgrisk.errors import usage
from mgrisk.features.registry import features, with_ancestors
from mgrisk.riskscores.items import Bands, Floats, Item, Mask, Row
from mgrisk.survey.design import WeightLevel

KNOWN: Final = ("ada", "cdc", "findrisc", "cambridge", "leicester", "ausdrisk", "framingham", "uspstf")


class Published(Row):
    """What others have reported of a score: in whom, for which outcome, at which cut; figures as they are printed."""

    people: str
    outcome: str
    cut: float | None = None
    auroc: str = ""
    sensitivity: str = ""
    specificity: str = ""
    ppv: str = ""
    source: str


class RiskScore(Row):
    """A published score, read from its TOML file.

    Attributes
    ----------
    kind
        ``points`` add up; ``logistic``: the items add up with `intercept` to log-odds.
    predicts
        What the score was made to tell, in words, and of whom.
    maximum
        Highest score possible; 1 of a formula.
    high
        Points or probability from which on the score says "high risk"; None where nothing was published.
    unanswered
        ``counts nothing``, as a blank on a paper form; or ``not scored``, where a formula has no meaning without.
    not_asked
        Items of the score that NHANES does not ask, which gain nothing for anybody here.
    notes
        How the answers of NHANES stand for those of the score.
    risk
        Published risk by points: lower bounds with the share of people who have or get what it predicts.
    published
        What others have reported of it.
    """

    name: str
    label: str
    citation: str
    source: str
    kind: Literal["points", "logistic"]
    predicts: str
    maximum: float
    high: float | None = None
    unanswered: Literal["counts nothing", "not scored"]
    not_asked: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    intercept: float = 0.0
    risk: Bands = ()
    item: tuple[Item, ...]
    published: tuple[Published, ...] = ()

    @model_validator(mode="after")
    def _of_its_kind(self) -> Self:
        if self.kind == "points" and self.intercept != 0.0:
            raise ValueError(f"{self.name}: points have no intercept")
        if self.kind == "logistic" and self.risk:
            raise ValueError(f"{self.name}: a formula gives its risk itself")
        return self

    @property
    def features(self) -> tuple[str, ...]:
        """Names of the features that the score needs, each once."""
        return tuple(dict.fromkeys(name for item in self.item for name in item.features))

    @property
    def cuts(self) -> tuple[float, ...]:
        """Published cuts, each once: the one of "high risk" first."""
        cuts = (self.high, *(each.cut for each in self.published))
        return tuple(dict.fromkeys(cut for cut in cuts if cut is not None))

    def score(self, people: pd.DataFrame) -> Scored:
        """Score people.

        Parameters
        ----------
        people
            Typed features, one column for each of `features`.
        """
        total = np.sum([item.gained(people) for item in self.item], axis=0)
        unanswered = np.array([item.unanswered(people) for item in self.item])
        value = expit(self.intercept + total) if self.kind == "logistic" else total
        if self.unanswered == "not scored":
            value = np.where(unanswered.any(axis=0), np.nan, value)
        return Scored(value, unanswered, self.published_risk(value))

    def published_risk(self, value: Floats) -> Floats | None:
        """Return the published probability of points, or that of a formula; None where none was published."""
        if self.kind == "logistic":
            return value
        if not self.risk:
            return None
        bounds, shares = np.array(self.risk).T
        return np.where(np.isnan(value), np.nan, shares[np.searchsorted(bounds, value, side="right") - 1])

    def why_not(self, outcome: Outcome, level: WeightLevel) -> str:
        """Return why the score cannot be evaluated for an outcome; an empty text where it can.

        Parameters
        ----------
        outcome
            What is predicted: a score must not read what defines a case.
        level
            Subsample that the weight of the run stands for.
        """
        for each in with_ancestors(features(self.features)):
            if told := [source for source in each.sources if source in outcome.defining]:
                return f"its input {each.name} reads {', '.join(told)}, which defines the outcome"
            if self.unanswered == "not scored" and each.level.rank > level.rank:
                return f"its input {each.name} was measured in fewer people ({each.level}) than the weight's ({level})"
        return ""


@dataclass(frozen=True)
class Scored:
    """People scored.

    Attributes
    ----------
    value
        Points or probability, shape (n,); NaN for who is not scored.
    unanswered
        Whose answer to which item is missing, shape (items, n).
    risk
        Published probability, shape (n,); None where none was published.
    """

    value: Floats
    unanswered: Mask
    risk: Floats | None


@cache
def load_score(name: str) -> RiskScore:
    """Return a published score by name.

    Raises
    ------
    MgRiskError
        `riskscores.unknown`.

    Examples
    --------
    >>> load_score("ada").high
    5.0
    """
    if name not in KNOWN:
        raise usage(
            "riskscores.unknown",
            f"there is no score {name}",
            where="riskscores",
            hint=f"one of: {', '.join(KNOWN)}",
        )
    content = files("mgrisk.riskscores").joinpath(f"{name}.toml").read_text("utf-8")
    return RiskScore.model_validate({"name": name, **tomllib.loads(content)})

"""Published risk scores (sums of points, or logistic formulas) read from TOML files, and their recalibration.

Each item of a score adds points or log-odds for one or several answers. A score is recalibrated to a population by
its intercept, or by intercept and slope.
"""

from __future__ import annotations

import tomllib
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from enum import StrEnum
from functools import cache
from importlib.resources import files
from typing import Any, Final, Literal, Self

import numpy as np
import pandas as pd
from pydantic import BaseModel, ConfigDict, model_validator
from scipy.special import expit

from mgrisk.cohort.outcomes import Outcome
from mgrisk.errors import usage
from mgrisk.features.registry import features, with_ancestors
from mgrisk.survey.design import SurveyDesign, WeightLevel
from mgrisk.survey.linear_models import fit_logistic
from mgrisk.types import Booleans, Floats, Integers

Bands = tuple[tuple[float, float], ...]


class Row(BaseModel):
    """A part of a score's TOML file; unknown keys are errors."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Condition(Row):
    """A condition on one feature, with exactly one bound or level.

    Attributes
    ----------
    feature
        Name of the feature.
    level, not_level
        The category that meets the condition, or the only one that does not; a missing value meets `not_level`.
    at_least, above, below
        Bound of a number.
    """

    feature: str
    level: str | None = None
    not_level: str | None = None
    at_least: float | None = None
    above: float | None = None
    below: float | None = None

    @model_validator(mode="after")
    def _one_way(self) -> Self:
        if len(self.model_fields_set - {"feature"}) != 1:
            raise ValueError(f"{self.feature}: a condition needs exactly one bound or level")
        return self

    def holds(self, people: pd.DataFrame) -> Booleans:
        """Return who meets the condition, shape (n,); a missing value meets only `not_level`."""
        values = people[self.feature]
        if self.level is not None:
            return (values == self.level).to_numpy(dtype=np.bool_)
        if self.not_level is not None:
            return (values != self.not_level).to_numpy(dtype=np.bool_)
        numbers = values.to_numpy(dtype=np.float64)
        if self.at_least is not None:
            return numbers >= self.at_least
        return numbers > self.above if self.above is not None else numbers < self.below

    def unknown(self, people: pd.DataFrame) -> Booleans:
        """Return for whom the condition is undecided because the value is missing, shape (n,)."""
        if self.not_level is not None:
            return np.zeros(len(people), dtype=np.bool_)
        return people[self.feature].isna().to_numpy()


class Item(Row):
    """One item of a score: points (or log-odds) by bounds, categories or unit of a feature, or by conditions.

    Attributes
    ----------
    feature
        Name of the feature; empty if `all` or `any` is given.
    bands, above
        Lower bounds with the points of values from the bound on (`bands`) or above it (`above`); the highest bound that
        is passed counts.
    levels
        Points by category; other categories have none.
    per_unit
        Points per unit of a number.
    all, any, worth
        Conditions, all or any of which must hold for the points `worth`.
    when
        Conditions that restrict the item to some people.
    """

    feature: str = ""
    bands: Bands = ()
    above: Bands = ()
    levels: dict[str, float] = {}
    per_unit: float | None = None
    all: tuple[Condition, ...] = ()
    any: tuple[Condition, ...] = ()
    worth: float = 0.0
    when: tuple[Condition, ...] = ()

    @model_validator(mode="after")
    def _one_way(self) -> Self:
        ways = (self.bands or self.above, self.levels, self.per_unit is not None, self.all, self.any)
        if sum(map(bool, ways)) != 1 or bool(self.feature) == bool(self.all or self.any):
            raise ValueError(f"{self.feature or 'an item'}: needs bounds, levels or unit of a feature, or conditions")
        return self

    @property
    def features(self) -> tuple[str, ...]:
        """Names of the features that the item uses."""
        conditions = (each.feature for each in (*self.all, *self.any, *self.when))
        return tuple(name for name in (self.feature, *conditions) if name)

    def gained(self, people: pd.DataFrame) -> Floats:
        """Return each person's points, shape (n,); 0 for a missing value."""
        return np.where(_every(self.when, people), self._worth(people), 0.0)

    def unanswered(self, people: pd.DataFrame) -> Booleans:
        """Return for whom the item is undecided because a value is missing, shape (n,)."""
        if self.feature:
            open_yet: Booleans = people[self.feature].isna().to_numpy(dtype=np.bool_)
        elif self.all:
            # Undecided if no condition is known to fail and at least one is unknown.
            may = [each.holds(people) | each.unknown(people) for each in self.all]
            open_yet = np.all(may, axis=0) & ~_every(self.all, people)
        else:
            unknown = [each.unknown(people) for each in self.any]
            open_yet = np.any(unknown, axis=0) & ~_some(self.any, people)
        return _every(self.when, people) & open_yet

    def _worth(self, people: pd.DataFrame) -> Floats:
        if not self.feature:
            met = _every(self.all, people) if self.all else _some(self.any, people)
            return np.where(met, self.worth, 0.0)
        values = people[self.feature]
        if self.levels:
            return np.asarray(values.astype(object).map(self.levels).fillna(0.0), dtype=np.float64)
        numbers = values.to_numpy(dtype=np.float64)
        if self.per_unit is not None:
            return np.where(np.isnan(numbers), 0.0, self.per_unit * numbers)
        gained = np.zeros(len(numbers))
        bounds = [(bound, False, worth) for bound, worth in self.bands]
        for bound, strictly, worth in sorted(bounds + [(bound, True, worth) for bound, worth in self.above]):
            gained[numbers > bound if strictly else numbers >= bound] = worth
        return gained


def _every(conditions: Sequence[Condition], people: pd.DataFrame) -> Booleans:
    held = np.ones(len(people), dtype=np.bool_)
    for each in conditions:
        held &= each.holds(people)
    return held


def _some(conditions: Sequence[Condition], people: pd.DataFrame) -> Booleans:
    held = np.zeros(len(people), dtype=np.bool_)
    for each in conditions:
        held |= each.holds(people)
    return held


KNOWN: Final = ("ada", "cdc", "findrisc", "cambridge", "leicester", "ausdrisk", "framingham", "uspstf")


class Published(Row):
    """Published performance of a score: population, outcome and cut-off, with figures as printed."""

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
        ``points``: the items add up to points; ``logistic``: the items and `intercept` add up to log-odds.
    predicts
        Outcome and population for which the score was developed.
    maximum
        Highest possible score; 1 for a formula.
    high
        Points or probability from which on the risk is "high"; None if not published.
    unanswered
        ``counts nothing``: a missing item has 0 points; ``not scored``: a person with a missing item has no score.
    not_asked
        Items of the score that NHANES does not ask, which have 0 points for everyone.
    notes
        How the items are approximated by NHANES variables.
    risk
        Published risk by points: lower bounds, with the share of people who have or develop the outcome.
    published
        Published performance.
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
            raise ValueError(f"{self.name}: a score of points has no intercept")
        if self.kind == "logistic" and self.risk:
            raise ValueError(f"{self.name}: a logistic score has no table of risks")
        return self

    @property
    def features(self) -> tuple[str, ...]:
        """Names of the features that the score needs, without duplicates."""
        return tuple(dict.fromkeys(name for item in self.item for name in item.features))

    @property
    def cuts(self) -> tuple[float, ...]:
        """Published cut-offs without duplicates, the one of "high risk" first."""
        cuts = (self.high, *(each.cut for each in self.published))
        return tuple(dict.fromkeys(cut for cut in cuts if cut is not None))

    def score(self, people: pd.DataFrame) -> Scored:
        """Compute the score.

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
        """Return the published probability for points, or the probability of a formula; None if not published."""
        if self.kind == "logistic":
            return value
        if not self.risk:
            return None
        bounds, shares = np.array(self.risk).T
        return np.where(np.isnan(value), np.nan, shares[np.searchsorted(bounds, value, side="right") - 1])

    def why_not(self, outcome: Outcome, level: WeightLevel) -> str:
        """Return the reason why the score cannot be evaluated for an outcome; empty if it can.

        Parameters
        ----------
        outcome
            Outcome; a score must not use variables that define a case.
        level
            Subsample of the run's weight.
        """
        for each in with_ancestors(features(self.features)):
            if shared := [source for source in each.sources if source in outcome.defining]:
                return f"its input {each.name} uses {', '.join(shared)}, which defines the outcome"
            if self.unanswered == "not scored" and each.level.rank > level.rank:
                return (
                    f"its input {each.name} was measured in a smaller sample ({each.level}) than the weight's ({level})"
                )
        return ""


@dataclass(frozen=True)
class Scored:
    """Scores of people.

    Attributes
    ----------
    value
        Points or probability, shape (n,); NaN if not scored.
    unanswered
        Whether each item is missing for each person, shape (items, n).
    risk
        Published probability, shape (n,); None if not published.
    """

    value: Floats
    unanswered: Booleans
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


class Method(StrEnum):
    """Method of recalibration: ``intercept`` shifts the log-odds; ``logistic`` also changes the slope."""

    INTERCEPT = "intercept"
    LOGISTIC = "logistic"


@dataclass(frozen=True)
class Recalibration:
    """Recalibration of a score (log-odds or points) to a probability: expit(intercept + slope x score)."""

    method: Method
    intercept: float
    slope: float

    def risk(self, score: Floats) -> Floats:
        """Return probabilities, shape (n,), for log-odds or points."""
        risk: Floats = expit(self.intercept + self.slope * score)
        return risk

    def to_dict(self) -> dict[str, Any]:
        """Return the entry of scores.json."""
        return asdict(self)


def recalibrate(method: Method, score: Floats, y: Floats, design: SurveyDesign) -> Recalibration:
    """Fit a recalibration to the domain of a design, with its weights.

    Parameters
    ----------
    method
        ``intercept`` needs log-odds; ``logistic`` also works with points.
    score
        Log-odds of the published risk, or points, shape (n,); any number outside the domain.
    y
        Outcome, 0 or 1, shape (n,); any value outside the domain.
    design
        Full design of the development set, with the analysis as its domain.

    Raises
    ------
    MgRiskError
        As `survey.linear_models.fit_logistic`.

    Examples
    --------
    >>> from mgrisk.survey.design import WeightLevel
    >>> design = SurveyDesign([1.0] * 8, [1, 1, 1, 1, 2, 2, 2, 2], [1, 1, 2, 2] * 2, WeightLevel.EXAM)
    >>> found = recalibrate(Method.INTERCEPT, np.full(8, -3.0), np.array([0.0, 1.0] * 4), design)
    >>> round(found.intercept, 6), found.slope
    (3.0, 1.0)
    """
    ones = np.ones(len(design))
    if method is Method.INTERCEPT:
        fit = fit_logistic(ones[:, None], y, design, offset=score)
        return Recalibration(method, float(fit.coefficients[0]), 1.0)
    fit = fit_logistic(np.column_stack([ones, score]), y, design)
    return Recalibration(method, float(fit.coefficients[0]), float(fit.coefficients[1]))


def cross_fitted(method: Method, score: Floats, y: Floats, design: SurveyDesign, fold: Integers) -> Floats:
    """Return cross-fitted probabilities, shape (n,): each fold is recalibrated by a fit to the other folds."""
    risk = np.full(len(design), np.nan)
    for k in np.unique(fold):
        unseen = fold == k
        risk[unseen] = recalibrate(method, score, y, design.where(~unseen)).risk(score[unseen])
    return risk

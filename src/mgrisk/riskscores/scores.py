"""Published risk scores, a TOML file each: points that add up or a logistic formula, and their recalibration.

A score's items say what one answer, or several together, add to it. On the scale of the people at hand a score is
recalibrated by its intercept alone, or by intercept and slope.
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
    """A part of a score's TOML file: closed and frozen."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Condition(Row):
    """What must hold of one answer; one of its bounds and levels.

    Attributes
    ----------
    feature
        Name of the feature.
    level, not_level
        The category that meets it, or the only one that does not: who did not answer meets `not_level`.
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
            raise ValueError(f"{self.feature}: one bound or level")
        return self

    def holds(self, people: pd.DataFrame) -> Booleans:
        """Return who meets it, shape (n,); no answer meets nothing but `not_level`."""
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
        """Return whose answer is missing and could have decided, shape (n,)."""
        if self.not_level is not None:
            return np.zeros(len(people), dtype=np.bool_)
        return people[self.feature].isna().to_numpy()


class Item(Row):
    """One row of a score: from one feature by bounds, categories or unit, or `worth` where conditions hold.

    Attributes
    ----------
    feature
        Name of the feature; none where `all` or `any` says what counts.
    bands, above
        Lower bounds with what a value gains from them on, or above them; the highest bound that is passed counts.
    levels
        What each category gains; others gain nothing.
    per_unit
        What each unit of a number gains.
    all, any, worth
        Conditions all or any of which must hold to gain `worth`.
    when
        Conditions on the people for whom the item counts.
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
            raise ValueError(f"{self.feature or 'an item'}: bounds, levels or unit of a feature, or conditions")
        return self

    @property
    def features(self) -> tuple[str, ...]:
        """Names of the features that it reads."""
        conditions = (each.feature for each in (*self.all, *self.any, *self.when))
        return tuple(name for name in (self.feature, *conditions) if name)

    def gained(self, people: pd.DataFrame) -> Floats:
        """Return what each person gains, shape (n,); nothing without an answer."""
        return np.where(_every(self.when, people), self._worth(people), 0.0)

    def unanswered(self, people: pd.DataFrame) -> Booleans:
        """Return for whom the item counts and an answer that could have decided it is missing, shape (n,)."""
        if self.feature:
            open_yet: Booleans = people[self.feature].isna().to_numpy(dtype=np.bool_)
        elif self.all:
            # Open where no condition is known to fail, and one is not known.
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
    """``intercept`` moves all log-odds alike; ``logistic`` stretches them too."""

    INTERCEPT = "intercept"
    LOGISTIC = "logistic"


@dataclass(frozen=True)
class Recalibration:
    """The map from a score to a probability: expit(intercept + slope x margin)."""

    method: Method
    intercept: float
    slope: float

    def risk(self, margin: Floats) -> Floats:
        """Return probabilities, shape (n,), of log-odds or points."""
        risk: Floats = expit(self.intercept + self.slope * margin)
        return risk

    def to_dict(self) -> dict[str, Any]:
        """Return the record as written to scores.json."""
        return asdict(self)


def recalibrate(method: Method, margin: Floats, y: Floats, design: SurveyDesign) -> Recalibration:
    """Fit a recalibration to the domain of a design, with its weights.

    Parameters
    ----------
    method
        The intercept alone needs log-odds; with the slope, points will do.
    margin
        Log-odds of the published risk, or points, shape (n,); any number outside the domain.
    y
        Outcome, 0 or 1, shape (n,); any value outside the domain.
    design
        Full design of the development set with the analysis as its domain.

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
        fit = fit_logistic(ones[:, None], y, design, offset=margin)
        return Recalibration(method, float(fit.coefficients[0]), 1.0)
    fit = fit_logistic(np.column_stack([ones, margin]), y, design)
    return Recalibration(method, float(fit.coefficients[0]), float(fit.coefficients[1]))


def cross_fitted(method: Method, margin: Floats, y: Floats, design: SurveyDesign, fold: Integers) -> Floats:
    """Return probabilities of which the recalibration had not seen the person: each fold by the others, shape (n,)."""
    risk = np.full(len(design), np.nan)
    for k in np.unique(fold):
        unseen = fold == k
        risk[unseen] = recalibrate(method, margin, y, design.where(~unseen)).risk(margin[unseen])
    return risk

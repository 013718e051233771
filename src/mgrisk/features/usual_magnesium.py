"""Usual magnesium from food and drink: a model of each sex, fitted on the people of development.

Sex and age group are all that the model knows of a person beside the recalls. They are given for everybody, and they
are what requirements go by. Men and women have models of their own, because the spread from day to day and between
people differs (docs/decisions/0006-usual-intake.md). Body size, activity and origin are left out: the prediction would
then borrow from them for people with few recalls, and carry them into every model that uses it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Final

import numpy as np
import pandas as pd

from mgrisk.config.checked import LARGEST
from mgrisk.errors import MgRiskError, bad_bundle, bad_input
from mgrisk.features.usual_intake import fit_usual_intake
from mgrisk.features.usual_intake_model import UsualIntakeModel
from mgrisk.survey.design import SurveyDesign
from mgrisk.types import Floats

MODEL: Final = "usual_magnesium"
"""Its name among the fitted models of features."""
USUAL: Final = "usual_magnesium_mg"
SE: Final = "usual_magnesium_se_mg"
WHERE = "usual magnesium"
ADULT = 19
GROUPS = MappingProxyType({19: "19-30", 31: "31-50", 51: "51-70", 71: "71+"})
"""Age groups of the reference intakes, by their first year."""
BAND: Final = MappingProxyType({USUAL: 0.5, f"{USUAL}_low": 0.1, f"{USUAL}_high": 0.9})
"""What is said of a person's usual intake in mg a day: which quantile of what it may be, by the column's name."""
_Ask = Callable[[UsualIntakeModel, Floats, pd.DataFrame, Floats], Floats]


@dataclass(frozen=True)
class UsualMagnesium:
    """A fitted model for each sex.

    Parameters
    ----------
    models
        By sex, ``female`` and ``male``; a sex that nobody of the fit had has none, and its people have no prediction.
    """

    models: Mapping[str, UsualIntakeModel]

    def predict(self, parents: pd.DataFrame) -> pd.DataFrame:
        """Return usual intake and its uncertainty in mg a day, same index; missing without a recall, and for children.

        Notes
        -----
        Where the days are not given but their mean is, the mean stands for each of `recall_days`, or for one day
        where their number is not known. A transformed mean lies above the mean of the transformed days, so that for
        two days this is high: by 1.4 % on average, and by up to 5.6 % for 95 % of people (NHANES 2011-2014).
        """

        def expected(model: UsualIntakeModel, days: Floats, groups: pd.DataFrame, weekend: Floats) -> Floats:
            personal = model.predict(days, groups, weekend=weekend)
            return np.column_stack([personal.usual, personal.se])

        return self._of_each(parents, (USUAL, SE), expected)

    def band(self, parents: pd.DataFrame) -> pd.DataFrame:
        """Return median and 80 % interval of each person's usual intake in mg a day (`BAND`); missing as in `predict`.

        Notes
        -----
        Of people with the same recalls, sex and age group half eat more than the median, and four in five within the
        interval. The expected intake that `predict` gives is the mean of the same distribution and lies a little above
        its median, by some 1 %: it is what sums and differences are made of, such as the dose of the what-if.
        """

        def quantiles(model: UsualIntakeModel, days: Floats, groups: pd.DataFrame, weekend: Floats) -> Floats:
            return model.quantiles(days, groups, weekend=weekend, probabilities=[*BAND.values()])

        return self._of_each(parents, tuple(BAND), quantiles)

    def _of_each(self, parents: pd.DataFrame, columns: tuple[str, ...], ask: _Ask) -> pd.DataFrame:
        """Ask the model of each person's sex, by days, age groups and weekends; one column for each of its answers."""
        days = _recalled(parents)
        weekend = _weekend(parents)
        groups = age_groups(parents)
        found = np.full((len(parents), len(columns)), np.nan)
        told = np.isfinite(days).any(axis=1) & ~(parents["age_years"] < ADULT).to_numpy(dtype=bool)
        for sex, model in self.models.items():
            here = told & (parents["sex"] == sex).to_numpy(dtype=bool)
            found[here] = ask(model, days[here], groups[here], weekend[here])
        return pd.DataFrame(found, index=parents.index, columns=list(columns))

    def to_dict(self) -> dict[str, Any]:
        """Return the models as plain values, by sex."""
        return {sex: model.to_dict() for sex, model in self.models.items()}


def fit(people: pd.DataFrame, design: SurveyDesign) -> UsualMagnesium:
    """Fit the models on the adults of the domain who have a reliable first recall of a known day of the week.

    Parameters
    ----------
    people
        The features that usual intake derives from, a row for each row of the design.
    design
        Its analysis weights say who counts and how much.

    Returns
    -------
    UsualMagnesium

    Raises
    ------
    MgRiskError
        ``usual_magnesium.nobody``, and what `fit_usual_intake` raises: it needs people with two recalls.
    """
    days, weekend, groups = _days(people), _weekend(people), age_groups(people)
    dated = ~(np.isfinite(days) & np.isnan(weekend)).any(axis=1)
    adult = (people["age_years"] >= ADULT).to_numpy(dtype=bool) & np.isfinite(days[:, 0]) & dated
    models = {}
    for sex in ("female", "male"):
        inside = design.where(adult & (people["sex"] == sex).to_numpy(dtype=bool))
        if inside.n:
            models[sex] = fit_usual_intake(days, design=inside, people=groups, weekend=weekend)
    if not models:
        raise bad_input(
            "usual_magnesium.nobody",
            "no adult in the domain has a reliable first recall",
            where=WHERE,
            hint="choose cycles from 2003-2004 on, which have two recalls, or leave the feature out",
        )
    return UsualMagnesium(models)


def from_dict(content: Mapping[str, Any]) -> UsualMagnesium:
    """Return what `UsualMagnesium.to_dict` wrote.

    Raises
    ------
    MgRiskError
        ``usual_magnesium.bad_file``, and what `UsualIntakeModel.from_dict` raises.
    """
    if not isinstance(content, Mapping) or not content or not set(content) <= {"female", "male"}:
        raise _bad_file("the models of usual magnesium are not those of the sexes")
    models = {sex: UsualIntakeModel.from_dict(model) for sex, model in content.items()}
    for sex, model in models.items():
        terms = model.covariates.terms
        if any(term.name != "age" or not term.levels for term in terms) or not _finite(model):
            raise _bad_file(f"that of the {sex} sex predicts no intake from age group and days")
    return UsualMagnesium(models)


MOST: Final = 1e4
"""Milligrams a day that nobody eats."""


def _finite(model: UsualIntakeModel) -> bool:
    """Whether days of nothing and of more than anybody eats have a predicted intake, in each age group."""
    groups = pd.DataFrame({"age": [*GROUPS.values(), None]})
    with np.errstate(all="ignore"):
        found = [model.predict(np.full((len(groups), 2), amount), groups) for amount in (0.0, MOST)]
    return all(bool((np.abs(part) < LARGEST).all()) for each in found for part in (each.usual, each.se))


def _bad_file(message: str) -> MgRiskError:
    hint = "write it again with this version of mgrisk"
    return bad_bundle("usual_magnesium.bad_file", message, where=WHERE, hint=hint)


def age_groups(people: pd.DataFrame) -> pd.DataFrame:
    """Return the one covariate of the models, the age group; None for children and where age is not known.

    Examples
    --------
    >>> age_groups(pd.DataFrame({"age_years": [30.9, 31.0, 80.0]}))["age"].tolist()
    ['19-30', '31-50', '71+']
    """
    age = people["age_years"]
    group = pd.cut(age, [*GROUPS, np.inf], right=False, labels=list(GROUPS.values())).astype(object)
    return pd.DataFrame({"age": group.where(group.notna(), None)}, index=people.index)


def _days(people: pd.DataFrame) -> Floats:
    return people[["magnesium_food_day_1_mg", "magnesium_food_day_2_mg"]].to_numpy(dtype=np.float64)


def _recalled(people: pd.DataFrame) -> Floats:
    """Return the days, and the mean in place of days that are not given."""
    days, mean = _days(people), people["magnesium_food_mg"].to_numpy(dtype=np.float64)
    unknown = ~np.isfinite(days).any(axis=1)
    two = unknown & (people["recall_days"] == 2).to_numpy(dtype=bool)
    return np.column_stack([np.where(unknown, mean, days[:, 0]), np.where(two, mean, days[:, 1])])


def _weekend(people: pd.DataFrame) -> Floats:
    marks = [people[f"recall_day_{day}_weekend"] for day in (1, 2)]
    return np.column_stack([np.where(each.isna(), np.nan, each == "yes") for each in marks])

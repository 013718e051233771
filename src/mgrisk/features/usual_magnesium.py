"""Usual magnesium from food and drink: one usual-intake model for each sex, fitted on the development cohort.

Beside the recalls, the model uses only sex and age group, which are known for everyone and determine the requirement.
Men and women have separate models, because their within- and between-person variances differ
(docs/decisions/0006-usual-intake.md). Body size, activity and race/ethnicity are not covariates, because the
predictions would then carry their information into every model that uses them.
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
"""Name of the model among the fitted models of features."""
USUAL: Final = "usual_magnesium_mg"
SE: Final = "usual_magnesium_se_mg"
WHERE = "usual magnesium"
ADULT = 19
GROUPS = MappingProxyType({19: "19-30", 31: "31-50", 51: "51-70", 71: "71+"})
"""Age groups of the reference intakes, by their first year."""
BAND: Final = MappingProxyType({USUAL: 0.5, f"{USUAL}_low": 0.1, f"{USUAL}_high": 0.9})
"""Quantiles of a person's usual intake (mg/d) in `UsualMagnesium.band`, by column: median and 80 % interval."""
_Ask = Callable[[UsualIntakeModel, Floats, pd.DataFrame, Floats], Floats]


@dataclass(frozen=True)
class UsualMagnesium:
    """A fitted model for each sex.

    Parameters
    ----------
    models
        Models by sex, ``female`` and ``male``; a sex without people in the fit has no model and no predictions.
    """

    models: Mapping[str, UsualIntakeModel]

    def predict(self, parents: pd.DataFrame) -> pd.DataFrame:
        """Return usual intake and its standard deviation, mg/d, same index; missing without a recall and for children.

        Notes
        -----
        If only the mean of the days is given, it is used for each of the `recall_days` days, or for one day if their
        number is unknown. A transformed mean exceeds the mean of the transformed days, so that the prediction for two
        days is then too high, by 1.4 % on average and by at most 5.6 % for 95 % of people (NHANES 2011-2014).
        """

        def expected(model: UsualIntakeModel, days: Floats, groups: pd.DataFrame, weekend: Floats) -> Floats:
            personal = model.predict(days, groups, weekend=weekend)
            return np.column_stack([personal.usual, personal.se])

        return self._of_each(parents, (USUAL, SE), expected)

    def band(self, parents: pd.DataFrame) -> pd.DataFrame:
        """Return median and 80 % interval of each person's usual intake, mg/d (`BAND`); missing as in `predict`.

        Notes
        -----
        Among people with the same recalls, sex and age group, half have a usual intake above the median, and 80 % have
        one within the interval. `predict` returns the mean of the same distribution, which is about 1 % above the
        median and is used for sums and differences.
        """

        def quantiles(model: UsualIntakeModel, days: Floats, groups: pd.DataFrame, weekend: Floats) -> Floats:
            return model.quantiles(days, groups, weekend=weekend, probabilities=[*BAND.values()])

        return self._of_each(parents, tuple(BAND), quantiles)

    def _of_each(self, parents: pd.DataFrame, columns: tuple[str, ...], ask: _Ask) -> pd.DataFrame:
        """Apply a function of the model of each person's sex, days, age group and weekends; return its columns."""
        days = _recalled(parents)
        weekend = _weekend(parents)
        groups = age_groups(parents)
        found = np.full((len(parents), len(columns)), np.nan)
        known = np.isfinite(days).any(axis=1) & ~(parents["age_years"] < ADULT).to_numpy(dtype=bool)
        for sex, model in self.models.items():
            here = known & (parents["sex"] == sex).to_numpy(dtype=bool)
            found[here] = ask(model, days[here], groups[here], weekend[here])
        return pd.DataFrame(found, index=parents.index, columns=list(columns))

    def to_dict(self) -> dict[str, Any]:
        """Return the models as plain values, by sex."""
        return {sex: model.to_dict() for sex, model in self.models.items()}


def fit(people: pd.DataFrame, design: SurveyDesign) -> UsualMagnesium:
    """Fit the models on adults of the domain with a reliable first recall on a known day of the week.

    Parameters
    ----------
    people
        The features from which usual intake is derived, one row for each row of the design.
    design
        Survey design, whose analysis weights are used.

    Returns
    -------
    UsualMagnesium

    Raises
    ------
    MgRiskError
        ``usual_magnesium.nobody``, and the errors of `fit_usual_intake`, which needs people with two recalls.
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
            hint="choose cycles from 2003-2004 on, which have two recalls, or leave out the feature",
        )
    return UsualMagnesium(models)


def from_dict(content: Mapping[str, Any]) -> UsualMagnesium:
    """Return the models written by `UsualMagnesium.to_dict`.

    Raises
    ------
    MgRiskError
        ``usual_magnesium.bad_file``, and the errors of `UsualIntakeModel.from_dict`.
    """
    if not isinstance(content, Mapping) or not content or not set(content) <= {"female", "male"}:
        raise _bad_file("the models of usual magnesium are not by sex")
    models = {sex: UsualIntakeModel.from_dict(model) for sex, model in content.items()}
    for sex, model in models.items():
        terms = model.covariates.terms
        if any(term.name != "age" or not term.levels for term in terms) or not _finite(model):
            raise _bad_file(f"the model of the {sex} sex does not predict intake from age group and recall days")
    return UsualMagnesium(models)


MOST: Final = 1e4
"""Upper bound of magnesium intake, mg/d, far above any real intake."""


def _finite(model: UsualIntakeModel) -> bool:
    """Return whether predictions are finite in each age group for days of no magnesium and of `MOST`."""
    groups = pd.DataFrame({"age": [*GROUPS.values(), None]})
    with np.errstate(all="ignore"):
        found = [model.predict(np.full((len(groups), 2), amount), groups) for amount in (0.0, MOST)]
    return all(bool((np.abs(part) < LARGEST).all()) for each in found for part in (each.usual, each.se))


def _bad_file(message: str) -> MgRiskError:
    hint = "write it again with this version of mgrisk"
    return bad_bundle("usual_magnesium.bad_file", message, where=WHERE, hint=hint)


def age_groups(people: pd.DataFrame) -> pd.DataFrame:
    """Return the age group, the only covariate of the models; None for children and unknown age.

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
    """Return the recall days, with the mean in place of days that are not given."""
    days, mean = _days(people), people["magnesium_food_mg"].to_numpy(dtype=np.float64)
    unknown = ~np.isfinite(days).any(axis=1)
    two = unknown & (people["recall_days"] == 2).to_numpy(dtype=bool)
    return np.column_stack([np.where(unknown, mean, days[:, 0]), np.where(two, mean, days[:, 1])])


def _weekend(people: pd.DataFrame) -> Floats:
    marks = [people[f"recall_day_{day}_weekend"] for day in (1, 2)]
    return np.column_stack([np.where(each.isna(), np.nan, each == "yes") for each in marks])

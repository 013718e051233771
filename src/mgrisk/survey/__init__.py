"""Design-based survey statistics.

The functions exported here take series and groups and return data frames (`frames`). `design` has the survey design,
with the rule for single PSUs. `variance` has Taylor linearisation, replicate weights (jackknife JKn, Rao-Wu bootstrap),
and `replicated` for any statistic. `estimates` has totals, means, shares, ratios, quantiles and directly standardised
means; `linear_models` linear and logistic regression with Wald tests; `terms` splines (`cubic_spline`), interactions,
average differences and prevalence ratios; `contingency` the Rao-Scott chi-square test; `folds` cross-validation by PSU;
`presentation` the NCHS presentation standards for proportions.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mgrisk.survey.design import SurveyDesign, WeightLevel
    from mgrisk.survey.frames import chi_square, mean, proportion, quantile, ratio, regression, total

__all__ = [
    "SurveyDesign",
    "WeightLevel",
    "chi_square",
    "mean",
    "proportion",
    "quantile",
    "ratio",
    "regression",
    "total",
]


def __getattr__(name: str) -> object:
    # Imported lazily: code that uses only the design does not load pandas or depend on all estimates.
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from mgrisk.survey import design, frames

    return getattr(design if name in ("SurveyDesign", "WeightLevel") else frames, name)


def __dir__() -> list[str]:
    return __all__

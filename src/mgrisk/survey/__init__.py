"""Design-based statistics: weights, strata and PSUs bound into one object that every estimate asks for.

The functions named here take series and groups and return data frames (`frames`). `design` holds the design with its
rule for single PSUs. `variance` has Taylor linearisation, replicate weights of the jackknife (JKn) and the Rao-Wu
bootstrap, and `replicated`, which takes any statistic through either. `estimates` has totals, means, shares, ratios,
quantiles and directly standardised means; `linear_models` linear and logistic regression with Wald tests; `terms`
splines (`cubic_spline`), interactions, average differences and prevalence ratios;
`contingency` the chi-square of Rao and Scott; `folds`
cross-validation by PSUs; `presentation` whether a share is precise enough to be shown.
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
    # When asked for: what uses the design alone does not wait for pandas, nor depend on all estimates.
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from mgrisk.survey import design, frames

    return getattr(design if name in ("SurveyDesign", "WeightLevel") else frames, name)


def __dir__() -> list[str]:
    return __all__

"""The explained people of the held-out set, and the few population summaries that pictures of them need."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy.stats import rankdata

from mgrisk.cohort import select
from mgrisk.errors import MgRiskError, bad_input
from mgrisk.evaluate.records import Interval
from mgrisk.explain.sampling import ContributionErrors
from mgrisk.features.compute import complete, typed
from mgrisk.features.registry import Feature, with_ancestors
from mgrisk.model.bundle import read_bundle
from mgrisk.nhanes.codebook import KEY
from mgrisk.run_folder import names
from mgrisk.run_folder.folder import RunFolder
from mgrisk.survey import estimates
from mgrisk.survey.design import SurveyDesign, WeightLevel
from mgrisk.survey.estimates import weighted_quantile
from mgrisk.types import Booleans, Floats, Integers


@dataclass(frozen=True, eq=False)
class ExplainedPeople:
    """Everybody in the held-out analysis, row for row.

    Attributes
    ----------
    features
        Features of the model.
    contributions
        Shapley values in calibrated log-odds, shape (n, n_features).
    data
        Completed feature values, one column for each feature.
    weight, risk, low, high
        Survey weight, reported risk and the bounds of its 90 % interval, shape (n,).
    low_inputs, high_inputs
        Bounds of the risk if the missing inputs were known, shape (n,) each; NaN where they cannot be computed.
    in_domain
        Who is in the model's training distribution, shape (n,).
    base_values
        Base value of each person, in calibrated log-odds, shape (n,).
    ids, case
        What each person is found by, and whether the person has the outcome, shape (n,); None where it is not known.
    firmness
        Share of the refits in which each person's largest contribution is that of the same feature, shape (n,); None
        where there were none.
    recall_share
        Share of recall error of magnesium in the variance of an interval that includes it, shape (n,); NaN where the
        model reads no usual intake, or nobody asked for the recalls.
    design, inside
        The full design of the set and the places of these people in it.
    errors
        Sampling error of the contributions over refits of the model; None of development people, and where the bundle
        keeps no refits.
    """

    features: tuple[Feature, ...]
    contributions: Floats
    data: pd.DataFrame
    weight: Floats
    risk: Floats
    low: Floats
    high: Floats
    low_inputs: Floats
    high_inputs: Floats
    in_domain: Booleans
    base_values: Floats
    ids: Sequence[str]
    case: Booleans | None
    firmness: Floats | None
    recall_share: Floats
    design: SurveyDesign
    inside: Integers
    errors: ContributionErrors | None = None

    def column(self, names: Sequence[str]) -> Floats:
        """Return the summed contributions of some features, shape (n,)."""
        places = [place for place, feature in enumerate(self.features) if feature.name in names]
        total: Floats = self.contributions[:, places].sum(axis=1)
        return total

    def family(self, group: str) -> tuple[Feature, ...]:
        """Return the features of one group."""
        return tuple(feature for feature in self.features if feature.group == group)

    def importance(self, names: Sequence[str], *, estimate: float | None = None) -> Interval:
        """Return the weighted mean absolute summed contribution of some features, with its 95 % interval.

        Its variance is that of sampling these people, by their design, and where the bundle keeps refits that of
        sampling the people of development. `estimate` stands in place of the mean, for a group that is one player.
        """
        contribution = self.column(names)
        size = np.zeros(len(self.design))
        size[self.inside] = np.abs(contribution)
        found = estimates.mean(size, self.design)
        middle = found.estimate if estimate is None else estimate
        if self.errors is None or found.low is None or found.estimate is None:
            return Interval(middle, found.low, found.high)
        # The slope of the mean of absolute values: with the sign of each contribution.
        signed = np.average(self.errors.moved(names) * np.sign(contribution)[:, None], axis=0, weights=self.weight)
        reach = float(np.hypot(found.estimate - found.low, self.errors.reach(signed)))
        return Interval(middle, max(middle - reach, 0.0), middle + reach)


def explained_people(run: RunFolder, set_name: str = select.HELD_OUT) -> ExplainedPeople:
    """Read the explained people of a set.

    Parameters
    ----------
    files
        Of the run: cohort, features, explanations, predictions and the winner's bundle.json.
    set_name
        The held-out people, or those of development, whose risks are the cross-validated ones.

    Raises
    ------
    MgRiskError
        `report.missing_file`, `report.bad_file`, or `report.no_explanation` where someone has none.
    """
    level = WeightLevel(run.cohort.weight_level)
    rows, design = select.design(run.frame(names.COHORT_PEOPLE), level=level, set_name=set_name)
    inside = np.flatnonzero(design.analysis_weight > 0)
    keys = rows.iloc[inside][[KEY]].reset_index(drop=True)
    explanations = keys.merge(run.frame(names.EXPLANATIONS), on=KEY, how="left", validate="one_to_one")
    risks = keys.merge(run.predictions[[KEY, run.winner]], on=KEY, how="left", validate="one_to_one")
    if explanations["base_value"].isna().any() or risks[run.winner].isna().any() or keys.empty:
        raise bad_input(
            "report.no_explanation",
            f"{int(explanations['base_value'].isna().sum())} of {len(keys)} {set_name} people have no explanation",
            where=names.EXPLANATIONS,
            hint="run the pipeline again; its explain step writes them",
        )
    stored = keys.merge(run.frame(names.FEATURES), on=KEY, how="left", validate="one_to_one")
    known = with_ancestors(run.features)
    given = typed(stored, [feature for feature in known if feature.name in stored])
    read = [feature.name for feature in run.features]
    data = complete(given, known)[read]
    return ExplainedPeople(
        features=run.features,
        contributions=explanations[read].to_numpy(dtype=np.float64),
        data=data,
        weight=design.analysis_weight[inside],
        risk=risks[run.winner].to_numpy(dtype=np.float64),
        low=explanations["risk_low"].to_numpy(dtype=np.float64),
        high=explanations["risk_high"].to_numpy(dtype=np.float64),
        low_inputs=explanations["risk_low_inputs"].to_numpy(dtype=np.float64),
        high_inputs=explanations["risk_high_inputs"].to_numpy(dtype=np.float64),
        in_domain=explanations["in_domain"].to_numpy(dtype=np.bool_),
        base_values=explanations["base_value"].to_numpy(dtype=np.float64),
        ids=[str(key) for key in keys[KEY]],
        case=rows["outcome"].to_numpy(dtype=np.float64)[inside] == 1,
        firmness=_firmness(run, keys) if set_name == select.HELD_OUT else None,
        recall_share=explanations["recall_share"].to_numpy(dtype=np.float64),
        design=design,
        inside=inside,
        errors=_errors(run, data) if set_name == select.HELD_OUT else None,
    )


def _errors(run: RunFolder, data: pd.DataFrame) -> ContributionErrors | None:
    """Return what the bundle of the chosen model says of refits; None where it cannot be read, as other steps say."""
    try:
        bundle = read_bundle(run.path(run.bundle_of_winner))
    except MgRiskError:
        return None
    return ContributionErrors.of(bundle, bundle.encoder.matrix(data))


def _firmness(run: RunFolder, keys: pd.DataFrame) -> Floats | None:
    if not run.has(names.FIRMNESS):
        return None
    found = keys.merge(run.frame(names.FIRMNESS), on=KEY, how="left", validate="one_to_one")
    firmness: Floats = found["firmness"].to_numpy(dtype=np.float64)
    return firmness


def representative(people: ExplainedPeople, size: int) -> Integers:
    """Choose people so that each stands for the same number of adults, shape (size,).

    Systematic sampling in the order of risk with probability proportional to weight, from a fixed start: a picture
    of them is a picture of the population, and the same in every rendering. A heavy weight may come twice.
    """
    order = np.lexsort((np.arange(len(people.risk)), people.risk))
    reached = np.cumsum(people.weight[order])
    ticks = (np.arange(size) + 0.5) / size * reached[-1]
    chosen: Integers = order[np.searchsorted(reached, ticks)]
    return chosen


def binned(x: Floats, contribution: Floats, weight: Floats, *, bins: int = 20) -> list[dict[str, float]]:
    """Summarise contributions along a feature in bins of equal population share.

    Parameters
    ----------
    x, contribution, weight
        Value (NaN where missing), contribution and survey weight, shape (n,).
    bins
        Wanted; equal values stay together, so that there may be fewer.

    Returns
    -------
    list of dict
        {low, high, x, mean, p05, p95, share, n} for each bin: range and weighted mean of the feature, weighted mean
        and 5th and 95th percentile of the contribution, share of the population.
    """
    known = np.isfinite(x)
    if not known.any():
        return []
    edges = np.unique(weighted_quantile(x[known], weight[known], np.arange(1, bins) / bins))
    place = np.searchsorted(edges, x, side="left")
    found = []
    for number in np.unique(place[known]):
        here = known & (place == number)
        low, high = weighted_quantile(contribution[here], weight[here], [0.05, 0.95])
        found.append(
            {
                "low": float(x[here].min()),
                "high": float(x[here].max()),
                "x": float(np.average(x[here], weights=weight[here])),
                "mean": float(np.average(contribution[here], weights=weight[here])),
                "p05": float(low),
                "p95": float(high),
                "share": float(weight[here].sum() / weight.sum()),
                "n": float(here.sum()),
            }
        )
    return found


def rank_correlation(a: Floats, b: Floats, weight: Floats) -> float | None:
    """Return the weighted Spearman correlation of the people who have both values; None for fewer than 3."""
    known = np.isfinite(a) & np.isfinite(b)
    if int(known.sum()) < 3:
        return None
    w = weight[known]
    x, y = rankdata(a[known]), rankdata(b[known])
    x, y = x - np.average(x, weights=w), y - np.average(y, weights=w)
    spread = float(np.sqrt(np.average(x**2, weights=w) * np.average(y**2, weights=w)))
    return float(np.average(x * y, weights=w) / spread) if spread > 0 else None


def rank_share(x: Floats, weight: Floats) -> Floats:
    """Return each value's place in the population from 0 (lowest) to 1, NaN where missing, shape (n,)."""
    share = np.full(len(x), np.nan)
    known = np.isfinite(x)
    values, place = np.unique(x[known], return_inverse=True)
    mass = np.bincount(place, weights=weight[known], minlength=len(values))
    middle = np.cumsum(mass) - mass / 2.0
    share[known] = (middle / max(float(mass.sum()), 1e-300))[place]
    return share

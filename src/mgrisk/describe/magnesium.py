"""Tables of magnesium intake in the population: by sex, age and cycle, by food group, and by single foods."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any, Final, NamedTuple

import numpy as np
import pandas as pd

from mgrisk.cohort.weights import combined_weight, shares
from mgrisk.features import foods
from mgrisk.features.compute import from_nhanes
from mgrisk.features.magnesium import reference_intakes
from mgrisk.features.registry import features
from mgrisk.features.summary import gather, list_path, record_variables
from mgrisk.features.usual_intake import fit_usual_intake
from mgrisk.nhanes.codebook import SYNTHETIC
from mgrisk.nhanes.cycles import cycle
from mgrisk.nhanes.harmonise import harmonise, read_decoded, read_list, table_path
from mgrisk.nhanes.store import Store
from mgrisk.survey.design import SurveyDesign, WeightLevel
from mgrisk.survey.estimates import UNDEFINED, Estimate, mean, proportion, ratio
from mgrisk.survey.variance import jackknife, logit_interval, replicate_variance, t_quantile
from mgrisk.types import Floats

AGES: Final = {"20-30": (20, 30), "31 and over": (31, 200), "20 and over": (20, 200)}
"""Age groups of the table, first and last completed year; the requirement of adults increases at 31."""

RELIABLE: Final = 1.0
PREGNANT: Final = 1.0
DESIGN: Final = ("SDMVSTRA", "SDMVPSU")
RECALLS: Final = ("DR1TMAGN", "DR1DRSTZ", "DR2TMAGN", "DR2DRSTZ")
USUAL: Final = ("food_usual_median", "food_below_ear", "total_below_ear")
UNITS: Final = {"food_below_ear": "1", "total_below_ear": "1", "supplement_above_ul": "1"}


@dataclass(frozen=True)
class MagnesiumTable:
    """Magnesium intake of adults by cycle, sex and age.

    Attributes
    ----------
    records
        cycle, sex, ages, statistic, unit, estimate, se, low, high, n, df, note, data. Statistics: mean intake (mg/d)
        from food on the first recall day (``food_mean``), from supplements and antacids over 30 days
        (``supplement_mean``) and from both (``total_mean``); ``food_usual_median``, the median usual intake from food;
        ``food_below_ear`` and ``total_below_ear``, the shares with usual intake below the estimated average
        requirement; ``supplement_above_ul``, the share whose supplements alone exceed the tolerable upper intake level.
        A statistic that is not available for a cycle is NaN, with the reason in ``note``.
    """

    records: tuple[dict[str, Any], ...]

    def frame(self) -> pd.DataFrame:
        """Return one row for each record."""
        return pd.DataFrame(list(self.records))

    def to_dict(self) -> dict[str, Any]:
        """Return the records as plain values."""
        return asdict(self)


def magnesium_table(store: Store, *, cycles: Sequence[str], standard_errors: bool = True) -> MagnesiumTable:
    """Read some cycles and describe the magnesium intake of adults, separately by cycle.

    Parameters
    ----------
    store
        Source of raw tables.
    cycles
        Names of the cycles.
    standard_errors
        Whether to refit the usual-intake model with each jackknife replicate, about 15 s per cycle; otherwise its
        estimates have no standard errors.

    Returns
    -------
    MagnesiumTable
        For people of 20 years and over, not known to be pregnant, with a reliable first recall, weighted by the recall
        weight; from 2007 on only people who answered whether they take supplements.

    Raises
    ------
    MgRiskError
        The errors of reading tables.
    """
    records = []
    for years in cycles:
        people, design, data = _adults(store, years)
        found = describe(people, design, standard_errors=standard_errors)
        records += [{"cycle": years, **record, "data": data} for record in found]
    return MagnesiumTable(tuple(records))


def describe(people: pd.DataFrame, design: SurveyDesign, *, standard_errors: bool = True) -> list[dict[str, Any]]:
    """Describe magnesium intake by sex and age.

    Parameters
    ----------
    people
        One row for each row of the design: sex (``female``, ``male``), age_years, day_1_mg and day_2_mg (from food on
        the recall days, NaN if not reliable), supplement_mg (mg/d; NaN for everyone if nobody was asked).
    design
        Survey design of level RECALL1; people without a first recall, or who did not answer about supplements, are
        excluded from its domain.
    standard_errors
        As for `magnesium_table`.

    Returns
    -------
    list of dict
        As `MagnesiumTable.records`, without ``cycle`` and ``data``.

    Notes
    -----
    Usual intake: `features.usual_intake`, fitted for each sex with age group and use of supplements as covariates. For
    the share of total intake below the requirement, each person's supplements are subtracted from the requirement (EAR,
    `features.magnesium`), and usual intake from food is compared with the rest.
    """
    asked = bool(people["supplement_mg"].notna().any())
    repeated = bool(people["day_2_mg"].notna().any())
    known = people["day_1_mg"].notna() & (people["supplement_mg"].notna() | (not asked))
    domain = design.where(known.to_numpy())
    records: list[dict[str, Any]] = []
    for sex in ("female", "male"):
        of_sex = domain.where((people["sex"] == sex).to_numpy())
        usual = _usual(people, of_sex, asked=asked, standard_errors=standard_errors) if repeated else {}
        for ages, (first, last) in AGES.items():
            group = of_sex.where(people["age_years"].between(first, last).to_numpy())
            found = dict(_of_days(people, group, asked=asked)) | dict.fromkeys(USUAL, UNDEFINED) | usual.get(ages, {})
            records += [
                {
                    "sex": sex,
                    "ages": ages,
                    "statistic": name,
                    "unit": UNITS.get(name, "mg/d"),
                    **estimate.to_dict(),
                    "note": _note(name, asked=asked, repeated=repeated),
                }
                for name, estimate in found.items()
            ]
    return records


def top_foods(store: Store, *, years: str, top: int = 10, youngest: int = 20) -> foods.TopFoods:
    """Read a cycle and rank foods by their share of the population's magnesium on the first recall day.

    Parameters
    ----------
    store
        Source of raw tables.
    years
        Name of the cycle.
    top
        Number of foods.
    youngest
        Minimum age in years.

    Raises
    ------
    MgRiskError
        ``cycles.absent_table`` for a cycle without single foods; the errors of reading tables.
    """
    day = _first_day(store, years, youngest)
    return foods.top_foods(day.eaten, day.groups, day.design, people=day.people, top=top)


def food_table(store: Store, *, cycles: Sequence[str], top: int = 10) -> pd.DataFrame:
    """Rank the foods of some cycles, separately by cycle.

    Parameters
    ----------
    store, cycles, top
        As for `top_foods`.

    Returns
    -------
    pandas.DataFrame
        Records of `TopFoods`, with ``cycle`` and ``rank``.

    Raises
    ------
    MgRiskError
        As `top_foods`.
    """
    parts = [top_foods(store, years=years, top=top).frame().assign(cycle=years) for years in cycles]
    found = pd.concat(parts, ignore_index=True)
    found.insert(0, "rank", found.groupby("cycle").cumcount() + 1)
    found.insert(0, "cycle", found.pop("cycle"))
    return found


def group_table(store: Store, *, cycles: Sequence[str], youngest: int = 20) -> pd.DataFrame:
    """Estimate magnesium from each food group on the first recall day, separately by cycle.

    Parameters
    ----------
    store, cycles, youngest
        As for `top_foods`.

    Returns
    -------
    pandas.DataFrame
        For each cycle a row for all good sources of magnesium (``rich``), then one for each group, the largest first:
        cycle, group, label, rich (bool), mg_per_person (mean, mg/d) with se, low and high, share (of all magnesium from
        food, a ratio of totals) with share_low and share_high, n and df. The rows other than ``rich`` add up to the
        total.

    Raises
    ------
    MgRiskError
        As `top_foods`.
    """
    kinds = foods.food_groups()
    labels = {foods.RICH: foods.RICH_LABEL, **kinds.labels}
    rows = []
    for years in cycles:
        day = _first_day(store, years, youngest)
        by_group = foods.day_by_group(day.eaten, day.groups, people=day.people)
        total = by_group.sum(axis=1, skipna=False)
        found: dict[str, dict[str, Any]] = {}
        for column, amount in foods.with_rich(by_group).items():
            name = str(column)
            # Human milk has no amount, and only on days outside the domain.
            milligrams, share = (
                mean(amount.fillna(0.0), day.design),
                ratio(amount.fillna(0.0), total.fillna(0.0), day.design),
            )
            found[name] = {
                "cycle": years, "group": name, "label": labels[name], "rich": name in {foods.RICH, *kinds.rich},
                "mg_per_person": milligrams.estimate, "se": milligrams.se, "low": milligrams.low,
                "high": milligrams.high, "share": share.estimate, "share_low": share.low, "share_high": share.high,
                "n": milligrams.n, "df": milligrams.df,
            }  # fmt: skip
        rows += [found.pop(foods.RICH), *sorted(found.values(), key=lambda row: -row["mg_per_person"])]
    return pd.DataFrame(rows)


class _FirstDay(NamedTuple):
    """Single foods of the first recall day, their groups, and the people with their design."""

    eaten: pd.DataFrame
    groups: pd.DataFrame
    people: pd.Series
    design: SurveyDesign


def _first_day(store: Store, years: str, youngest: int) -> _FirstDay:
    chosen = cycle(years)
    place = table_path(store, chosen, "DR1IFF")
    eaten, _ = read_decoded(store, place, cycle=chosen, held=record_variables("DR1IFF", chosen))
    described, _ = read_list(
        store, list_path(store, chosen, "DRXFCD"), columns=("DRXFDCD", "DRXFCLD"), cycle=chosen.years
    )
    names = ("RIDAGEYR", "DR1DRSTZ", *DESIGN, _weight_name(years))
    raw = harmonise(store, cycles=[chosen], names=names).frame
    wanted = (raw["RIDAGEYR"] >= youngest) & (raw["DR1DRSTZ"] == RELIABLE)
    design = _design(raw, years).where(wanted.to_numpy())
    return _FirstDay(eaten, foods.food_groups().assign(described), raw["SEQN"], design)


def _adults(store: Store, years: str) -> tuple[pd.DataFrame, SurveyDesign, str]:
    chosen = features(["magnesium_supplement_mg"])
    names = ("RIAGENDR", "RIDAGEYR", "RIDEXPRG", *RECALLS, *DESIGN, _weight_name(years))
    found = gather(store, cycles=[cycle(years)], chosen=chosen, names=names)
    raw = found.frame
    people = pd.DataFrame(
        {
            "sex": raw["RIAGENDR"].map({1.0: "male", 2.0: "female"}),
            "age_years": raw["RIDAGEYR"],
            "day_1_mg": raw["DR1TMAGN"].where(raw["DR1DRSTZ"] == RELIABLE),
            "day_2_mg": raw["DR2TMAGN"].where(raw["DR2DRSTZ"] == RELIABLE),
            "supplement_mg": from_nhanes(raw, chosen)["magnesium_supplement_mg"],
        }
    )
    adult = (raw["RIDAGEYR"] >= AGES["20 and over"][0]) & (raw["RIDEXPRG"] != PREGNANT)
    return people, _design(raw, years).where(adult.to_numpy()), SYNTHETIC if found.synthetic else "NHANES"


def _weight_name(years: str) -> str:
    (share,) = shares(WeightLevel.RECALL1, [years])
    return share.weight


def _design(raw: pd.DataFrame, years: str) -> SurveyDesign:
    weight = combined_weight(raw, WeightLevel.RECALL1, [years]).to_numpy()
    return SurveyDesign(weight, raw["SDMVSTRA"].to_numpy(), raw["SDMVPSU"].to_numpy(), WeightLevel.RECALL1)


def _of_days(people: pd.DataFrame, group: SurveyDesign, *, asked: bool) -> Iterator[tuple[str, Estimate]]:
    """Yield the estimates that need no usual-intake model."""
    food, supplement = people["day_1_mg"], people["supplement_mg"]
    limit = reference_intakes(people["age_years"], people["sex"])["ul_mg"]
    yield "food_mean", mean(food, group)
    yield "supplement_mean", mean(supplement, group) if asked else UNDEFINED
    yield "total_mean", mean(food + supplement, group) if asked else UNDEFINED
    yield "supplement_above_ul", proportion((supplement > limit).astype(float), group) if asked else UNDEFINED


def _usual(
    people: pd.DataFrame, design: SurveyDesign, *, asked: bool, standard_errors: bool
) -> dict[str, dict[str, Estimate]]:
    """Return the estimates of usual intake, by age group."""
    days = people[["day_1_mg", "day_2_mg"]].to_numpy(dtype=np.float64)
    requirement = reference_intakes(people["age_years"], people["sex"])["ear_mg"].to_numpy()
    # The requirement minus supplements; rounded to whole mg, so that few different values need computing.
    rest = np.clip(requirement - np.round(people["supplement_mg"].fillna(0.0).to_numpy()), 0.0, None)
    covariates = pd.DataFrame({"older": (people["age_years"] >= AGES["31 and over"][0]).astype(float)})
    if asked:
        covariates["takes"] = (people["supplement_mg"] > 0).astype(float)
    groups = {ages: people["age_years"].between(*limits).to_numpy() for ages, limits in AGES.items()}

    def figures(weight: Floats) -> Floats:
        model = fit_usual_intake(days, design=replace(design, weight=weight), people=covariates)
        found: list[float] = []
        for members in groups.values():
            population = model.population(covariates, np.where(members, weight, 0.0))
            found += [
                population.describe(probabilities=[0.5]).quantiles[0],
                population.share_below(requirement),
                population.share_below(rest) if asked else np.nan,
            ]
        return np.array(found)

    full = figures(design.analysis_weight)
    errors = _jackknifed(figures, full, design) if standard_errors else np.full(full.shape, np.nan)
    pairs = iter(zip(full.tolist(), errors.tolist(), strict=True))
    return {
        ages: {name: _estimate(name, *next(pairs), design.where(members)) for name in USUAL}
        for ages, members in groups.items()
    }


def _jackknifed(figures: Callable[[Floats], Floats], full: Floats, design: SurveyDesign) -> Floats:
    replicates = jackknife(design)
    each = np.vstack([figures(weight) for weight in replicates.weights()])
    return np.sqrt(replicate_variance(full, each, replicates.scale))


def _estimate(name: str, estimate: float, se: float, design: SurveyDesign) -> Estimate:
    if np.isnan(estimate):
        return UNDEFINED
    half = t_quantile(0.95, design.df) * se
    low, high = estimate - half, estimate + half
    if name in UNITS:
        low, high = logit_interval(estimate, se, level=0.95, df=design.df)
    return Estimate(estimate, se, low, high, design.n, design.df)


def _note(name: str, *, asked: bool, repeated: bool) -> str:
    if not asked and name.startswith(("supplement", "total")):
        return "not available, because the amounts in supplements are released from 2007-2008 on"
    if not repeated and name in USUAL:
        return "not available, because usual intake cannot be estimated without a second recall"
    return ""

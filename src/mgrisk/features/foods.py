"""Magnesium from food by food group (mg/d), and the foods that contribute most to the population's intake.

The individual foods of a recall (DR1IFF, DR2IFF) are identified by 8-digit USDA food codes, which `food_groups.toml`
assigns to groups. Amounts in these tables are whole milligrams and the day's total is their sum, so that the groups of
a day add up to it exactly.
"""

from __future__ import annotations

import re
import tomllib
from dataclasses import asdict, dataclass
from functools import cache
from importlib.resources import files
from typing import Any, Final

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from mgrisk.errors import bad_input, bad_source
from mgrisk.features.diet import mean_of_reliable_days
from mgrisk.features.summary import CycleTables, Summary
from mgrisk.survey.design import SurveyDesign
from mgrisk.survey.estimates import GroupedEstimates, mean, ratio
from mgrisk.types import Booleans, Floats

Places = NDArray[np.intp]
WHERE = "features/foods"
FEATURE: Final = "magnesium_from_{}_mg"
"""Name of the feature of a food group."""


@dataclass(frozen=True)
class Rule:
    """One row of `food_groups.toml`: food codes with these digits and descriptions belong to this group.

    Attributes
    ----------
    prefix
        First digits of the food code, of which one must match.
    words
        Regular expressions, of which one must match the description; empty if only the digits matter.
    dish
        Whether it is a mixed dish, which is not divided among groups.
    """

    group: str
    prefix: tuple[str, ...]
    source: str
    why: str
    words: tuple[str, ...] = ()
    dish: bool = False

    def fits(self, codes: list[str], descriptions: list[str]) -> Booleans:
        """Return which codes this rule matches, shape (n,), ignoring the rules before it."""
        words = re.compile("|".join(self.words), re.IGNORECASE)
        pairs = zip(codes, descriptions, strict=True)
        return np.array([code.startswith(self.prefix) and bool(words.search(text)) for code, text in pairs], bool)


@dataclass(frozen=True)
class FoodGroups:
    """The food groups and the ordered rules that assign food codes to them.

    `labels` has the label of each group by name, in the order of reports; `rich` has the groups that are good sources
    of magnesium. `rules` are tried in order, and the first match is used.
    """

    labels: dict[str, str]
    rich: tuple[str, ...]
    rules: tuple[Rule, ...]

    def assign(self, descriptions: pd.DataFrame) -> pd.DataFrame:
        """Return the group of each food code.

        Parameters
        ----------
        descriptions
            DRXFCD of one cycle, one row for each code: DRXFDCD (8-digit code), DRXFCLD (description).

        Returns
        -------
        pandas.DataFrame
            Index: the codes. Columns: description, group (categorical, all groups in order), dish (bool),
            rule (index of the rule that matched, from 0).

        Raises
        ------
        MgRiskError
            ``foods.repeated_code``; ``foods.no_group`` for a code that no rule matches.

        Examples
        --------
        >>> two = pd.DataFrame({"DRXFDCD": [72125100.0, 94000100.0], "DRXFCLD": ["Spinach, raw", "Water, tap"]})
        >>> food_groups().assign(two)["group"].tolist()
        ['leafy_vegetables', 'water']
        """
        codes = descriptions["DRXFDCD"].astype(np.int64)
        if codes.duplicated().any():
            raise bad_source(
                "foods.repeated_code",
                f"food code {codes[codes.duplicated()].iloc[0]} is described twice",
                where=f"{WHERE}, DRXFCD",
                hint="use the descriptions of one cycle at a time; they change between cycles",
            )
        digits, texts = codes.astype(str).tolist(), descriptions["DRXFCLD"].tolist()
        place = np.full(len(codes), -1)
        for number, rule in enumerate(self.rules):
            place[(place < 0) & rule.fits(digits, texts)] = number
        if (place < 0).any():
            first = int(np.argmax(place < 0))
            raise bad_source(
                "foods.no_group",
                f"no rule matches food code {digits[first]}, {texts[first]}",
                where="features/food_groups.toml",
                hint="add a rule for its first digits",
            )
        group = np.array([rule.group for rule in self.rules])[place]
        return pd.DataFrame(
            {
                "description": texts,
                "group": pd.Categorical(group, categories=list(self.labels)),
                "dish": np.array([rule.dish for rule in self.rules])[place],
                "rule": place,
            },
            index=pd.Index(codes.to_numpy(), name="food_code"),
        )

    def to_dict(self) -> dict[str, Any]:
        """Return the labels and the rules as plain values."""
        return asdict(self)

    def frame(self) -> pd.DataFrame:
        """Return the rules in order: group, prefix, words, dish, source, why."""
        return pd.DataFrame(self.to_dict()["rules"])


@dataclass(frozen=True)
class TopFoods:
    """The foods that contribute most to the population's magnesium intake, the largest share first.

    Attributes
    ----------
    records
        One for each food: food_code, description, group, share (of the population's magnesium from food, a ratio of
        totals), se, low, high, cumulative (sum of the shares so far), mg_per_person (mean, mg/d).
    n, df
        Number of people in the domain with a positive weight; degrees of freedom.
    """

    records: tuple[dict[str, Any], ...]
    n: int
    df: int

    def to_dict(self) -> dict[str, Any]:
        """Return the records with n and df as plain values."""
        return asdict(self)

    def frame(self) -> pd.DataFrame:
        """Return one row for each food."""
        return pd.DataFrame(list(self.records))


@cache
def food_groups() -> FoodGroups:
    """Return the food groups of `food_groups.toml`.

    Examples
    --------
    >>> len(food_groups().labels)
    14
    """
    content = tomllib.loads(files("mgrisk.features").joinpath("food_groups.toml").read_text("utf-8"))
    rules = [{**row, "prefix": tuple(row["prefix"]), "words": tuple(row.get("words", ()))} for row in content["rule"]]
    labels = {row["name"]: row["label"] for row in content["group"]}
    rich = tuple(row["name"] for row in content["group"] if row.get("rich"))
    return FoodGroups(labels, rich, tuple(Rule(**rule) for rule in rules))


def day_by_group(foods: pd.DataFrame, groups: pd.DataFrame, *, people: ArrayLike, day: int = 1) -> pd.DataFrame:
    """Return magnesium from each food group on one recalled day.

    Parameters
    ----------
    foods
        One row for each food eaten, from DR1IFF (day 1) or DR2IFF (day 2): SEQN, DRxIFDCD, DRxIMAGN (mg).
    groups
        Group of each food code in this cycle, as returned by `FoodGroups.assign`.
    people
        SEQN of the people to return, shape (n,), without duplicates.
    day
        1 or 2.

    Returns
    -------
    pandas.DataFrame
        Index: SEQN in the order given; one column for each group, mg. 0 if no food of the group was eaten; missing
        if a food of the group has no amount (human milk). The reliability of the recall is not considered.

    Raises
    ------
    MgRiskError
        ``foods.repeated_person``; ``foods.unknown_code`` for a food without a row in `groups`.

    Examples
    --------
    >>> kinds = food_groups().assign(pd.DataFrame({"DRXFDCD": [94000100.0], "DRXFCLD": ["Water, tap"]}))
    >>> eaten = pd.DataFrame({"SEQN": [1, 1], "DR1IFDCD": [94000100.0] * 2, "DR1IMAGN": [2.0, 3.0]})
    >>> day_by_group(eaten, kinds, people=[1, 2])["water"].tolist()
    [5.0, 0.0]
    """
    index, row, place, amount = _placed(foods, groups, people, day)
    names = list(groups["group"].cat.categories)
    cell = row * len(names) + groups["group"].cat.codes.to_numpy()[place]
    # For empty input, bincount returns integers.
    sums = np.bincount(cell, weights=amount, minlength=len(index) * len(names)).astype(np.float64)
    return pd.DataFrame(sums.reshape(len(index), len(names)), index=index, columns=names)


def by_group(day_1: pd.DataFrame, day_2: pd.DataFrame, groups: pd.DataFrame, *, totals: pd.DataFrame) -> pd.DataFrame:
    """Return magnesium from each food group, mg/d, as the mean over each person's reliable recall days.

    Parameters
    ----------
    day_1, day_2, groups
        As for `day_by_group`.
    totals
        Everyone with a recall, one row each: SEQN, DR1DRSTZ, DR2DRSTZ (1 is reliable).

    Returns
    -------
    pandas.DataFrame
        Index: SEQN in the order of `totals`; one column for each group, mg/d; missing without a reliable day. The
        columns add up to `magnesium_food_mg` exactly.

    Raises
    ------
    MgRiskError
        As `day_by_group`.

    Examples
    --------
    >>> kinds = food_groups().assign(pd.DataFrame({"DRXFDCD": [94000100.0], "DRXFCLD": ["Water, tap"]}))
    >>> one = pd.DataFrame({"SEQN": [7], "DR1IFDCD": [94000100.0], "DR1IMAGN": [3.0]})
    >>> two = pd.DataFrame({"SEQN": [7], "DR2IFDCD": [94000100.0], "DR2IMAGN": [6.0]})
    >>> by_group(one, two, kinds, totals=pd.DataFrame({"SEQN": [7], "DR1DRSTZ": [1], "DR2DRSTZ": [1]}))["water"].item()
    4.5
    """
    first = day_by_group(day_1, groups, people=totals["SEQN"], day=1)
    second = day_by_group(day_2, groups, people=totals["SEQN"], day=2)
    status = totals[["DR1DRSTZ", "DR2DRSTZ"]].set_axis(first.index, axis="index")
    return pd.DataFrame(
        {
            name: mean_of_reliable_days(status.assign(one=first[name], two=second[name]), day_1="one", day_2="two")
            for name in first
        }
    )


def _summarise(tables: CycleTables) -> pd.DataFrame:
    groups = food_groups().assign(tables.lists["DRXFCD"])
    found = by_group(tables.records["DR1IFF"], tables.records["DR2IFF"], groups, totals=tables.people)
    return found.rename(columns=FEATURE.format)


RICH: Final = "rich"
RICH_LABEL: Final = "All good sources of magnesium"
SUMMARY: Final = Summary(records=("DR1IFF", "DR2IFF"), lists={"DRXFCD": ("DRXFDCD", "DRXFCLD")}, function=_summarise)
"""The features magnesium_from_<group>_mg of `food_groups.toml`, computed by `by_group`."""


def shares(intake: pd.DataFrame, design: SurveyDesign, *, level: float = 0.95) -> GroupedEstimates:
    """Estimate the share of each column in the population's total, as a ratio of totals.

    Parameters
    ----------
    intake
        mg/d, as returned by `by_group` or `day_by_group`, one row for each row of the design, in the same order.
    design
        The full design, level RECALL1 (WTDRD1), whose domain has only people with a reliable recall.
    level
        Confidence level.

    Returns
    -------
    GroupedEstimates
        In the order of the columns; shares that add up to 1. Raises as `mgrisk.survey.estimates.ratio`.

    Examples
    --------
    >>> from mgrisk.survey.design import WeightLevel
    >>> design = SurveyDesign([1.0] * 4, [1, 1, 2, 2], [1, 2, 1, 2], WeightLevel.RECALL1)
    >>> shares(pd.DataFrame({"water": [10.0, 20, 30, 40], "rest": [90.0, 80, 70, 60]}), design)["water"].estimate
    0.25
    """
    total = intake.sum(axis=1, skipna=False)
    return GroupedEstimates({name: ratio(intake[name], total, design, level=level) for name in intake})


def with_rich(intake: pd.DataFrame) -> pd.DataFrame:
    """Return amounts by food group, preceded by the sum over all good sources of magnesium (`RICH`).

    Examples
    --------
    >>> with_rich(pd.DataFrame([dict.fromkeys(food_groups().labels, 2.0)]))[RICH].item()
    10.0
    """
    return pd.DataFrame({RICH: intake[list(food_groups().rich)].sum(axis=1, skipna=False), **intake})


def top_foods(
    foods: pd.DataFrame, groups: pd.DataFrame, design: SurveyDesign, *, people: ArrayLike, day: int = 1, top: int = 10
) -> TopFoods:
    """Rank single foods by their share of the population's magnesium from food on one recall day.

    Parameters
    ----------
    foods, groups, day
        As for `day_by_group`.
    design
        As for `shares`.
    people
        SEQN of each row of the design, shape (n,).
    top
        Number of foods.

    Returns
    -------
    TopFoods
        Raises as `day_by_group` and `mgrisk.survey.estimates.ratio`.

    Examples
    --------
    >>> from mgrisk.survey.design import WeightLevel
    >>> kinds = food_groups().assign(pd.DataFrame({"DRXFDCD": [94000100.0], "DRXFCLD": ["Water, tap"]}))
    >>> eaten = pd.DataFrame({"SEQN": [1, 2], "DR1IFDCD": [94000100.0] * 2, "DR1IMAGN": [3.0, 5.0]})
    >>> design = SurveyDesign([1.0] * 4, [1, 1, 2, 2], [1, 2, 1, 2], WeightLevel.RECALL1)
    >>> top_foods(eaten, kinds, design, people=[1, 2, 3, 4]).records[0]["mg_per_person"]
    2.0
    """
    index, row, place, amount = _placed(foods, groups, people, day)
    # Only human milk has no amount, on days that are not reliable and so outside the domain; it must not make the
    # total of a food missing.
    amount = np.nan_to_num(amount)
    weighted = np.bincount(place, weights=amount * design.analysis_weight[row], minlength=len(groups))
    everything = np.bincount(row, weights=amount, minlength=len(index))
    records: list[dict[str, Any]] = []
    cumulative = 0.0
    for food in np.argsort(-weighted, kind="stable")[:top]:
        mine = place == food
        eaten = np.bincount(row[mine], weights=amount[mine], minlength=len(index))
        share = ratio(eaten, everything, design)
        cumulative += share.estimate
        records.append(
            {
                "food_code": int(groups.index[food]),
                "description": str(groups["description"].iloc[food]),
                "group": str(groups["group"].iloc[food]),
                "share": share.estimate,
                "se": share.se,
                "low": share.low,
                "high": share.high,
                "cumulative": cumulative,
                "mg_per_person": mean(eaten, design).estimate,
            }
        )
    return TopFoods(tuple(records), n=design.n, df=design.df)


def _placed(
    foods: pd.DataFrame, groups: pd.DataFrame, people: ArrayLike, day: int
) -> tuple[pd.Index[Any], Places, Places, Floats]:
    """Return the people, and for each of their foods the index of the person, the index of the code and the amount."""
    index = pd.Index(np.asarray(people).astype(np.int64), name="SEQN")
    if index.has_duplicates:
        raise bad_input(
            "foods.repeated_person",
            f"person {index[index.duplicated()][0]} occurs twice",
            where=f"{WHERE}, people",
            hint="pass each SEQN once",
        )
    row: Places = index.get_indexer(pd.Index(foods["SEQN"].astype(np.int64)))
    eaten, row = foods[row >= 0], row[row >= 0]
    codes = pd.Index(eaten[f"DR{day}IFDCD"].astype(np.int64))
    place: Places = groups.index.get_indexer(codes)
    if (place < 0).any():
        raise bad_source(
            "foods.unknown_code",
            f"food code {codes[place < 0][0]} is not among the descriptions",
            where=f"{WHERE}, DRXFCD",
            hint="use the descriptions (DRXFCD) of the same cycle as the foods",
        )
    return index, row, place, eaten[f"DR{day}IMAGN"].to_numpy(dtype=np.float64)

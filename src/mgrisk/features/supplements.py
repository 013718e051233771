"""Magnesium from supplements by chemical form: elemental mg/d of oxide, citrate, glycinate, chloride and others.

NHANES lists the products that a person took in the past 30 days (DSQIDS) and the ingredients of each product (DSPI,
DSII, DSBI). The form is rarely recorded: nearly all ingredient rows say only MAGNESIUM, and the form is mostly known
from the product's name. "Unspecified" is therefore a large group, and is not distributed over the other forms.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from functools import cache
from importlib.resources import files
from typing import Any, Final

import numpy as np
import pandas as pd

from mgrisk.errors import bad_source
from mgrisk.features.summary import CycleTables, Summary
from mgrisk.survey.design import SurveyDesign
from mgrisk.survey.estimates import GroupedEstimates, proportion
from mgrisk.types import Integers

FORMS: Final = ("oxide", "citrate", "glycinate", "chloride", "other", "unspecified")
"""Forms of magnesium, in the order of reports; `other` is any other named salt, `unspecified` is not named anywhere."""

WHERE: Final = "features/supplements"
_NO_SALT: Final = ""
_MONTH: Final = 30.0
_MG: Final = {1.0: 1.0, 4.0: 0.001, 5.0: 1000.0}  # DSDUNIT: mg, mcg, g; other units are not units of mass


@dataclass(frozen=True)
class Wording:
    """One row of `supplement_forms.toml`: regular expressions that identify a salt.

    Attributes
    ----------
    form
        One of `FORMS`, or ``none`` for an excipient.
    words
        Regular expressions, of which one must match.
    """

    salt: str
    form: str
    words: tuple[str, ...]
    source: str


@dataclass(frozen=True)
class Wordings:
    """The wordings of salts, and of brands, which are used if no text names a salt."""

    salts: tuple[Wording, ...]
    brands: tuple[Wording, ...]

    def to_dict(self) -> dict[str, Any]:
        """Return the rows as plain values."""
        return asdict(self)

    def frame(self) -> pd.DataFrame:
        """Return one row for each wording: kind, salt, form, words, source."""
        rows = [{"kind": kind, **row} for kind, group in self.to_dict().items() for row in group]
        return pd.DataFrame(rows)


@dataclass(frozen=True)
class Agreement:
    """Agreement of each person's sum over products with CDC's published total.

    Attributes
    ----------
    people
        Number of people with magnesium in either.
    agree
        Number of these whose values agree to the published precision.
    largest
        Largest difference, mg/d.
    """

    people: int
    agree: int
    largest: float

    @property
    def share(self) -> float:
        """Share of people whose values agree, 0 to 1."""
        return self.agree / self.people if self.people else float("nan")

    def to_dict(self) -> dict[str, Any]:
        """Return the fields and the share."""
        return {**asdict(self), "share": self.share}


@cache
def wordings() -> Wordings:
    """Return the wordings of `supplement_forms.toml`.

    Examples
    --------
    >>> wordings().salts[0].salt
    'oxide'
    """
    content = tomllib.loads(files("mgrisk.features").joinpath("supplement_forms.toml").read_text("utf-8"))
    salts, brands = (
        tuple(Wording(**{**row, "words": tuple(row["words"])}) for row in content[key]) for key in ("salt", "brand")
    )
    return Wordings(salts, brands)


def product_forms(
    products: pd.DataFrame, ingredients: pd.DataFrame, blends: pd.DataFrame, *, rules: Wordings | None = None
) -> pd.DataFrame:
    """Return the form of the magnesium in each product, and the text that names it.

    The texts are searched in this order, and the first that names a salt is used: ingredients, product name, parts of
    blends, brand. If it names several salts, the form is their common form, or ``other``, with all their names: labels
    do not state how much comes from each, so that amounts cannot be divided.

    Parameters
    ----------
    products
        DSPI: DSDPID, DSDSUPP; one row for each product.
    ingredients
        DSII: DSDPID, DSDIID, DSDINGR, DSDQTY, DSDUNIT.
    blends
        DSBI: DSDIID, DSDBCNAM; the parts of the ingredients that are blends. A blend is searched only if it weighs
        more than the magnesium of its product, because a lighter one cannot contain it.
    rules
        The wordings; by default those of `supplement_forms.toml`.

    Returns
    -------
    pandas.DataFrame
        Index: DSDPID. Columns: form (categorical, `FORMS`), salt ("" where unspecified), evidence (ingredient,
        name, blend, brand or ""). Products without magnesium are included, as unspecified.

    Examples
    --------
    >>> products = pd.DataFrame({"DSDPID": [1.0, 2.0], "DSDSUPP": ["SLEEP WELL MAGNESIUM CITRATE", "MAGNESIUM 250 MG"]})
    >>> ingredients = pd.DataFrame(
    ...     {"DSDPID": [1.0, 2.0], "DSDIID": 9.0, "DSDINGR": "MAGNESIUM", "DSDQTY": 250.0, "DSDUNIT": 1.0}
    ... )
    >>> blends = pd.DataFrame({"DSDIID": [], "DSDBCNAM": []})
    >>> product_forms(products, ingredients, blends)["form"].tolist()
    ['citrate', 'unspecified']
    """
    rules = rules or wordings()
    index = pd.Index(products["DSDPID"].astype(np.int64), name="DSDPID")
    names = pd.Series(products["DSDSUPP"].to_numpy(), index=index)
    in_blends = _heavy_enough(ingredients).merge(blends[["DSDIID", "DSDBCNAM"]], on="DSDIID")
    texts = (
        ("ingredient", _by_product(ingredients["DSDPID"], ingredients["DSDINGR"]), rules.salts),
        ("name", names, rules.salts),
        ("blend", _by_product(in_blends["DSDPID"], in_blends["DSDBCNAM"]), rules.salts),
        ("brand", names, rules.brands),
    )
    found = pd.DataFrame({"form": FORMS[-1], "salt": _NO_SALT, "evidence": ""}, index=index)
    for evidence, text, of in texts:
        named = _named(text[text.index.isin(found.index[found["salt"] == _NO_SALT])], of)
        found.loc[named.index, ["form", "salt"]] = named
        found.loc[named.index, "evidence"] = evidence
    found["form"] = pd.Categorical(found["form"], categories=list(FORMS))
    return found


def product_numbers(taken: pd.DataFrame, products: pd.DataFrame) -> Integers:
    """Return the product (DSDPID) of each row of DSQIDS, -1 if it is not in DSPI, shape (n,).

    Parameters
    ----------
    taken
        DSQIDS: DSDPID, or DSDSUPID before 2017.
    products
        DSPI: DSDPID, DSDSUPID (text; empty for products added later).

    Examples
    --------
    >>> products = pd.DataFrame({"DSDPID": [6.0, 8.0], "DSDSUPID": ["1000030800", ""]})
    >>> product_numbers(pd.DataFrame({"DSDSUPID": [1000030800.0, 1.0]}), products).tolist()
    [6, -1]
    """
    known = products["DSDPID"].astype(np.int64)
    if "DSDPID" in taken:
        number = taken["DSDPID"].astype(np.int64)
        return np.asarray(number.where(number.isin(known), -1), dtype=np.int64)
    older = products["DSDSUPID"] != ""
    to_new = dict(zip(products["DSDSUPID"][older].astype(np.int64), known[older], strict=True))
    return np.asarray(taken["DSDSUPID"].astype(np.int64).map(to_new).fillna(-1), dtype=np.int64)


def by_form(taken: pd.DataFrame, products: pd.DataFrame, forms: pd.DataFrame, *, totals: pd.DataFrame) -> pd.DataFrame:
    """Return elemental magnesium from supplements and antacids by form, mg/d over the past 30 days.

    Parameters
    ----------
    taken
        DSQIDS, one row for each person and product: SEQN, DSDPID or DSDSUPID, DSD103 (days taken of the past 30),
        DSQIMAGN (elemental mg on a day it was taken).
    products
        DSPI: DSDPID, DSDSUPID.
    forms
        Forms of the products, as returned by `product_forms`.
    totals
        DSQTOT of everyone: SEQN, DSD010, DSD010AN (took supplements, antacids: 1 yes, 2 no).

    Returns
    -------
    pandas.DataFrame
        Index: SEQN in the order of `totals`; one column for each of `FORMS`, mg/d. 0 for people who took none;
        missing for people who did not answer, as in `magnesium_supplement_mg`. A product with unknown days (7777, 9999)
        counts as 0, as in CDC's totals.

    Raises
    ------
    MgRiskError
        ``supplements.unknown_product`` for a product with magnesium that is not in DSPI.

    Examples
    --------
    >>> products = pd.DataFrame({"DSDPID": [1.0], "DSDSUPID": [""], "DSDSUPP": ["MAGNESIUM OXIDE 400 MG"]})
    >>> none = pd.DataFrame(columns=["DSDPID", "DSDIID", "DSDINGR", "DSDQTY", "DSDUNIT", "DSDBCNAM"], dtype=float)
    >>> taken = pd.DataFrame({"SEQN": [5.0], "DSDPID": [1.0], "DSD103": [15.0], "DSQIMAGN": [240.0]})
    >>> totals = pd.DataFrame({"SEQN": [5.0, 6.0], "DSD010": [1.0, 2.0], "DSD010AN": [2.0, 2.0]})
    >>> by_form(taken, products, product_forms(products, none, none), totals=totals)["oxide"].tolist()
    [120.0, 0.0]
    """
    index = pd.Index(totals["SEQN"].astype(np.int64), name="SEQN")
    rows = taken[(taken["DSQIMAGN"] > 0) & (taken["DSD103"] <= _MONTH)]
    number = product_numbers(rows, products)
    place = forms.index.get_indexer(pd.Index(number))
    person = index.get_indexer(pd.Index(rows["SEQN"].astype(np.int64)))
    if (place < 0).any():
        raise bad_source(
            "supplements.unknown_product",
            f"{int((place < 0).sum())} products with magnesium are not in the list of products",
            where=f"{WHERE}, DSPI",
            hint="use DSPI, DSII and DSBI of a release at least as new as the cycle",
        )
    kept = person >= 0
    cell = person[kept] * len(FORMS) + forms["form"].cat.codes.to_numpy()[place[kept]]
    amount = (rows["DSQIMAGN"] * rows["DSD103"] / _MONTH).to_numpy()[kept]
    # For empty input, bincount returns integers.
    sums = np.bincount(cell, weights=amount, minlength=len(index) * len(FORMS)).astype(np.float64)
    sums = sums.reshape(len(index), len(FORMS))
    took = (totals["DSD010"] == 1) | (totals["DSD010AN"] == 1)
    took_none = (totals["DSD010"] == 2) & (totals["DSD010AN"] == 2)
    sums[~(took | took_none).to_numpy()] = np.nan
    return pd.DataFrame(sums, index=index, columns=list(FORMS))


def _summarise(tables: CycleTables) -> pd.DataFrame:
    taken, products, ingredients = tables.records["DSQIDS"], tables.lists["DSPI"], tables.lists["DSII"]
    # The lists are common to all cycles; only about a tenth of their products was taken in this one.
    numbers = product_numbers(taken, products)
    those = products[products["DSDPID"].isin(numbers)]
    forms = product_forms(those, ingredients[ingredients["DSDPID"].isin(numbers)], tables.lists["DSBI"])
    found = by_form(taken, products, forms, totals=tables.people)
    return found.rename(columns="magnesium_{}_mg".format)


SUMMARY: Final = Summary(
    records=("DSQIDS",),
    lists={
        "DSPI": ("DSDPID", "DSDSUPID", "DSDSUPP"),
        "DSII": ("DSDPID", "DSDIID", "DSDINGR", "DSDQTY", "DSDUNIT"),
        "DSBI": ("DSDIID", "DSDBCNAM"),
    },
    function=_summarise,
)
"""The features magnesium_<form>_mg for each of `FORMS`, computed by `by_form`."""


def agreement(intake: pd.DataFrame, totals: pd.DataFrame, *, decimals: int) -> Agreement:
    """Compare sums over products with CDC's totals (DSQTMAGN).

    Parameters
    ----------
    intake
        Intake by form, as returned by `by_form`.
    totals
        DSQTOT in the same order: DSQTMAGN, mg/d; missing if no magnesium was taken.
    decimals
        Decimals in CDC's data: 2 from 2011-2012 to 2017-2018, and 1 in the cycles before and after.

    Examples
    --------
    >>> agreement(pd.DataFrame({"oxide": [33.333, 0.0]}), pd.DataFrame({"DSQTMAGN": [33.33, None]}), decimals=2).share
    1.0
    """
    ours, theirs = intake.sum(axis=1).to_numpy(), totals["DSQTMAGN"].fillna(0.0).to_numpy()
    with_any = (ours > 0) | (theirs > 0)
    difference = np.abs(ours - theirs)[with_any]
    # Half a unit of the last digit, plus floating-point error.
    agree = difference <= 0.5 * 10.0**-decimals + 1e-9
    return Agreement(len(difference), int(agree.sum()), float(difference.max(initial=0.0)))


def users(intake: pd.DataFrame, design: SurveyDesign, *, level: float = 0.95) -> GroupedEstimates:
    """Estimate the share of people who take each form, and any form.

    Parameters
    ----------
    intake
        As returned by `by_form`, one row for each row of the design, in the same order.
    design
        The full design, level INTERVIEW, whose domain has only people who answered.
    level
        Confidence level.

    Returns
    -------
    GroupedEstimates
        Share of the domain by form, then ``any``; a person with two forms counts in both. Raises as
        `mgrisk.survey.estimates.proportion`.

    Examples
    --------
    >>> from mgrisk.survey.design import WeightLevel
    >>> design = SurveyDesign([1.0] * 4, [1, 1, 2, 2], [1, 2, 1, 2], WeightLevel.INTERVIEW)
    >>> users(pd.DataFrame({"oxide": [1.0, 0, 0, 2], "other": [0.0, 0, 3, 0]}), design)["any"].estimate
    0.75
    """
    takes = intake.assign(any=intake.sum(axis=1, skipna=False))
    takes = (takes > 0).astype(float).where(takes.notna())
    return GroupedEstimates({name: proportion(takes[name], design, level=level) for name in takes})


def _heavy_enough(ingredients: pd.DataFrame) -> pd.DataFrame:
    """Return the ingredients that weigh more than the elemental magnesium of their product: DSDPID, DSDIID."""
    mass = ingredients["DSDQTY"] * ingredients["DSDUNIT"].map(_MG)
    element = ingredients["DSDINGR"] == "MAGNESIUM"
    magnesium = mass[element].groupby(ingredients["DSDPID"][element]).max()
    # A product without a row for magnesium has it in its blends, whatever their weight.
    least = ingredients["DSDPID"].map(magnesium)
    return ingredients.loc[least.isna() | (mass > least), ["DSDPID", "DSDIID"]]


def _by_product(number: Iterable[float], text: Iterable[str]) -> pd.Series[str]:
    texts = pd.Series(list(text), index=pd.Index(list(number)).astype(np.int64), dtype="str")
    return texts[texts.str.contains("MAGN", regex=False)]


def _named(texts: pd.Series[str], wording: tuple[Wording, ...]) -> pd.DataFrame:
    """Return form and salt of the products whose texts name a salt; excipients do not count."""
    searches = [(row, re.compile("|".join(row.words)).search) for row in wording if row.form != "none"]
    known = {text: [row for row, search in searches if search(text)] for text in texts.unique()}
    found: dict[int, dict[str, str]] = {}
    for number, text in zip(texts.index.tolist(), texts.tolist(), strict=True):
        for row in known[text]:
            found.setdefault(number, {})[row.salt] = row.form
    return pd.DataFrame(
        {
            "form": [forms.pop() if len(forms := set(each.values())) == 1 else "other" for each in found.values()],
            "salt": [" + ".join(sorted(each)) for each in found.values()],
        },
        index=pd.Index(list(found)).astype(np.int64),
    )

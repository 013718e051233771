"""Dietary recalls of the synthetic people: day of the week, weights, nutrients, foods and supplements.

Foods, supplements and medicines are tables with several rows for each person, with the product lists they refer to.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from scipy.special import ndtr

from mgrisk.nhanes.codebook import KEY, VARIABLES
from mgrisk.nhanes.cycles import Cycle
from mgrisk.nhanes.synthetic.parameters import Columns, draw_index, linear, lookup, parameter_groups
from mgrisk.nhanes.synthetic.people import ADULT, adjust
from mgrisk.types import Booleans, Floats, Integers

DAYS = (1, 2)
_WEEKEND = (1, 6, 7)  # Sunday, Friday, Saturday in NHANES' codes
_WEEKEND_SHARE = 3 / 7
_ADOLESCENT = 12  # years
_CENTRE = {"energy": np.log(2000.0), "magnesium": np.log(280.0)}
_SPREADS = ("between", "within")


def add_days(rng: np.random.Generator, people: Columns) -> Columns:
    """Return days of the week, energy and magnesium with a weekend effect, and weights balanced over the week.

    Interviews are not spread evenly over the week; usual intake is 4/7 weekdays and 3/7 weekend (Friday to Sunday).

    Parameters
    ----------
    rng
        Random generator.
    people
        Needs the columns of `take_part` and `add_diet`.

    Returns
    -------
    Columns
        ``day1``, ``day2`` (1 Sunday to 7 Saturday; NaN without an interview), and new values of ``energy1``,
        ``magnesium1``, ``energy2``, ``magnesium2``, ``recall1_weight`` and ``recall2_weight``.
    """
    given, size = parameter_groups("recalls")["days"], len(people["age"])
    first = draw_index(rng, given["first"], size)
    others = np.asarray(given["second"]) * (1 - np.eye(7))
    until = np.cumsum(others / others.sum(axis=1, keepdims=True), axis=1)[first]
    second = np.minimum((rng.random(size)[:, None] >= until).sum(axis=1), 6)
    found: Columns = {}
    for day, place in zip(DAYS, (first, second), strict=True):
        weekend = np.isin(place + 1, _WEEKEND)
        found[f"day{day}"] = np.where(people[f"recall{day}"] == 5, np.nan, 1.0 + place)
        for name, effect in parameter_groups("recalls")["weekend"].items():
            weekday = 1 / (1 - _WEEKEND_SHARE + _WEEKEND_SHARE * np.exp(effect))
            found[f"{name}{day}"] = people[f"{name}{day}"] * weekday * np.where(weekend, np.exp(effect), 1.0)
        by_day, shares = (first, np.full(7, 1 / 7)) if day == 1 else _by_weekend(weekend)
        weight = people[f"recall{day}_weight"]
        found[f"recall{day}_weight"] = adjust(weight, totals=shares * weight.sum(), cells=by_day, responds=weight > 0)
    return found


def _by_weekend(weekend: Booleans) -> tuple[Integers, Floats]:
    return weekend.astype(np.int64), np.array([1 - _WEEKEND_SHARE, _WEEKEND_SHARE])


def add_nutrients(rng: np.random.Generator, people: Columns) -> Columns:
    """Return the other nutrients of both days: ``fiber1``, ``fiber2``, ``calcium1`` and so on.

    Parameters
    ----------
    rng
        Random generator.
    people
        Needs the columns of `select_people` and `add_days`.
    """
    given, size = parameter_groups("recalls"), len(people["age"])
    adult = people["age_years"] >= ADULT
    logs = {
        day: {name: np.log(np.fmax(people[f"{name}{day}"], 1.0)) - centre for name, centre in _CENTRE.items()}
        for day in DAYS
    }
    found: Columns = {}
    for name, about in given["nutrients"].items():
        habit = rng.standard_normal(size)
        for day in DAYS:
            each_day = rng.standard_normal(size)
            value = np.where(
                adult,
                _log_amount(about["adult"], logs[day], habit, each_day),
                _log_amount(about["young"], logs[day], habit, each_day),
            )
            logs[day][name] = value - about["reference"]
            found[f"{name}{day}"] = np.minimum(np.exp(value), about["highest"])
    stage = np.digitize(people["age_years"], [_ADOLESCENT, ADULT]).astype(np.int64)
    for name, about in given["sometimes"].items():
        found |= {f"{name}{day}": amount for day, amount in zip(DAYS, _sometimes(rng, about, stage), strict=True)}
    return found


def _log_amount(terms: Mapping[str, float], logs: Columns, habit: Floats, each_day: Floats) -> Floats:
    mean = linear({name: value for name, value in terms.items() if name not in _SPREADS}, logs)
    return mean + terms["between"] * habit + terms["within"] * each_day


def _sometimes(rng: np.random.Generator, about: Mapping[str, Any], stage: Integers) -> tuple[Floats, Floats]:
    alike = np.sqrt(about["correlation"])
    often, much = rng.standard_normal((2, len(stage)))

    def day() -> Floats:
        own = rng.standard_normal((2, len(stage))) * np.sqrt(1 - alike**2)
        happens = ndtr(alike * often + own[0]) < lookup(about["share"], stage)
        amount = lookup(about["median"], stage) * np.exp(lookup(about["log_sd"], stage) * (alike * much + own[1]))
        return np.where(happens, amount, 0.0)

    return day(), day()


RECORDS = ("DR1IFF", "DR2IFF", "DSQIDS", "RXQ_RX")
"""Tables with several rows for each person that this module simulates."""
_MAGNESIUM_NUMBER = 231.0  # DSDIID of magnesium
_MG = 1.0  # DSDUNIT
_CLASSES = "ABC"


def records_of(rng: np.random.Generator, people: Columns, *, cycle: Cycle, sequence: Floats) -> dict[str, pd.DataFrame]:
    """Return the tables of one cycle with several rows for each person.

    Parameters
    ----------
    rng
        Random generator.
    people
        Columns of all stages, including `add_products` and `add_medicines`.
    cycle
        Cycle, which determines the names.
    sequence
        SEQN of each person.

    Returns
    -------
    dict
        Frame by table name without the cycle's suffix: SEQN and the cycle's variables, under the cycle's names. The
        sum of the magnesium of a day's foods is the day's total.
    """
    made = {f"DR{day}IFF": _foods(rng, people, day=day, sequence=sequence) for day in DAYS}
    made |= {"DSQIDS": _supplements(people, sequence), "RXQ_RX": _medicines(rng, people, sequence)}
    tables = {}
    for table in RECORDS:
        names = {
            each.name: name
            for each in VARIABLES.values()
            if each.records and each.table == table and (name := each.name_in(cycle)) and each.name in made[table]
        }
        if names:
            tables[table] = made[table][[KEY, *names]].rename(columns=names)
    return tables


def foods_list() -> pd.DataFrame:
    """Return DRXFCD, the list of food codes of a cycle."""
    foods = parameter_groups("foods")["list"]["foods"]
    names = [food["name"] for food in foods]
    codes = [float(food["code"]) for food in foods]
    return pd.DataFrame({"DRXFDCD": codes, "DRXFCSD": [name.upper()[:60] for name in names], "DRXFCLD": names})


def lists() -> dict[str, pd.DataFrame]:
    """Return the lists of products and medicines common to all cycles, by their names in `nhanes.cycles.LOOKUPS`."""
    products, drugs = parameter_groups("products")["product"], parameter_groups("products")["drug"]
    ingredients = [
        {
            "DSDPID": float(each["number"]),
            "DSDSUPP": each["name"],
            "DSDIID": _MAGNESIUM_NUMBER if "magnesium" in each else 1000.0 + place,
            "DSDINGR": each["ingredient"],
            "DSDQTY": each.get("magnesium", 500.0),
            "DSDUNIT": _MG,
        }
        for place, each in enumerate(products)
    ]
    # None of these products has a blend; a list cannot be empty.
    blend = {"DSDIID": 88.0, "DSDINGR": "ALIVE! CITRUS BIOFLAVONOID COMPLEX", "DSDBID": 1436.0, "DSDBCNAM": "NARIRUTIN"}
    return {
        "DSPI": pd.DataFrame(
            {
                "DSDPID": [float(each["number"]) for each in products],
                "DSDSUPID": [each["older"] for each in products],
                "DSDSUPP": [each["name"] for each in products],
            }
        ),
        "DSII": pd.DataFrame(ingredients),
        "DSBI": pd.DataFrame([blend]),
        "RXQ_DRUG": pd.DataFrame([_drug_row(drug) for drug in drugs]),
    }


def _drug_row(drug: dict[str, Any]) -> dict[str, object]:
    def classes(prefix: str, numbers: Sequence[Sequence[int]], places: int) -> dict[str, float]:
        # Each drug or ingredient has three levels of classes; absent levels are missing.
        padded = [[*levels, *[np.nan] * 3][:3] for levels in numbers] + [[np.nan] * 3] * (places - len(numbers))
        return {
            f"{prefix}{place}{letter}": float(number)
            for place, levels in enumerate(padded, start=1)
            for letter, number in zip(_CLASSES, levels, strict=True)
        }

    ingredients = drug["ingredients"]
    return {
        "RXDDRGID": drug["id"],
        "RXDDRUG": drug["name"],
        "RXDINGFL": float(len(ingredients)),
        **classes("RXDDCI", [drug["classes"]], 4),
        **classes("RXDICI", ingredients, 6),
    }


def add_products(rng: np.random.Generator, people: Columns) -> Columns:
    """Return the supplement and antacid that each person takes, how often, and what was taken on the recalled days.

    Parameters
    ----------
    rng
        Random generator.
    people
        Needs the columns of `take_part` and `add_diet`.

    Returns
    -------
    Columns
        ``product`` and ``antacid_product`` (indices in `products.toml`, NaN for none), ``product_days`` (of 30),
        ``product_magnesium`` and ``antacid_product_magnesium`` (mg per day of use, NaN for none), and for the
        recalled days ``supplement_day1``, ``antacid_day1`` (0/1), ``supplement_magnesium1`` (mg, NaN for none) and
        the same for day 2.
    """
    given, products = parameter_groups("products")["supplements"], parameter_groups("products")["product"]
    size, total = len(people["age"]), people["supplement_magnesium"]
    some = ~np.isnan(total)
    takes, antacid = people["supplement"] > 0, people["antacid"] > 0
    days = np.asarray(given["days"])[draw_index(rng, given["days_share"], size)]
    each_day = np.round(total * 30 / days, 2)

    def chosen(kind: str) -> Floats:
        places = [place for place, each in enumerate(products) if each["kind"] == kind]
        shares = [products[place]["share"] for place in places]
        return np.asarray(places, dtype=np.float64)[draw_index(rng, shares, size)]

    with_it, without, antacid_with, antacid_without = (
        chosen(kind) for kind in ("with", "without", "antacid with", "antacid without")
    )
    # For people who take both, the magnesium is in the supplement.
    found: Columns = {
        "product": np.where(takes, np.where(some, with_it, without), np.nan),
        "antacid_product": np.where(antacid, np.where(some & ~takes, antacid_with, antacid_without), np.nan),
        "product_days": days,
        "product_magnesium": np.where(takes, each_day, np.nan),
        "antacid_product_magnesium": np.where(antacid & ~takes, each_day, np.nan),
    }
    for day in DAYS:
        often = np.where(some, given["recalled"] * days / 30, given["recalled_other"])
        supplement = takes & (rng.random(size) < often)
        relief = antacid & (rng.random(size) < given["recalled_antacid"])
        amount = np.where(supplement | (relief & ~takes), each_day, np.nan)
        found |= {f"supplement_day{day}": supplement * 1.0, f"antacid_day{day}": relief * 1.0}
        found[f"supplement_magnesium{day}"] = amount
    return found


def _foods(rng: np.random.Generator, people: Columns, *, day: int, sequence: Floats) -> pd.DataFrame:
    foods, about = parameter_groups("foods")["list"]["foods"], parameter_groups("foods")["eaten"]
    reliable = (people["examined"] > 0) & (people[f"recall{day}"] == 1)
    size = int(reliable.sum())
    person = np.repeat(np.arange(size), 1 + rng.poisson(about["mean"], size))
    food = draw_index(rng, [each["share"] for each in foods], len(person))
    amount = np.exp(about["amount_log_sd"] * rng.standard_normal(len(person)))

    def of(name: str) -> Floats:
        each_time = lookup([each[name] for each in foods], food)
        return np.asarray(each_time * amount, dtype=np.float64)

    def whole(name: str) -> Floats:
        total: Integers = np.round(people[f"{name}{day}"][reliable]).astype(np.int64)
        return apportion(total, parts=of(name), person=person)

    return pd.DataFrame(
        {
            KEY: sequence[reliable][person],
            f"DR{day}IFDCD": np.asarray([float(each["code"]) for each in foods])[food],
            f"DR{day}IGRMS": np.round(of("grams"), 2),
            f"DR{day}IKCAL": whole("energy"),
            f"DR{day}IMAGN": whole("magnesium"),
        }
    )


def apportion(totals: Integers, *, parts: Floats, person: Integers) -> Floats:
    """Divide whole totals in proportion to `parts`, in whole numbers with exactly these sums.

    Parameters
    ----------
    totals
        Whole numbers, one for each person, shape (people,).
    parts
        Proportions, not negative, shape (n,); if all of a person are zero, they count equally.
    person
        Person of each part, an index in `totals`, in ascending order; everyone has at least one part.

    Returns
    -------
    numpy.ndarray
        Shape (n,), float64; the largest remainders are rounded up.

    Examples
    --------
    >>> apportion(np.array([10, 3]), parts=np.array([1.0, 1.0, 1.0, 0.0]), person=np.array([0, 0, 0, 1])).tolist()
    [4.0, 3.0, 3.0, 3.0]
    """
    sums = np.bincount(person, weights=parts, minlength=len(totals))
    counts = np.bincount(person, minlength=len(totals))
    share = np.where(sums[person] > 0, parts / np.where(sums > 0, sums, 1.0)[person], 1.0 / counts[person])
    exact = totals[person] * share
    whole = np.floor(exact)
    left = totals - np.bincount(person, weights=whole, minlength=len(totals))
    order = np.lexsort((whole - exact, person))
    rank = np.empty(len(person), dtype=np.int64)
    starts = np.concatenate([[0], np.cumsum(counts)[:-1]])
    rank[order] = np.arange(len(person)) - starts[person[order]]
    return np.asarray(whole + (rank < left[person]), dtype=np.float64)


def _supplements(people: Columns, sequence: Floats) -> pd.DataFrame:
    products = parameter_groups("products")["product"]
    number = np.asarray([float(each["number"]) for each in products])
    older = np.asarray([float(each["older"]) for each in products])
    parts = []
    for name, antacid in (("product", 0.0), ("antacid_product", 2.0)):
        here = ~np.isnan(people[name])
        place = people[name][here].astype(np.int64)
        parts.append(
            pd.DataFrame(
                {
                    KEY: sequence[here],
                    "DSDPID": number[place],
                    "DSDSUPID": older[place],
                    "DSDANTA": antacid,
                    "DSD103": people["product_days"][here],
                    "DSQIMAGN": people[f"{name}_magnesium"][here],
                }
            )
        )
    return pd.concat(parts, ignore_index=True).sort_values(KEY, kind="stable", ignore_index=True)


def _medicines(rng: np.random.Generator, people: Columns, sequence: Floats) -> pd.DataFrame:
    drugs = parameter_groups("products")["drug"]
    taken = np.column_stack([people[f"drug{place}"] > 0 for place in range(len(drugs))])
    refused = rng.random(len(sequence)) < parameter_groups()["refusals"]["other"][1]
    taken = taken & ~refused[:, None]
    person, drug = np.nonzero(taken)
    none: Booleans = ~taken.any(axis=1)
    some = pd.DataFrame(
        {
            KEY: sequence[person],
            "RXDUSE": 1.0,
            "RXDDRUG": np.array([each["name"] for each in drugs], dtype=object)[drug],
            "RXDDRGID": np.array([each["id"] for each in drugs], dtype=object)[drug],
            "RXDCOUNT": taken.sum(axis=1)[person].astype(np.float64),
        }
    )
    nothing = pd.DataFrame(
        {
            KEY: sequence[none],
            "RXDUSE": np.where(refused[none], 9.0, 2.0),
            "RXDDRUG": "",
            "RXDDRGID": "",
            "RXDCOUNT": np.nan,
        }
    )
    return pd.concat([some, nothing], ignore_index=True).sort_values(KEY, kind="stable", ignore_index=True)

"""Who is selected, who takes part, and with what weight: strata, PSUs, unequal selection, nonresponse."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from mgrisk.nhanes.cycles import Cycle
from mgrisk.nhanes.synthetic.parameters import Array, Codes, Columns, Flags, lookup, parameter_groups, pick

RACES = ("mexican", "hispanic", "white", "black", "asian", "other")
LOW_INCOME = 1.3  # ratio of family income to poverty below which NHANES over-samples
OLDEST = 80  # years; NHANES codes everyone older as 80
_YOUNGEST_GLUCOSE = 12  # years


def select_people(rng: np.random.Generator, *, cycle: Cycle, people: int) -> Columns:
    """Draw the sample of a cycle.

    Parameters
    ----------
    rng
        Source of chance.
    cycle
        Sets the size of the population, the numbers of the strata and who is over-sampled.
    people
        Number of people to draw, of all ages.

    Returns
    -------
    Columns
        ``stratum``, ``psu`` (1, 2), ``cluster`` (0 to 29), ``band`` and ``race`` (places in the lists of
        `parameters.toml`), ``age_years``, ``female``, ``income`` (ratio to poverty), ``selection_weight``
        (people, adding up to the population of the cycle), ``psu_bmi``, ``psu_diet``, ``psu_diabetes``
        (random effects), 0/1 columns for each race and ``age``, ``age2``, ``pir`` on the scale of the
        coefficients.

    References
    ----------
    NHANES sample design, 2007-2010, 2011-2014 and 2015-2018 (CDC/NCHS, Vital and Health Statistics, series
    2).
    """
    design = parameter_groups()["design"]
    share, rate = _cells(cycle)
    clusters = design["strata"] * design["psus"]
    sizes = np.exp(rng.normal(0, design["psu_size_log_sd"], clusters))
    tilt = np.exp(rng.normal(0, design["psu_race_log_sd"], (clusters, len(RACES))))
    cluster = np.sort(pick(rng, sizes.tolist(), people))
    cell = np.zeros(people, dtype=np.int64)
    for number in range(clusters):
        here = np.flatnonzero(cluster == number)
        cell[here] = pick(rng, (share * rate * tilt[number][None, :, None]).ravel().tolist(), len(here))
    band, race, low = (each.astype(np.int64) for each in np.unravel_index(cell, share.shape))
    first = np.array([*parameter_groups()["ages"]["first"], OLDEST + 1])
    age = first[band] + np.floor(rng.random(people) * (first[band + 1] - first[band]))
    female = rng.random(people) < lookup(parameter_groups()["ages"]["female"], band)
    income = _income(rng, race, low)
    spread = rng.normal(0, design["weight_log_sd"], people)
    weight = adjust(
        1 / rate.ravel()[cell] * np.exp(spread),
        totals=share.sum(axis=2).ravel() * _population(cycle),
        cells=band * len(RACES) + race,
        responds=np.ones(people, dtype=np.bool_),
    )
    effects = {
        name: rng.normal(0, design[spread_of], clusters)[cluster]
        for name, spread_of in (
            ("psu_bmi", "psu_log_bmi_sd"),
            ("psu_diet", "psu_log_diet_sd"),
            ("psu_diabetes", "psu_diabetes_logit_sd"),
        )
    }
    decades = (np.maximum(age, 20) - 50) / 10
    first_stratum = design["first_stratum_2007"] + design["strata"] * ((cycle.first - 2007) // 2)
    return {
        "stratum": first_stratum + (cluster // design["psus"]).astype(np.float64),
        "psu": 1.0 + cluster % design["psus"],
        "cluster": cluster.astype(np.float64),
        "band": band.astype(np.float64),
        "race": race.astype(np.float64),
        "age_years": age,
        "female": female.astype(np.float64),
        "income": income,
        "selection_weight": weight,
        **effects,
        **{name: (race == place).astype(np.float64) for place, name in enumerate(RACES)},
        "age": decades,
        "age2": decades**2,
        "pir": income - 2.8,
    }


def _population(cycle: Cycle) -> float:
    population = parameter_groups()["population"]
    return float(population["people_2007"] + population["growth_per_year"] * (cycle.first - 2007))


def _cells(cycle: Cycle) -> tuple[Array, Array]:
    """Return population share and relative chance of selection by age band x race x (high, low income)."""
    selection, income = parameter_groups()["selection"], parameter_groups()["income"]
    share = np.array(selection["share"])
    rate = np.array(selection["rate"])
    if cycle.first < selection["asian_from"]:
        rate[:, RACES.index("asian")] = rate[:, RACES.index("other")]
    first = np.array(parameter_groups()["ages"]["first"])
    low = np.array(income["low"])[np.digitize(first, [20, 60])]
    shares = np.stack([share * (1 - low), share * low], axis=2) / share.sum()
    more = np.array(selection["low_income_rate"])[None, :]
    # The rate of a race and age is that of both incomes together.
    high_rate = rate / (1 - low + low * more)
    return shares, np.stack([high_rate, high_rate * more], axis=2)


def _income(rng: np.random.Generator, race: Codes, low: Codes) -> Array:
    income = parameter_groups()["income"]
    size = len(race)
    (poor_a, poor_b), (other_a, other_b) = income["low_beta"], income["high_beta"]
    poor = LOW_INCOME * rng.beta(poor_a, poor_b, size)
    others = LOW_INCOME + (5.0 - LOW_INCOME) * rng.beta(other_a, other_b, size)
    top = rng.random(size) < lookup(income["top"], race)
    ratio = np.where(low == 1, np.minimum(poor, LOW_INCOME - 0.01), np.where(top, 5.0, np.minimum(others, 4.99)))
    return np.asarray(np.round(ratio, 2), dtype=np.float64)


def adjust(weight: Array, *, totals: Array, cells: Codes, responds: Flags) -> Array:
    """Return weights of those who respond that add up to known totals.

    Parameters
    ----------
    weight
        Weights before the adjustment, in people.
    totals
        People in each cell.
    cells
        Cell of each person, a place in `totals`.
    responds
        Who gets a weight; the others get 0.

    Returns
    -------
    numpy.ndarray
        Weights by cell in proportion to `weight`. A cell in which nobody responds is spread over all
        others, so that the sum is that of `totals` in any case (0 where nobody responds at all).

    Examples
    --------
    >>> everyone = np.array([True, True, False])
    >>> adjust(np.ones(3), totals=np.array([4.0, 2.0]), cells=np.array([0, 0, 1]), responds=everyone).tolist()
    [3.0, 3.0, 0.0]
    """
    kept = np.where(responds, weight, 0.0)
    sums = np.bincount(cells, weights=kept, minlength=len(totals))
    ratio = np.divide(totals, sums, out=np.zeros_like(sums), where=sums > 0)
    adjusted = kept * ratio[cells]
    total = adjusted.sum()
    return adjusted * (totals.sum() / total) if total > 0 else adjusted


def take_part(rng: np.random.Generator, people: Columns) -> Columns:
    """Draw who was examined, recalled the diet and fasted, and derive the weights of each part.

    Parameters
    ----------
    rng
        Source of chance.
    people
        What `select_people` returns.

    Returns
    -------
    Columns
        ``examined``, ``in_glucose`` and ``fasted`` (0/1), ``recall1`` and ``recall2`` (status codes 1
        reliable, 2 not reliable, 4 breast-fed, 5 not done), ``interview_weight``, ``exam_weight``,
        ``recall1_weight``, ``recall2_weight`` (each with the sum of the population) and ``fasting_weight``
        (the sum of those of 12 years and older); 0 for those without part.
    """
    response = parameter_groups()["response"]
    age, band, size = people["age_years"], people["band"], len(people["band"])
    examined = rng.random(size) < lookup(response["examined"], band)
    recall1, recall2 = _recalls(rng, age, band)
    eligible = age >= _YOUNGEST_GLUCOSE
    in_glucose = examined & eligible & (rng.random(size) < response["fasting_half"])
    fasted = in_glucose & (rng.random(size) < response["fasted"])
    cells = (people["band"] * len(RACES) + people["race"]).astype(np.int64)
    count = len(parameter_groups()["ages"]["first"]) * len(RACES)

    def part(base: Array, domain: npt.NDArray[np.bool_], responds: Flags) -> Array:
        sums = np.bincount(cells, weights=np.where(domain, base, 0.0), minlength=count)
        totals = sums.astype(np.float64)
        return adjust(base, totals=totals, cells=cells, responds=responds & domain)

    everyone = np.ones(size, dtype=np.bool_)
    interview = people["selection_weight"]
    exam = part(interview, everyone, examined)
    day1 = part(exam, everyone, examined & np.isin(recall1, (1, 4)))
    day2 = part(day1, everyone, examined & np.isin(recall1, (1, 4)) & np.isin(recall2, (1, 4)))
    return {
        "examined": examined.astype(np.float64),
        "in_glucose": in_glucose.astype(np.float64),
        "fasted": fasted.astype(np.float64),
        "recall1": recall1.astype(np.float64),
        "recall2": recall2.astype(np.float64),
        "interview_weight": interview,
        "exam_weight": exam,
        "recall1_weight": day1,
        "recall2_weight": day2,
        "fasting_weight": part(exam, eligible, fasted),
    }


def _recalls(rng: np.random.Generator, age: Array, band: Array) -> tuple[Codes, Codes]:
    response = parameter_groups()["response"]
    size = len(age)
    breast_fed = np.zeros(size, dtype=np.bool_)
    for year, share in enumerate(response["breast_fed"]):
        breast_fed |= (age == year) & (rng.random(size) < share)
    done = rng.random(size) < lookup(response["recall1"], band)
    unreliable = rng.random(size) < response["recall1_not_reliable"]
    first = np.select([breast_fed, done, unreliable], [4, 1, 2], 5).astype(np.int64)
    again = rng.random(size) < response["recall2"]
    unreliable = rng.random(size) < response["recall2_not_reliable"]
    second = np.select([~np.isin(first, (1, 4)), again, unreliable], [5, first, 2], 5).astype(np.int64)
    return first, second

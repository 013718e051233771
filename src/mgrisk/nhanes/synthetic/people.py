"""The synthetic people: sampling, body measurements, habits and usual diet.

Sampling follows NHANES: strata, PSUs, unequal selection probabilities, nonresponse to the interview and the
examination, and the weights that result.
"""

from __future__ import annotations

import numpy as np
from scipy.special import ndtr

from mgrisk.nhanes.cycles import Cycle
from mgrisk.nhanes.synthetic.parameters import (
    Columns,
    by_sex,
    correlated_normals,
    draw_index,
    linear,
    lookup,
    parameter_groups,
    probability,
)
from mgrisk.types import Booleans, Floats, Integers

RACES = ("mexican", "hispanic", "white", "black", "asian", "other")
LOW_INCOME = 1.3  # ratio of family income to poverty below which NHANES over-samples
OLDEST = 80  # years; NHANES codes everyone older as 80
_YOUNGEST_GLUCOSE = 12  # years


def select_people(rng: np.random.Generator, *, cycle: Cycle, people: int) -> Columns:
    """Draw the sample of a cycle.

    Parameters
    ----------
    rng
        Random generator.
    cycle
        Cycle, which determines the population size, the stratum numbers and the oversampled groups.
    people
        Number of people of all ages to draw.

    Returns
    -------
    Columns
        ``stratum``, ``psu`` (1, 2), ``cluster`` (0 to 29), ``band`` and ``race`` (indices in the lists of
        `parameters.toml`), ``age_years``, ``female``, ``income`` (ratio to poverty), ``selection_weight``
        (people, with the population of the cycle as the sum), ``psu_bmi``, ``psu_diet``, ``psu_diabetes``
        (random effects), 0/1 columns for each race, and ``age``, ``age2``, ``pir`` on the scale of the
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
    cluster = np.sort(draw_index(rng, sizes.tolist(), people))
    cell = np.zeros(people, dtype=np.int64)
    for number in range(clusters):
        here = np.flatnonzero(cluster == number)
        cell[here] = draw_index(rng, (share * rate * tilt[number][None, :, None]).ravel().tolist(), len(here))
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


def _cells(cycle: Cycle) -> tuple[Floats, Floats]:
    """Return population share and relative selection probability by age band x race x (high, low income)."""
    selection, income = parameter_groups()["selection"], parameter_groups()["income"]
    share = np.array(selection["share"])
    rate = np.array(selection["rate"])
    if cycle.first < selection["asian_from"]:
        rate[:, RACES.index("asian")] = rate[:, RACES.index("other")]
    first = np.array(parameter_groups()["ages"]["first"])
    low = np.array(income["low"])[np.digitize(first, [20, 60])]
    shares = np.stack([share * (1 - low), share * low], axis=2) / share.sum()
    more = np.array(selection["low_income_rate"])[None, :]
    # The given rate of a race and age is that of both income groups combined.
    high_rate = rate / (1 - low + low * more)
    return shares, np.stack([high_rate, high_rate * more], axis=2)


def _income(rng: np.random.Generator, race: Integers, low: Integers) -> Floats:
    income = parameter_groups()["income"]
    size = len(race)
    (poor_a, poor_b), (other_a, other_b) = income["low_beta"], income["high_beta"]
    poor = LOW_INCOME * rng.beta(poor_a, poor_b, size)
    others = LOW_INCOME + (5.0 - LOW_INCOME) * rng.beta(other_a, other_b, size)
    top = rng.random(size) < lookup(income["top"], race)
    ratio = np.where(low == 1, np.minimum(poor, LOW_INCOME - 0.01), np.where(top, 5.0, np.minimum(others, 4.99)))
    return np.asarray(np.round(ratio, 2), dtype=np.float64)


def adjust(weight: Floats, *, totals: Floats, cells: Integers, responds: Booleans) -> Floats:
    """Return weights of the respondents, adjusted to known totals.

    Parameters
    ----------
    weight
        Weights before the adjustment, in people.
    totals
        Number of people in each cell.
    cells
        Cell of each person, an index in `totals`.
    responds
        Whether each person responds; the others get a weight of 0.

    Returns
    -------
    numpy.ndarray
        Weights proportional to `weight` within each cell. The total of a cell without respondents is spread over
        all other cells, so that the sum is always that of `totals` (0 if nobody responds at all).

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
    """Draw who was examined, gave a dietary recall and fasted, and derive the weights of each subsample.

    Parameters
    ----------
    rng
        Random generator.
    people
        Columns of `select_people`.

    Returns
    -------
    Columns
        ``examined``, ``in_glucose`` and ``fasted`` (0/1), ``recall1`` and ``recall2`` (status codes 1
        reliable, 2 not reliable, 4 breast-fed, 5 not done), ``interview_weight``, ``exam_weight``,
        ``recall1_weight``, ``recall2_weight`` (each with the population as the sum) and ``fasting_weight``
        (with the population of 12 years and older as the sum); 0 for people who did not take part.
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

    def part(base: Floats, domain: Booleans, responds: Booleans) -> Floats:
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


def _recalls(rng: np.random.Generator, age: Floats, band: Floats) -> tuple[Integers, Integers]:
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


ADULT = 20  # years from which the regressions of `parameters.toml` hold
ACTIVITIES = ("work_vigorous", "work_moderate", "transport", "leisure_vigorous", "leisure_moderate")


def add_body(rng: np.random.Generator, people: Columns) -> Columns:
    """Return ``height_cm``, ``weight_kg``, ``bmi_kg_m2``, ``waist_cm`` and the regression terms computed from them."""
    given = parameter_groups()
    size, adult = len(people["age"]), people["age_years"] >= ADULT
    height_z, bmi_z, waist_z = rng.standard_normal((3, size))
    mean, spread = by_sex(given["height"], people)
    height = np.where(adult, mean + spread * height_z, 0.0)
    mean, spread = by_sex(given["log_bmi"], people)
    bmi = 10 + np.exp(mean + spread * bmi_z + people["psu_bmi"])
    scaled = {**people, "bmi": (bmi - 28) / 5, "height": (height - 168) / 10}
    mean, spread = by_sex(given["waist"], scaled)
    waist = mean + spread * waist_z

    young, sex = given["young"], people["female"]
    year = np.minimum(people["age_years"], ADULT - 1)
    usual, spread = lookup(young["bmi"], sex, year), lookup(young["bmi_sd"], year)
    young_bmi = usual * np.exp(spread * bmi_z - spread**2 / 2 + people["psu_bmi"])
    young_waist = lookup(young["waist"], sex, year) + young["waist_per_bmi"] * (young_bmi - usual)
    height = np.where(adult, height, lookup(young["height"], sex, year) * (1 + young["height_sd"] * height_z))
    # Limited to the range of NHANES 2007-2018, because the log-normal distribution is unbounded.
    bmi = np.clip(np.where(adult, bmi, young_bmi), 12, 80)
    waist = np.where(adult, waist, young_waist + young["waist_sd"] * waist_z)
    weight = bmi * (height / 100) ** 2
    infant = lookup(young["weight"], sex, np.minimum(year, 1)) * (1 + young["weight_sd"] * bmi_z)
    weight = np.where(year < 2, infant, weight)
    return {
        "height_cm": np.clip(height, 60, 205),
        "weight_kg": np.clip(weight, 2.5, 250),
        "bmi_kg_m2": bmi,
        "waist_cm": np.clip(waist, 35, 180),
        # Children get the values of the reference person; no variable with these terms is simulated for them.
        "bmi": np.where(adult, (bmi - 28) / 5, 0.0),
        "waist": np.where(adult, (waist - 99) / 10, 0.0),
        "height": np.where(adult, (height - 168) / 10, 0.0),
    }


def add_habits(rng: np.random.Generator, people: Columns, *, cycle: Cycle) -> Columns:
    """Return smoking, hypertension, family history, activity, sedentary time, sleep and pregnancies.

    Parameters
    ----------
    rng
        Random generator.
    people
        Needs the columns of `select_people` and `add_body`.
    cycle
        Cycle; sleep was asked in whole hours before 2015-2016.

    Returns
    -------
    Columns
        0/1 columns ``smoked``, ``smoker``, ``some_days``, ``hypertension``, ``family``, ``leisure``,
        ``pregnant``, ``ever_pregnant``; ``sedentary_min``, ``sleep_hours``, ``gestational`` (1, 2 or 3),
        and for each of `ACTIVITIES` its name (0/1), ``…_days`` (per week) and ``…_minutes`` (per day).
    """
    given = parameter_groups()
    size = len(people["age"])

    def happens(name: str, terms: Columns) -> Floats:
        return (rng.random(size) < probability(linear(given[name], terms))).astype(np.float64)

    found: Columns = {name: happens(name, people) for name in ("smoked", "hypertension", "family")}
    found["smoker"] = found["smoked"] * happens("smokes", people)
    found["some_days"] = (rng.random(size) < given["smoking"]["some_days"]).astype(np.float64)
    found |= _activities(rng, people)
    found["leisure"] = np.maximum(found["leisure_vigorous"], found["leisure_moderate"])
    root = linear(given["sedentary"], {**people, **found}) + given["sedentary"]["sd"] * rng.standard_normal(size)
    minutes = np.clip(root, 0, None) ** 2
    found["sedentary_min"] = np.clip(np.where(minutes < 90, _to(30, minutes), _to(60, minutes)), 0, 1200)
    asked = given["sleep"]["before_2015" if cycle.first < 2015 else "from_2015"]
    hours = linear(asked, people) + asked["sd"] * rng.standard_normal(size)
    found["sleep_hours"] = np.clip(_to(1.0 if cycle.first < 2015 else 0.5, hours), 2, 12)

    women = given["women"]
    fertile = (people["female"] > 0) & (people["age_years"] >= ADULT) & (people["age_years"] <= 44)
    found["pregnant"] = (fertile & (rng.random(size) < women["pregnant"])).astype(np.float64)
    ever = rng.random(size) < probability(linear(women["ever_pregnant"], people))
    ever = (people["female"] > 0) & (people["age_years"] >= ADULT) & (ever | (found["pregnant"] > 0))
    told = rng.random(size) < probability(linear(women["gestational"], {**people, **found}))
    almost = rng.random(size) < women["gestational_borderline"]
    found["ever_pregnant"] = ever.astype(np.float64)
    found["gestational"] = np.select([told, almost], [1.0, 3.0], 2.0)
    return found


def _activities(rng: np.random.Generator, people: Columns) -> Columns:
    given = parameter_groups()["activity"]
    size = len(people["age"])
    common, *groups = rng.standard_normal((4, size))
    factors = dict(zip(("work", "transport", "leisure"), groups, strict=True))
    minutes = np.asarray(given["minutes"], dtype=np.float64)
    found: Columns = {}
    for name in ACTIVITIES:
        own = np.sqrt(1 - given["common"] ** 2 - given["group"][name] ** 2)
        active = given["common"] * common + given["group"][name] * factors[name.split("_")[0]]
        active = active + own * rng.standard_normal(size)
        # Ranks of correlated normal factors: activities correlate, and each share is that of its regression.
        share = probability(linear(given["kind"][name], people))
        found[name] = (ndtr(active) < share).astype(np.float64)
        found[f"{name}_days"] = (1 + draw_index(rng, given["days"][name], size)).astype(np.float64)
        found[f"{name}_minutes"] = np.take(minutes, draw_index(rng, given["minutes_share"][name], size))
    return found


def add_diet(rng: np.random.Generator, people: Columns) -> Columns:
    """Return usual intakes, two recall days and supplements.

    The intake on a recall day is the usual intake times a log-normal error with mean 1 (`day2` on the second day), so
    that the mean of many first days of a person is the usual intake.

    Parameters
    ----------
    rng
        Random generator.
    people
        Needs the columns of `select_people`, `add_body` and `add_habits`.

    Returns
    -------
    Columns
        ``usual_energy`` (kcal/d), ``usual_magnesium`` (mg/d, food and drink), ``energy1``, ``magnesium1``,
        ``energy2``, ``magnesium2`` (kcal and mg of the two days), ``supplement`` and ``antacid`` (0/1),
        ``supplement_magnesium`` (mg/d; NaN if none is taken).
    """
    given, young = parameter_groups()["diet"], parameter_groups()["young"]
    size, adult = len(people["age"]), people["age_years"] >= ADULT
    stage = np.digitize(people["age_years"], young["diet_first"][1:]).astype(np.int64)
    z_energy, z_magnesium = correlated_normals(rng, given["between_correlation"], size)
    usual: Columns = {}
    for name, z in (("energy", z_energy), ("magnesium", z_magnesium)):
        spread = given[f"between_{name}_sd"]
        log_adult = linear(given[name], people)
        log_young = np.log(lookup(young[name], people["female"], stage)) - spread**2 / 2
        usual[name] = np.exp(np.where(adult, log_adult, log_young) + spread * z + people["psu_diet"])
    found: Columns = {f"usual_{name}": values for name, values in usual.items()}
    for day in (1, 2):
        errors = correlated_normals(rng, given["within_correlation"], size)
        for name, z in zip(("energy", "magnesium"), errors, strict=True):
            spread = given[f"within_{name}_sd"]
            factor = given["day2"][name] if day == 2 else 1.0
            found[f"{name}{day}"] = factor * usual[name] * np.exp(spread * z - spread**2 / 2)
    return found | _supplements(rng, people, stage)


def _supplements(rng: np.random.Generator, people: Columns, stage: Integers) -> Columns:
    given, young, dose = parameter_groups(), parameter_groups()["young"], parameter_groups()["dose"]
    size, adult = len(people["age"]), people["age_years"] >= ADULT

    def happens(name: str) -> Booleans:
        adults = probability(linear(given[name], people))
        return np.asarray(rng.random(size) < np.where(adult, adults, lookup(young[name], stage)))

    takes, contains = happens("supplement"), happens("supplement_magnesium")
    antacid = (rng.random(size) < probability(linear(given["antacid"], people))) & adult
    with_magnesium = antacid & (rng.random(size) < dose["antacid_magnesium"])
    rest = 1 - sum(dose["common_share"])
    place = draw_index(rng, [*dose["common_share"], rest], size)
    own = np.where(adult, dose["median"], young["dose"]) * np.exp(dose["log_sd"] * rng.standard_normal(size))
    amount = np.where(adult & (place < len(dose["common"])), np.array([*dose["common"], 0.0])[place], own)
    extra = dose["antacid_median"] * np.exp(dose["antacid_log_sd"] * rng.standard_normal(size))
    total = np.where(takes & contains, amount, 0.0) + np.where(with_magnesium, extra, 0.0)
    total = np.clip(np.round(total, 2), None, dose["highest"])
    return {
        "supplement": takes.astype(np.float64),
        "antacid": antacid.astype(np.float64),
        "supplement_magnesium": np.where((takes & contains) | with_magnesium, total, np.nan),
    }


def _to(step: float, values: Floats) -> Floats:
    return np.asarray(np.round(values / step) * step, dtype=np.float64)

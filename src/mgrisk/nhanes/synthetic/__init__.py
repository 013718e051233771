"""A synthetic cohort in the format of NHANES tables, simulated with known true effects.

The cohort replaces NHANES where the real tables are not available (demo, tests, simulations). It has the same files,
columns, codes, skip patterns and survey design, so that all code that reads NHANES can read it. Its distributions
resemble those of NHANES 2007-2018; its results say nothing about any real population.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from mgrisk.errors import usage
from mgrisk.nhanes import xpt
from mgrisk.nhanes.codebook import KEY, SYNTHETIC, VARIABLES
from mgrisk.nhanes.cycles import LOOKUPS, Cycle, cycle
from mgrisk.nhanes.synthetic.health import (
    DIAGNOSED,
    NONE,
    UNDIAGNOSED,
    add_diabetes,
    add_history,
    add_insulin,
    add_laboratory,
    add_medicines,
    add_more,
    add_pressure,
    add_pulse,
    add_upper_leg,
)
from mgrisk.nhanes.synthetic.parameters import Columns, parameter_groups
from mgrisk.nhanes.synthetic.people import add_body, add_diet, add_habits, select_people, take_part
from mgrisk.nhanes.synthetic.recalls import add_days, add_nutrients, add_products, foods_list, lists, records_of
from mgrisk.nhanes.synthetic.tables import code_tables
from mgrisk.storage.files import write_text

__all__ = ["CYCLES", "NOTE", "Truth", "write_cohort"]

NOTE = "SYNTHETIC.txt"
"""File in the root of the folder that explains the data; it distinguishes a synthetic folder from a mirror."""

CYCLES = tuple(cycle(years) for years in ("2007-2008", "2009-2010", "2011-2012", "2013-2014", "2015-2016", "2017-2018"))
"""Cycles that the cohort can be written for: those whose questionnaires and tables it resembles."""

MOST_PEOPLE = 100_000
"""Largest number of people in a cycle, limited by the range of its sequence numbers."""

_STATES = {NONE: "none", DIAGNOSED: "diagnosed", UNDIAGNOSED: "undiagnosed"}
_STAGES = 20  # each with its own random generator
_LONGEST_LABEL = 40  # bytes, of a SAS transport file
_TEXT = """SYNTHETIC DATA: THESE ARE NOT REAL PEOPLE

mgrisk wrote the tables in this folder from a random number generator (seed {seed}, {people} people in each of
{cycles}). They have the names, columns and codes of NHANES tables, so that programs can be tried on them.
No record is of, or derived from, a person; only rounded means, shares and regression coefficients of NHANES
went into the parameters. Nothing found in these tables says anything about health in any real population.

Sequence numbers (SEQN) start with the first year of the cycle and have nine digits; those of NHANES have at
most six. The true magnesium effect is {effect:+.2f} log-odds of diabetes for each 100 mg/d of usual intake.
"""


@dataclass(frozen=True)
class Truth:
    """True values of the simulation that are not in the tables.

    Attributes
    ----------
    people
        One row for each person; see `frame`.
    seed
        Seed of the cohort.
    magnesium_log_odds
        True log odds ratio of undiagnosed (and of diagnosed) diabetes per 100 mg/d of usual magnesium intake
        from food and drink.
    supplement_log_odds
        True log odds ratio per 100 mg/d of magnesium from supplements and antacids.
    recall_log_sd
        True within-person SD of the log of a day's magnesium intake, for days of the same kind (weekday or
        weekend).
    weekend_log
        True log of the ratio of magnesium intake on Friday to Sunday to that on Monday to Thursday.
    """

    people: pd.DataFrame
    seed: int
    magnesium_log_odds: float
    supplement_log_odds: float
    recall_log_sd: float
    weekend_log: float

    def frame(self) -> pd.DataFrame:
        """Return one row for each person of every cycle, sorted by SEQN.

        Columns: ``SEQN``, ``cycle``, ``usual_magnesium_mg`` (food and drink, per day),
        ``supplement_magnesium_mg`` (per day, 0 for none), ``usual_energy_kcal`` (per day), ``bmi_kg_m2``,
        ``waist_cm``, ``risk_undiagnosed`` (probability of undiagnosed diabetes given no diagnosis, NaN
        under 20), ``risk_diagnosed``, ``state`` (none, diagnosed, undiagnosed), ``hba1c``, ``glucose`` (%
        and mg/dL, as they would be measured in everyone).
        """
        return self.people.copy()

    def to_dict(self) -> dict[str, float | int]:
        """Return seed and true parameters."""
        return {
            "seed": self.seed,
            "people": len(self.people),
            "magnesium_log_odds": self.magnesium_log_odds,
            "supplement_log_odds": self.supplement_log_odds,
            "recall_log_sd": self.recall_log_sd,
            "weekend_log": self.weekend_log,
        }


def write_cohort(
    folder: Path,
    *,
    people_per_cycle: int = 4000,
    seed: int = 20240101,
    cycles: Sequence[Cycle] = CYCLES,
) -> Truth:
    """Write a synthetic cohort as SAS transport files, laid out like the CDC site.

    Files are written atomically. The same arguments give the same bytes; a cycle's files do not depend on which other
    cycles are written.

    Parameters
    ----------
    folder
        Root folder, created if needed; tables are written to ``Public/<first year>/DataFiles/<TABLE>.xpt``.
    people_per_cycle
        Number of people of all ages interviewed in each cycle, 200 to 100,000.
    seed
        Random seed, 0 or more.
    cycles
        Cycles to write.

    Returns
    -------
    Truth
        True values that are not in the tables.

    Raises
    ------
    MgRiskError
        ``synthetic.bad_size`` or ``synthetic.bad_seed`` (exit status 2).

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     truth = write_cohort(Path(folder), people_per_cycle=200, cycles=CYCLES[-1:])
    ...     [path.name for path in sorted(Path(folder).rglob("DEMO*.xpt"))]
    ['DEMO_J.xpt']
    >>> truth.magnesium_log_odds
    -0.15
    """
    if not 200 <= people_per_cycle <= MOST_PEOPLE:
        raise usage(
            "synthetic.bad_size",
            "this number of people in a cycle is not supported",
            where="people_per_cycle",
            hint="choose a number in the range; the default is 4000",
            expected=f"200 to {MOST_PEOPLE}",
            got=str(people_per_cycle),
        )
    if seed < 0:
        raise usage(
            "synthetic.bad_seed",
            "a seed cannot be negative",
            where="seed",
            hint="use 0 or more",
            got=str(seed),
        )
    effect = parameter_groups()["magnesium_effect"]
    # The note is written first, so that the folder never has tables without it.
    note = _TEXT.format(
        seed=seed,
        people=people_per_cycle,
        cycles=", ".join(each.years for each in cycles),
        effect=effect["food_per_100_mg"],
    )
    write_text(folder / NOTE, note)
    parts = [_write_cycle(folder, cycle, people_per_cycle, seed) for cycle in cycles]
    for table, frame in lists().items():
        _write(frame, folder / LOOKUPS[table])
    return Truth(
        people=pd.concat(parts, ignore_index=True).sort_values(KEY, ignore_index=True),
        seed=seed,
        magnesium_log_odds=float(effect["food_per_100_mg"]),
        supplement_log_odds=float(effect["supplement_per_100_mg"]),
        recall_log_sd=float(parameter_groups()["diet"]["within_magnesium_sd"]),
        weekend_log=float(parameter_groups("recalls")["weekend"]["magnesium"]),
    )


def _write_cycle(folder: Path, cycle: Cycle, size: int, seed: int) -> pd.DataFrame:
    # One random generator for each cycle and stage, so that a change in one stage does not affect others.
    stages = [np.random.default_rng([seed, cycle.first, stage]) for stage in range(_STAGES)]
    people: Columns = select_people(stages[0], cycle=cycle, people=size)
    people |= take_part(stages[1], people)
    people |= add_body(stages[2], people)
    people |= add_habits(stages[3], people, cycle=cycle)
    people |= add_diet(stages[4], people)
    people |= add_diabetes(stages[5], people)
    people |= add_pressure(stages[7], people)
    people |= add_insulin(stages[8], people)
    people |= add_days(stages[9], people)
    people |= add_nutrients(stages[10], people)
    people |= add_products(stages[11], people)
    people |= add_laboratory(stages[12], people)
    people |= add_history(stages[13], people)
    people |= add_medicines(stages[14], people)
    people |= add_more(stages[17], people)
    people |= add_upper_leg(stages[18], people)
    people |= add_pulse(stages[19], people)
    sequence = cycle.first * float(MOST_PEOPLE) + np.arange(1.0, size + 1.0)
    tables = code_tables(stages[6], stages[15], people, cycle=cycle, sequence=sequence)
    tables |= records_of(stages[16], people, cycle=cycle, sequence=sequence)
    for table, frame in tables.items():
        labels = _labels(cycle, table)
        _write(frame, folder / cycle.path(table), labels={name: labels[name] for name in frame.columns.astype(str)})
    _write(foods_list(), folder / cycle.path("DRXFCD"))
    return pd.DataFrame(
        {
            KEY: sequence.astype(np.int64),
            "cycle": cycle.years,
            "usual_magnesium_mg": people["usual_magnesium"],
            "supplement_magnesium_mg": np.nan_to_num(people["supplement_magnesium"]),
            "usual_energy_kcal": people["usual_energy"],
            "bmi_kg_m2": people["bmi_kg_m2"],
            "waist_cm": people["waist_cm"],
            "risk_undiagnosed": people["risk_undiagnosed"],
            "risk_diagnosed": people["risk_diagnosed"],
            "state": [_STATES[each] for each in people["state"]],
            "hba1c": people["hba1c"],
            "glucose": people["glucose"],
        }
    )


def _write(frame: pd.DataFrame, path: Path, *, labels: Mapping[str, str] | None = None) -> None:
    name = path.stem
    xpt.write(frame, path, table=name, labels=labels or {}, dataset_label=f"{SYNTHETIC}: {name}")


def _labels(cycle: Cycle, table: str) -> dict[str, str]:
    found = {KEY: "Respondent sequence number"}
    for variable in VARIABLES.values():
        name = variable.name_in(cycle)
        if name is not None and cycle.table(variable.table) == cycle.table(table):
            found[name] = variable.label.encode()[:_LONGEST_LABEL].decode(errors="ignore")
    return found

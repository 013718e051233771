"""NHANES participants as an input file for `mgrisk score`."""

from __future__ import annotations

from collections.abc import Sequence

from mgrisk.errors import usage
from mgrisk.features.compute import from_nhanes
from mgrisk.features.registry import FEATURES, computed_from, features
from mgrisk.features.summary import gather
from mgrisk.nhanes.codebook import KEY, SYNTHETIC
from mgrisk.nhanes.cycles import cycle
from mgrisk.nhanes.store import Store
from mgrisk.score.outputs import write_frame

EXAMINED = 2


def write_people(store: Store, *, cycles: Sequence[str], target: str) -> int:
    """Write the examined participants within the age range of the input schema; return their number.

    Parameters
    ----------
    store
        Source of raw tables.
    cycles
        Names of the cycles.
    target
        Output file, CSV or Parquet by suffix, or ``-``.
    """
    if len(set(cycles)) != len(cycles):
        raise usage("people.cycle_twice", "a cycle is named twice", where="--cycle", hint="name each cycle once")
    # Features that need a fitted model are computed by the bundle, which has the model.
    chosen = tuple(
        feature
        for feature in FEATURES.values()
        if feature.given and not any(part.fitted for part in computed_from([feature]))
    )
    harmonised = gather(store, cycles=[cycle(years) for years in cycles], chosen=chosen, names=("RIDSTATR", "RIDAGEYR"))
    raw = harmonised.frame
    (age,) = features(["age_years"])
    assert age.minimum is not None
    assert age.maximum is not None
    wanted = (raw["RIDSTATR"] == EXAMINED) & raw["RIDAGEYR"].between(age.minimum, age.maximum)
    people = from_nhanes(raw[wanted], chosen)
    people.insert(0, "person_id", raw.loc[wanted, KEY].astype(str))
    people.insert(1, "cycle", raw.loc[wanted, "cycle"])
    people.insert(2, "data", SYNTHETIC if harmonised.synthetic else "NHANES")
    write_frame(people.reset_index(drop=True), target)
    return len(people)

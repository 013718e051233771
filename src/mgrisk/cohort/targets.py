"""Targets: the laboratory measurements behind an outcome, on which a model may be trained in addition."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final

import numpy as np
import pandas as pd

from mgrisk.cohort.outcomes import Outcome
from mgrisk.cohort.select import DEVELOPMENT
from mgrisk.cohort.weights import combined_weight, shares
from mgrisk.errors import usage
from mgrisk.features.compute import from_nhanes
from mgrisk.features.registry import FEATURES, computed_from, features
from mgrisk.nhanes.codebook import KEY
from mgrisk.survey.design import SurveyDesign
from mgrisk.types import Floats

COLUMNS: Final = (KEY, "target", "value", "weight")


def required_variables(outcome: Outcome, names: Iterable[str], development: Sequence[str]) -> tuple[str, ...]:
    """Return the NHANES variables that the targets need, without duplicates: sources and weights.

    Parameters
    ----------
    outcome
        Outcome that is predicted.
    names
        Names of the targets.
    development
        Cycles of the development set.

    Raises
    ------
    MgRiskError
        `targets.unknown` if the outcome has no such target; the errors of `weights.shares`.
    """
    chosen = tuple(dict.fromkeys(names))
    for name in chosen:
        if name not in outcome.targets:
            raise usage(
                "targets.unknown",
                f"{name} is not a target of the outcome {outcome.name}",
                where="model.sums",
                expected=", ".join(outcome.targets) or "none",
                hint="choose a target of the outcome, or add it to the outcome in cohort/outcomes.toml",
            )
    sources = (source for feature in computed_from(features(chosen)) for source in feature.sources)
    weights = (each.weight for name in chosen for each in shares(FEATURES[name].level, development))
    return tuple(dict.fromkeys((*sources, *weights)))


def measure_targets(
    raw: pd.DataFrame, people: pd.DataFrame, names: Sequence[str], *, development: Sequence[str]
) -> pd.DataFrame:
    """Return the logarithms of targets for eligible people of the development set.

    Parameters
    ----------
    raw
        Harmonised frame with `required_variables`.
    people
        `select.Cohort.frame` of the same rows.
    names
        Names of the targets.
    development
        Cycles of the development set.

    Returns
    -------
    pandas.DataFrame
        One row for each person and target: SEQN, target, value (natural logarithm), weight (of the target's subsample,
        combined over the development cycles, above 0).
    """
    markers = from_nhanes(raw, features(names))
    parts = [nothing_measured()]
    for name in names:
        value = markers[name].to_numpy(dtype=np.float64)
        weight = combined_weight(raw, FEATURES[name].level, development).to_numpy()
        included = (people["set"] == DEVELOPMENT) & people["eligible"] & (weight > 0) & (value > 0)
        rows = np.flatnonzero(included)
        key = raw[KEY].to_numpy()[rows]
        parts.append(pd.DataFrame({KEY: key, "target": name, "value": np.log(value[rows]), "weight": weight[rows]}))
    return pd.concat(parts[1:] or parts, ignore_index=True)


def nothing_measured() -> pd.DataFrame:
    """Return an empty frame with the columns of `measure_targets`."""
    return pd.DataFrame(columns=list(COLUMNS)).astype({KEY: "int64", "value": "float64", "weight": "float64"})


def design_of(name: str, of_target: pd.DataFrame, people: pd.DataFrame) -> tuple[Floats, SurveyDesign]:
    """Return the values and the design of one target, aligned with the rows of the development set.

    Parameters
    ----------
    name
        Name of the target.
    of_target
        Result of `measure_targets`, or targets.parquet of a run.
    people
        Rows of the development set, as returned by `select.design`.

    Returns
    -------
    tuple of numpy.ndarray and SurveyDesign
        Values minus their weighted mean, shape (n,), NaN if not measured, and the full design with the people measured
        as its domain. Centring avoids a loss of precision in the single-precision arithmetic of trees.
    """
    rows = of_target.loc[of_target["target"] == name, [KEY, "value", "weight"]].rename(
        columns={"weight": "target_weight"}
    )
    joined = people[[KEY, "stratum", "psu"]].merge(rows, on=KEY, how="left", validate="one_to_one")
    design = SurveyDesign(
        weight=joined["target_weight"].fillna(0.0).to_numpy(),
        stratum=joined["stratum"].to_numpy(),
        psu=joined["psu"].to_numpy(),
        level=FEATURES[name].level,
        domain=joined["value"].notna().to_numpy(),
    )
    centre = np.average(rows["value"], weights=rows["target_weight"])
    return joined["value"].to_numpy(dtype=np.float64) - centre, design

"""Folds that respect the design: whole PSUs, the PSUs of a stratum in different folds.

Wieczorek, Guerin and McMahon 2022 (Stat 11:e454): cross-validation of survey data samples folds as the survey
sampled people. Neighbours of one PSU resemble each other; in two folds they would flatter the score.
"""

from __future__ import annotations

import numpy as np
import pandas as pd

from mgrisk.cohort.select import DEVELOPMENT
from mgrisk.errors import ExitStatus, MgRiskError
from mgrisk.nhanes.codebook import KEY


def assign_folds(frame: pd.DataFrame, *, folds: int, seed: int) -> pd.DataFrame:
    """Deal the PSUs of the development set to folds, stratum after stratum.

    Parameters
    ----------
    frame
        `Cohort.frame`.
    folds
        Number of folds; at least the number of PSUs in a stratum keeps a stratum's PSUs apart.
    seed
        Of the order of strata and of PSUs within them.

    Returns
    -------
    pandas.DataFrame
        SEQN, stratum, psu, fold of everybody in the development set.
    """
    people = frame.loc[frame["set"] == DEVELOPMENT, [KEY, "stratum", "psu"]]
    clusters = people[["stratum", "psu"]].drop_duplicates().sort_values(["stratum", "psu"])
    random = np.random.default_rng(seed)
    strata = random.permutation(clusters["stratum"].unique())
    # Dealing round like cards gives neighbours in the deal, and so the PSUs of a stratum, different folds.
    dealt = [
        (stratum, psu)
        for stratum in strata
        for psu in random.permutation(clusters.loc[clusters["stratum"] == stratum, "psu"].to_numpy())
    ]
    table = pd.DataFrame(dealt, columns=["stratum", "psu"]).assign(fold=np.arange(len(dealt)) % folds)
    return people.merge(table, on=["stratum", "psu"], how="left", validate="many_to_one").reset_index(drop=True)


def check_folds(folds: pd.DataFrame, frame: pd.DataFrame) -> None:
    """Stop where a PSU stands in two folds or a held-out person in any.

    Raises
    ------
    MgRiskError
        `split.psu_in_two_folds` or `split.held_out_in_folds`: a bug of ours or an edited file, never to be ignored.
    """
    held = folds[KEY].isin(frame.loc[frame["set"] != DEVELOPMENT, KEY])
    if held.any():
        raise _broken("split.held_out_in_folds", f"{int(held.sum())} held-out people are in the folds")
    # Where a person lives is read from the cohort: what is checked does not testify for itself.
    placed = folds[[KEY, "fold"]].merge(frame[[KEY, "stratum", "psu"]], on=KEY, how="left")
    spread = placed.groupby(["stratum", "psu"])["fold"].nunique()
    if (spread > 1).any():
        raise _broken("split.psu_in_two_folds", f"{int((spread > 1).sum())} PSUs stand in more than one fold")


def _broken(code: str, message: str) -> MgRiskError:
    return MgRiskError(
        code,
        message,
        where="the folds of the run",
        hint="delete the run folder and run again; if it returns, please report it",
        status=ExitStatus.INPUT,
    )

"""The cross-validation folds of a run, by PSU, and a check that no PSU is split and no held-out person is in a fold."""

from __future__ import annotations

import numpy as np
import pandas as pd

from mgrisk.cohort.select import DEVELOPMENT
from mgrisk.errors import ExitStatus, MgRiskError
from mgrisk.nhanes.codebook import KEY
from mgrisk.survey.folds import fold_of_psus


def assign_folds(frame: pd.DataFrame, *, folds: int, seed: int) -> pd.DataFrame:
    """Assign the PSUs of the development set to folds, by `survey.folds.fold_of_psus`.

    Parameters
    ----------
    frame
        `Cohort.frame`.
    folds
        Number of folds; if it is at least the number of PSUs in a stratum, these are in different folds.
    seed
        Random seed for the order of strata and of PSUs within them.

    Returns
    -------
    pandas.DataFrame
        SEQN, stratum, psu and fold of everyone in the development set.
    """
    people = frame.loc[frame["set"] == DEVELOPMENT, [KEY, "stratum", "psu"]].reset_index(drop=True)
    psus, cluster = np.unique(people[["stratum", "psu"]].to_numpy(np.int64), axis=0, return_inverse=True)
    return people.assign(fold=fold_of_psus(psus, folds=folds, seed=seed)[cluster.reshape(-1)])


def check_folds(folds: pd.DataFrame, frame: pd.DataFrame) -> None:
    """Raise an error if a PSU is in two folds or a held-out person is in any.

    Raises
    ------
    MgRiskError
        `split.psu_in_two_folds` or `split.held_out_in_folds`: a bug in mgrisk, or an edited file.
    """
    held = folds[KEY].isin(frame.loc[frame["set"] != DEVELOPMENT, KEY])
    if held.any():
        raise _broken("split.held_out_in_folds", f"{int(held.sum())} held-out people are in the folds")
    # Stratum and PSU are taken from the cohort, not from the file that is checked.
    placed = folds[[KEY, "fold"]].merge(frame[[KEY, "stratum", "psu"]], on=KEY, how="left")
    spread = placed.groupby(["stratum", "psu"])["fold"].nunique()
    if (spread > 1).any():
        raise _broken("split.psu_in_two_folds", f"{int((spread > 1).sum())} PSUs are in more than one fold")


def _broken(code: str, message: str) -> MgRiskError:
    return MgRiskError(
        code,
        message,
        where="the folds of the run",
        hint="delete the run folder and run again; if it returns, please report it",
        status=ExitStatus.INPUT,
    )

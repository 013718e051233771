"""The folds of a run: the PSUs of the development set, and the check that no PSU or held-out person is misplaced."""

from __future__ import annotations

import numpy as np
import pandas as pd

from mgrisk.cohort.select import DEVELOPMENT
from mgrisk.errors import ExitStatus, MgRiskError
from mgrisk.nhanes.codebook import KEY
from mgrisk.survey.folds import fold_of_psus


def assign_folds(frame: pd.DataFrame, *, folds: int, seed: int) -> pd.DataFrame:
    """Assign the PSUs of the development set to folds, as `survey.folds.fold_of_psus`.

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
    people = frame.loc[frame["set"] == DEVELOPMENT, [KEY, "stratum", "psu"]].reset_index(drop=True)
    psus, cluster = np.unique(people[["stratum", "psu"]].to_numpy(np.int64), axis=0, return_inverse=True)
    return people.assign(fold=fold_of_psus(psus, folds=folds, seed=seed)[cluster.reshape(-1)])


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

"""Cross-validation folds that respect the survey design: whole PSUs, with the PSUs of a stratum in different folds.

Folds are sampled as the survey sampled people (Wieczorek, Guerin and McMahon 2022, Stat 11:e454). People of the same
PSU are similar; splitting a PSU over folds would make performance estimates too optimistic.
"""

from __future__ import annotations

from collections.abc import Iterator, Sized
from dataclasses import KW_ONLY, dataclass

import numpy as np

from mgrisk.errors import bad_input
from mgrisk.survey.design import WHERE, SurveyDesign
from mgrisk.types import Integers


def fold_of_psus(psus: Integers, *, folds: int, seed: int) -> Integers:
    """Assign PSUs to folds, stratum by stratum.

    Parameters
    ----------
    psus
        Stratum and number of each PSU, shape (k, 2), sorted, without duplicates.
    folds
        Number of folds; if it is at least the number of PSUs in a stratum, these are in different folds.
    seed
        Random seed for the order of strata and of PSUs within them.

    Returns
    -------
    ndarray, shape (k,)
        Number of the fold, from 0.

    Examples
    --------
    >>> fold_of_psus(np.array([[1, 1], [1, 2], [2, 1], [2, 2]]), folds=2, seed=1).tolist()
    [0, 1, 1, 0]
    """
    random = np.random.default_rng(seed)
    stratum = psus[:, 0]
    order = np.concatenate(
        [random.permutation(np.flatnonzero(stratum == each)) for each in random.permutation(np.unique(stratum))]
    )
    # Assigned in turn, so that consecutive PSUs, and so those of a stratum, are in different folds.
    fold = np.empty(len(psus), dtype=np.int64)
    fold[order] = np.arange(len(psus)) % folds
    return fold


@dataclass(frozen=True)
class DesignKFold:
    """K folds of whole PSUs, for the cross-validation of scikit-learn.

    Parameters
    ----------
    n_splits
        Number of folds, from 2 to the number of PSUs; if it is at least the number of PSUs in a stratum, these are in
        different folds.
    design
        Design of the rows that are split. People outside its domain are split too, with a weight of 0.
    seed
        Random seed for the order of strata and PSUs; a run with the same seed has the same folds.

    Raises
    ------
    MgRiskError
        ``split.folds`` if there are fewer than 2 folds or more folds than PSUs.

    Notes
    -----
    Wieczorek, Guerin and McMahon (2022), Stat 11:e454.

    Examples
    --------
    >>> from sklearn.linear_model import LogisticRegression
    >>> from sklearn.model_selection import cross_val_predict
    >>> from mgrisk.survey.design import WeightLevel
    >>> design = SurveyDesign([1.0] * 8, [1, 1, 1, 1, 2, 2, 2, 2], [1, 1, 2, 2] * 2, WeightLevel.EXAM)
    >>> X, y = np.arange(8.0)[:, None], np.array([0, 1] * 4)
    >>> cv = DesignKFold(2, design=design)
    >>> [test.tolist() for _, test in cv.split(X)]
    [[0, 1, 6, 7], [2, 3, 4, 5]]
    >>> cross_val_predict(LogisticRegression(), X, y, cv=cv, params={"sample_weight": design.weights}).shape
    (8,)
    """

    n_splits: int = 5
    _: KW_ONLY
    design: SurveyDesign
    seed: int = 1

    def __post_init__(self) -> None:
        if not 2 <= self.n_splits <= self.design.n_clusters:
            raise bad_input(
                "split.folds",
                "the number of folds does not fit the design",
                where="n_splits",
                hint="choose a number in the range; five is usual",
                expected=f"2 to {self.design.n_clusters}, the number of PSUs",
                got=str(self.n_splits),
            )

    def get_n_splits(self, X: object = None, y: object = None, groups: object = None) -> int:
        """Return the number of folds; the arguments of scikit-learn's interface are ignored."""
        return self.n_splits

    def split(self, X: Sized, y: object = None, groups: object = None) -> Iterator[tuple[Integers, Integers]]:
        """Yield the indices of the training and test rows of each fold.

        Parameters
        ----------
        X
            Data to split, one row for each row of the design.
        y, groups
            Ignored.

        Raises
        ------
        MgRiskError
            ``design.bad_length`` if `X` and the design have different numbers of rows.
        """
        rows = X.shape[0] if hasattr(X, "shape") else len(X)
        if rows != len(self.design):
            raise bad_input(
                "design.bad_length",
                "the data and the design have different numbers of rows",
                where=WHERE,
                hint="pass one row for each row of the design; design.keep(mask) removes rows from it",
                expected=str(len(self.design)),
                got=str(rows),
            )
        fold = fold_of_psus(self.design.cluster_psu, folds=self.n_splits, seed=self.seed)[self.design.cluster]
        for each in range(self.n_splits):
            yield np.flatnonzero(fold != each), np.flatnonzero(fold == each)

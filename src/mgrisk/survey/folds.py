"""Folds of cross-validation that respect the design: whole PSUs, the PSUs of a stratum in different folds.

Wieczorek, Guerin and McMahon 2022 (Stat 11:e454): cross-validation of survey data samples folds as the survey
sampled people. Neighbours of one PSU resemble each other; in two folds they would flatter the score.
"""

from __future__ import annotations

from collections.abc import Iterator, Sized
from dataclasses import KW_ONLY, dataclass

import numpy as np

from mgrisk.errors import bad_input
from mgrisk.survey.design import WHERE, SurveyDesign
from mgrisk.types import Integers


def fold_of_psus(psus: Integers, *, folds: int, seed: int) -> Integers:
    """Assign PSUs to folds, stratum after stratum.

    Parameters
    ----------
    psus
        Stratum and PSU of each, shape (k, 2), in order and each once.
    folds
        Number of folds; at least the number of PSUs in a stratum keeps a stratum's PSUs apart.
    seed
        Of the order of strata and of PSUs within them.

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
    # In turn, like cards: neighbours in the order, and so the PSUs of a stratum, get different folds.
    fold = np.empty(len(psus), dtype=np.int64)
    fold[order] = np.arange(len(psus)) % folds
    return fold


@dataclass(frozen=True)
class DesignKFold:
    """K folds of whole PSUs, for the cross-validation of scikit-learn.

    Parameters
    ----------
    n_splits
        Number of folds, from 2 to the number of PSUs; at least the number of PSUs in a stratum keeps them apart.
    design
        Design of the rows that are split. Who is outside its domain is split too, and has a weight of 0.
    seed
        Of the order of strata and PSUs; a run with this seed has the same folds.

    Raises
    ------
    MgRiskError
        ``split.folds`` where there are fewer than 2 folds or more than PSUs.

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
                "the number of folds does not suit the design",
                where="n_splits",
                hint="five is usual",
                expected=f"2 to {self.design.n_clusters}, the number of PSUs",
                got=str(self.n_splits),
            )

    def get_n_splits(self, X: object = None, y: object = None, groups: object = None) -> int:
        """Return the number of folds; the arguments are those of scikit-learn and are not looked at."""
        return self.n_splits

    def split(self, X: Sized, y: object = None, groups: object = None) -> Iterator[tuple[Integers, Integers]]:
        """Yield the rows to learn from and the rows to test on, fold by fold.

        Parameters
        ----------
        X
            What is split, one row for each row of the design.
        y, groups
            Not looked at.

        Raises
        ------
        MgRiskError
            ``design.bad_length`` where `X` has another number of rows than the design.
        """
        rows = X.shape[0] if hasattr(X, "shape") else len(X)
        if rows != len(self.design):
            raise bad_input(
                "design.bad_length",
                "the rows that are split are not those of the design",
                where=WHERE,
                hint="give one row for each row of the design; design.keep(mask) leaves rows out of it",
                expected=str(len(self.design)),
                got=str(rows),
            )
        fold = fold_of_psus(self.design.cluster_psu, folds=self.n_splits, seed=self.seed)[self.design.cluster]
        for each in range(self.n_splits):
            yield np.flatnonzero(fold != each), np.flatnonzero(fold == each)

"""The survey design as one immutable object: weights, strata, PSUs and the domain.

A subpopulation is a mask, or a shorter table whose design still has all PSUs (`SurveyDesign.keep`). PSUs without
members of the domain contribute to the variance between PSUs; dropping them would make standard errors too small (NCHS,
NHANES tutorials, module 4; Lumley 2010, Complex Surveys, section 2.2.2).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from mgrisk.errors import MgRiskError, bad_input
from mgrisk.types import Booleans, Floats, Integers

WHERE = "survey design"


class WeightLevel(StrEnum):
    """Subsample of NHANES in which a variable was measured, from the largest to the smallest.

    Each level is a subset of the one before: everyone interviewed, everyone examined, people with a blood sample, a
    reliable day-1 recall, two recalls, the morning fasting subsample, the glucose tolerance test. Blood, recall and
    fasting are not strictly nested; no released weight covers their intersection, so that the weight of the smallest is
    used. Blood has a separate weight only in 2021-2023; before, it has the examination weight.
    """

    INTERVIEW = "interview"
    EXAM = "exam"
    BLOOD = "blood"
    RECALL1 = "recall1"
    RECALL2 = "recall2"
    FASTING = "fasting"
    OGTT = "ogtt"

    @property
    def rank(self) -> int:
        """Place in the order of subsets: 0 for the interview, 6 for the glucose tolerance test."""
        return list(WeightLevel).index(self)


class SinglePsu(StrEnum):
    """Rule for the variance contribution of a stratum with a single PSU.

    ``fail`` raises an error, because the public NHANES files have no such stratum and one means that rows are missing;
    ``certainty`` treats the PSU as sampled with certainty, so that it contributes nothing; ``adjust`` uses its
    deviation from the mean of the whole sample instead of its stratum, which is conservative. As
    ``options(survey.lonely.psu = ...)`` of the R package survey.
    """

    FAIL = "fail"
    CERTAINTY = "certainty"
    ADJUST = "adjust"


def weight_level(levels: Mapping[str, WeightLevel]) -> tuple[WeightLevel, str]:
    """Choose the smallest subsample that covers all variables in use.

    Parameters
    ----------
    levels
        The subsample in which each variable in use was measured.

    Returns
    -------
    tuple of WeightLevel and str
        The level, and the first variable that requires it.

    Raises
    ------
    MgRiskError
        ``design.no_variables`` if `levels` is empty.

    Notes
    -----
    NCHS, NHANES tutorials, weighting module: use the weight of the smallest subpopulation that includes all
    variables of interest.

    Examples
    --------
    >>> weight_level({"age": WeightLevel.INTERVIEW, "glucose": WeightLevel.FASTING, "bmi": WeightLevel.EXAM})
    (<WeightLevel.FASTING: 'fasting'>, 'glucose')
    """
    if not levels:
        raise bad_input(
            "design.no_variables",
            "no weight can be chosen without variables",
            where=WHERE,
            hint="name at least one variable",
        )
    name = max(levels, key=lambda variable: levels[variable].rank)
    return levels[name], name


@dataclass(frozen=True, eq=False)
class SurveyDesign:
    """Weights, strata, PSUs and the domain of a stratified multistage survey.

    Parameters
    ----------
    weight
        Sampling weight of each person, shape (n,); 0 for a person outside the subsample of `level`.
    stratum
        Variance stratum (SDMVSTRA), shape (n,), integers that are distinct between cycles.
    psu
        Variance PSU (SDMVPSU), shape (n,), integers that are numbered within the stratum.
    level
        Subsample of the weight.
    domain
        Whether each person is in the domain, shape (n,), bool; by default everyone.
    single_psu
        Rule for strata of the full design with a single PSU.
    psus
        Stratum and number of each PSU of the full design, shape (k, 2), if rows were removed (`keep`); by default the
        PSUs of the rows.

    Raises
    ------
    MgRiskError
        ``design.bad_length``, ``design.bad_weight``, ``design.bad_stratum``, ``design.bad_psu`` or
        ``design.bad_domain``.

    Notes
    -----
    The arrays are copied and made read-only, so that all estimates from a design are of the same people.

    Examples
    --------
    >>> design = SurveyDesign([2.0, 1.0, 0.0, 3.0], [1, 1, 2, 2], [1, 2, 1, 2], WeightLevel.EXAM)
    >>> design.n, design.n_clusters, design.df
    (3, 4, 1)
    >>> design.where([True, False, True, True]).analysis_weight.tolist()
    [2.0, 0.0, 0.0, 3.0]
    """

    weight: Floats
    stratum: Integers
    psu: Integers
    level: WeightLevel
    domain: Booleans = None  # type: ignore[assignment]  # its length is known in __post_init__ only
    single_psu: SinglePsu = SinglePsu.FAIL
    psus: Integers | None = None

    def __post_init__(self) -> None:
        weight = np.array(self.weight, dtype=np.float64)
        if weight.ndim != 1:
            raise _bad("weight", "weights have the wrong shape", expected="(n,)", got=str(weight.shape))
        wrong = ~np.isfinite(weight) | (weight < 0)
        if wrong.any():
            raise _bad(
                "weight",
                "a weight is missing, infinite or negative",
                where=f"row {int(np.argmax(wrong))}, {int(wrong.sum())} rows in all",
                hint="set the weight of people outside the subsample to 0",
            )
        domain = np.ones(weight.size, dtype=np.bool_) if self.domain is None else self.domain
        self._set("weight", weight)
        self._set("stratum", _integers("stratum", self.stratum, weight.size))
        self._set("psu", _integers("psu", self.psu, weight.size))
        self._set("domain", _mask(domain, weight.size))
        if self.psus is not None:
            self._set("psus", np.array(self.psus, dtype=np.int64).reshape(-1, 2))
        object.__setattr__(self, "level", WeightLevel(self.level))
        object.__setattr__(self, "single_psu", SinglePsu(self.single_psu))

    def _set(self, name: str, values: NDArray[Any]) -> None:
        values.setflags(write=False)
        object.__setattr__(self, name, values)

    def __len__(self) -> int:
        return int(self.weight.size)

    def __repr__(self) -> str:
        strata = np.unique(self.cluster_stratum).size
        return f"SurveyDesign({self.n:,} people, {self.level} weights, {strata} strata, {self.n_clusters} PSUs)"

    def _repr_html_(self) -> str:
        rows = (f"<tr><th>{name}</th><td>{value:,.0f}</td></tr>" for name, value in self.to_dict().items()
                if not isinstance(value, str))  # fmt: skip
        return f"<p>Survey design, {self.level} weights</p><table>{''.join(rows)}</table>"

    def where(self, mask: ArrayLike) -> SurveyDesign:
        """Return the same design with a smaller domain; no row is dropped.

        Parameters
        ----------
        mask
            True for the people to keep in the domain, shape (n,), bool.

        Returns
        -------
        SurveyDesign
            Its domain is the intersection of the old domain and `mask`.

        Raises
        ------
        MgRiskError
            ``design.bad_length`` or ``design.bad_domain``.
        """
        smaller = replace(self, domain=self.domain & _mask(mask, len(self)))
        # The clusters do not depend on the domain; reusing them avoids a sort for each subgroup.
        smaller.__dict__["_clusters"] = self._clusters
        return smaller

    def keep(self, mask: ArrayLike) -> SurveyDesign:
        """Return a design of only some rows that still has all PSUs of the full design.

        Estimates and standard errors are the same as with ``where(mask)``. It is for libraries without domains, such as
        scikit-learn.

        Parameters
        ----------
        mask
            True for the rows to keep, shape (n,), bool.

        Raises
        ------
        MgRiskError
            ``design.bad_length`` or ``design.bad_domain``.

        Examples
        --------
        >>> design = SurveyDesign([1.0] * 4, [1, 1, 2, 2], [1, 2, 1, 2], WeightLevel.EXAM)
        >>> shorter = design.keep([True, True, True, False])
        >>> len(shorter), shorter.n_clusters
        (3, 4)
        """
        rows = _mask(mask, len(self))
        columns = {name: getattr(self, name)[rows] for name in ("weight", "stratum", "psu", "domain")}
        return replace(self, **columns, psus=self.cluster_psu)

    @property
    def weights(self) -> Floats:
        """`analysis_weight`, for use as ``sample_weight`` in scikit-learn, shape (n,)."""
        return self.analysis_weight

    @cached_property
    def analysis_weight(self) -> Floats:
        """Weight inside the domain and 0 outside, shape (n,)."""
        weight = np.where(self.domain, self.weight, 0.0)
        weight.setflags(write=False)
        return weight

    @property
    def n(self) -> int:
        """Number of people in the domain with a positive weight."""
        return int(np.count_nonzero(self.analysis_weight))

    @property
    def df(self) -> int:
        """Degrees of freedom: number of PSUs minus number of strata, among those with a positive analysis weight."""
        present = np.unique(self.cluster[self.analysis_weight > 0])
        return int(present.size - np.unique(self.cluster_stratum[present]).size)

    def residual_df(self, coefficients: int) -> int:
        """Return the residual degrees of freedom of a regression: `df` + 1 - `coefficients`.

        Parameters
        ----------
        coefficients
            Number of coefficients of the regression, including the intercept and adjustment terms.

        Returns
        -------
        int
            If 0 or less, intervals and p values are undefined.

        Notes
        -----
        ``df.residual`` of ``svyglm`` in the R package survey, which ``confint`` and ``regTermTest`` use by default.

        Examples
        --------
        >>> SurveyDesign([1.0] * 4, [1, 1, 2, 2], [1, 2, 1, 2], WeightLevel.EXAM).residual_df(2)
        1
        """
        return self.df + 1 - coefficients

    @cached_property
    def _pairs(self) -> tuple[Integers, Integers]:
        """Stratum and PSU of each cluster, in order, and the cluster of each row."""
        of_rows = np.column_stack((self.stratum, self.psu))
        known = of_rows if self.psus is None else np.vstack((of_rows, self.psus))
        pairs, cluster = np.unique(known, axis=0, return_inverse=True)
        return pairs, cluster.reshape(-1)[: len(self)].astype(np.int64)

    @cached_property
    def _clusters(self) -> tuple[Integers, Integers]:
        pairs, cluster = self._pairs
        _, stratum_of_cluster = np.unique(pairs[:, 0], return_inverse=True)
        return cluster, stratum_of_cluster.astype(np.int64)

    @property
    def cluster(self) -> Integers:
        """Dense number of each person's PSU, in the order of stratum and PSU, from 0, shape (n,)."""
        return self._clusters[0]

    @property
    def cluster_stratum(self) -> Integers:
        """Dense number of the stratum of each cluster, shape (n_clusters,)."""
        return self._clusters[1]

    @property
    def cluster_psu(self) -> Integers:
        """Stratum and PSU of each cluster, as they are numbered in the data, shape (n_clusters, 2)."""
        return self._pairs[0]

    @property
    def n_clusters(self) -> int:
        """Number of PSUs in the full design, whatever the domain."""
        return int(self._clusters[1].size)

    def to_dict(self) -> dict[str, Any]:
        """Return the size of the design as a plain dict."""
        return {
            "level": str(self.level),
            "rows": len(self),
            "n": self.n,
            "strata": int(np.unique(self.cluster_stratum).size),
            "psus": self.n_clusters,
            "single_psu": str(self.single_psu),
            "df": self.df,
            "population": float(self.analysis_weight.sum()),
        }


def _integers(name: str, values: ArrayLike, n: int) -> Integers:
    array = np.asarray(values)
    _check_length(name, array, n)
    try:
        as_float = array.astype(np.float64)
    except (TypeError, ValueError) as error:
        raise _bad(name, f"the {name} numbers are not all numbers", got=str(array.dtype)) from error
    if not np.isfinite(as_float).all() or (as_float != np.floor(as_float)).any():
        raise _bad(name, f"a {name} number is missing or not a whole number")
    return as_float.astype(np.int64)


def _mask(values: ArrayLike, n: int) -> Booleans:
    array = np.array(values)
    _check_length("domain", array, n)
    if array.dtype != np.bool_:
        raise _bad(
            "domain",
            "the mask of a domain is not boolean",
            expected="bool",
            got=str(array.dtype),
            hint="convert it, deciding what a missing value means, for example (age >= 20).fillna(False)",
        )
    return array


def _check_length(name: str, array: NDArray[Any], n: int) -> None:
    if array.shape != (n,):
        raise bad_input(
            "design.bad_length",
            f"{name} has the wrong length",
            where=WHERE,
            hint="pass one value for each row of the full design, including rows outside the domain",
            expected=f"({n},)",
            got=str(array.shape),
        )


def _bad(name: str, message: str, *, where: str = "", hint: str = "", **found: str) -> MgRiskError:
    return bad_input(
        f"design.bad_{name}",
        message,
        where=f"{WHERE}: {where}" if where else WHERE,
        hint=hint or f"pass one {name} for each row, without missing values",
        **found,
    )

"""Covariates of usual intake: how words and numbers of a person become columns, the same in fitting and in scoring."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from mgrisk.errors import MgRiskError, bad_input

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Term:
    """One covariate: a number where `levels` is empty, else a word; the first level is the reference."""

    name: str
    levels: tuple[str, ...] = ()

    @property
    def columns(self) -> tuple[str, ...]:
        """Names of its columns in the design matrix."""
        return tuple(f"{self.name}={level}" for level in self.levels[1:]) if self.levels else (self.name,)

    def encode(self, values: pd.Series) -> Floats:
        """Return its columns, shape (n, c); a row of NaN where the value is missing or an unknown word."""
        if not self.levels:
            return np.asarray(values, dtype=np.float64).reshape(-1, 1)
        words = pd.Index(values.astype(object).map(str, na_action="ignore"), dtype=object)
        chosen = pd.Index(self.levels, dtype=object).get_indexer(words).reshape(-1, 1)
        found: Floats = np.equal(chosen, np.arange(1, len(self.levels))).astype(np.float64)
        found[chosen[:, 0] < 0] = np.nan
        return found


@dataclass(frozen=True, eq=False)
class Covariates:
    """The covariates of a model.

    Parameters
    ----------
    terms
        In the order of the columns.
    means
        Weighted mean of each column among the people of the fit, shape (p,): what stands in for a missing value.

    Examples
    --------
    >>> people = pd.DataFrame({"group": ["men", "women", "men"], "age": [30.0, 40.0, 50.0]})
    >>> covariates = Covariates.learn(people, np.array([1.0, 1.0, 2.0]))
    >>> covariates.columns
    ('group=women', 'age')
    >>> matrix, missing = covariates.matrix(pd.DataFrame({"group": ["women", None], "age": [40.0, 40.0]}), 2)
    >>> matrix.tolist(), missing.tolist()
    ([[1.0, 1.0, 40.0], [1.0, 0.25, 40.0]], [False, True])
    """

    terms: tuple[Term, ...]
    means: Floats

    @classmethod
    def learn(cls, people: pd.DataFrame | None, weight: Floats) -> Covariates:
        """Read levels and means off the people with a positive weight.

        Parameters
        ----------
        people
            One column for each covariate, numbers or words; None for none.
        weight
            Shape (n,).

        Raises
        ------
        MgRiskError
            ``intake_covariates.missing`` where one of them lacks a value; ``intake_covariates.bad_length``.
        """
        if people is None:
            return cls((), np.zeros(0))
        _check_length(len(people), weight.size)
        inside = people[weight > 0]
        lacking = [f"{name} ({int(count)} people)" for name, count in inside.isna().sum().items() if count]
        if lacking:
            raise _bad(
                "missing",
                "covariates are missing for people in the domain",
                got=", ".join(lacking),
                hint="take these people out with design.where(), or make 'unknown' a level",
            )
        terms = tuple(_term(str(name), inside[name]) for name in inside)
        columns = [term.encode(inside[term.name]) for term in terms]
        means = np.average(np.column_stack(columns), axis=0, weights=weight[weight > 0]) if columns else np.zeros(0)
        return cls(terms, np.asarray(means, dtype=np.float64))

    @property
    def columns(self) -> tuple[str, ...]:
        """Names of all columns but the intercept."""
        return tuple(name for term in self.terms for name in term.columns)

    def matrix(self, people: pd.DataFrame | None, n: int) -> tuple[Floats, NDArray[np.bool_]]:
        """Return the design matrix with its intercept, shape (n, 1 + p), and who had a value filled in, shape (n,).

        Raises
        ------
        MgRiskError
            ``intake_covariates.absent`` where a column is not there; ``intake_covariates.bad_length``.
        """
        intercept = np.ones((n, 1))
        if not self.terms:
            return intercept, np.zeros(n, dtype=np.bool_)
        absent = [term.name for term in self.terms if people is None or term.name not in people]
        if people is None or absent:
            raise _bad(
                "absent", "covariates of the model are not given", got=", ".join(absent), hint="add these columns"
            )
        _check_length(len(people), n)
        columns = np.column_stack([term.encode(people[term.name]) for term in self.terms])
        unknown = ~np.isfinite(columns)
        filled = np.asarray(np.hstack([intercept, np.where(unknown, self.means, columns)]), dtype=np.float64)
        return filled, np.asarray(unknown.any(axis=1), dtype=np.bool_)

    def to_dict(self) -> dict[str, Any]:
        """Return names, levels and means."""
        return {
            "terms": [{"name": term.name, "levels": list(term.levels)} for term in self.terms],
            "means": self.means.tolist(),
        }

    @classmethod
    def from_dict(cls, content: Mapping[str, Any]) -> Covariates:
        """Return what `to_dict` wrote."""
        terms = tuple(Term(str(row["name"]), tuple(row["levels"])) for row in content["terms"])
        return cls(terms, np.asarray(content["means"], dtype=np.float64))


def _term(name: str, values: pd.Series) -> Term:
    if pd.api.types.is_numeric_dtype(values):
        return Term(name)
    return Term(name, tuple(sorted({str(each) for each in values})))


def _check_length(got: int, n: int) -> None:
    if got != n:
        raise _bad(
            "bad_length",
            "covariates and amounts have different numbers of people",
            expected=str(n),
            got=str(got),
            hint="give one row for each person, in the same order",
        )


def _bad(code: str, message: str, *, hint: str, **found: str) -> MgRiskError:
    return bad_input(f"intake_covariates.{code}", message, where="covariates of usual intake", hint=hint, **found)

"""The scoring contract, compiled from the feature rows of a bundle: what a file may hold and what each row breaks.

A bad value never stops a batch: its row is rejected with the code of the problem. A file that cannot be understood
as a whole (a required column that is not there, a column twice) is refused before anything is written.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from mgrisk.errors import bad_input
from mgrisk.features.registry import Feature

EMPTY: Final = frozenset({"", "NA", "N/A", "NaN", "nan", "null", "NULL", "None"})
RESULTS: Final = ("status", "problems", "risk", "risk_low", "risk_high", "in_domain", "model")
SEPARATOR: Final = ";"


@dataclass(frozen=True)
class Checked:
    """People whose values have been checked.

    Attributes
    ----------
    values
        Typed features, a column for each input of the contract; missing where empty, absent or not usable.
    problems
        Codes such as ``out_of_range:age_years``, joined by semicolons, empty where there are none, shape (n,).
    rejected
        Who cannot be scored, shape (n,).
    """

    values: pd.DataFrame
    problems: NDArray[np.object_]
    rejected: NDArray[np.bool_]


def schema(inputs: Sequence[Feature]) -> list[dict[str, Any]]:
    """Return the contract: {name, type, unit, required, minimum, maximum, levels, description} of each column."""
    return [
        {
            "name": feature.name,
            "type": feature.kind,
            "unit": feature.unit,
            "required": feature.required,
            "minimum": feature.minimum,
            "maximum": feature.maximum,
            "levels": list(feature.levels),
            "description": f"{feature.label}: {feature.formula}",
        }
        for feature in inputs
    ]


def check_columns(columns: Sequence[str], inputs: Sequence[Feature], *, where: str, reasons: int = 0) -> None:
    """Refuse a file whose columns cannot be understood.

    Raises
    ------
    MgRiskError
        `input.duplicate_column`, `input.missing_column` or `input.column_taken`; exit status 3.
    """
    twice = sorted({name for name in columns if list(columns).count(name) > 1})
    if twice:
        raise bad_input(
            "input.duplicate_column",
            f"the column {twice[0]} stands twice",
            where=where,
            hint="rename or remove one",
        )
    for feature in inputs:
        if feature.required and feature.name not in columns:
            raise bad_input(
                "input.missing_column",
                f"the required column {feature.name} is missing",
                where=where,
                got=", ".join(list(columns)[:8]) + (" …" if len(columns) > 8 else ""),
                hint=f"add {feature.name} ({feature.unit or ' or '.join(feature.levels)}); see `mgrisk schema`",
            )
    taken = [name for name in (*RESULTS, *reason_columns(reasons)) if name in columns]
    if taken:
        raise bad_input(
            "input.column_taken",
            f"the input has a column {taken[0]}, which the answer would write",
            where=where,
            hint="rename it; is this file already scored?",
        )


def reason_columns(reasons: int) -> list[str]:
    """Return the names of the reason columns for K reasons."""
    return [f"reason_{k}{part}" for k in range(1, reasons + 1) for part in ("", "_value", "_effect")]


def check(people: pd.DataFrame, inputs: Sequence[Feature]) -> Checked:
    """Check every value, vectorised.

    Parameters
    ----------
    people
        Any frame with unique column names; cells may be text or numbers. Columns that the contract does not know
        are ignored here.
    inputs
        The contract's features.
    """
    n = len(people)
    columns: dict[str, Any] = {}
    found: list[tuple[str, NDArray[np.bool_]]] = []
    for feature in inputs:
        if feature.name not in people:
            columns[feature.name] = np.full(n, np.nan) if feature.kind == "number" else [None] * n
            continue
        text, empty = _cells(people[feature.name])
        if feature.kind == "number":
            numbers = pd.to_numeric(text.where(~empty), errors="coerce").to_numpy(dtype=np.float64)
            bad = ~empty & ~np.isfinite(numbers)
            low = -np.inf if feature.minimum is None else feature.minimum
            high = np.inf if feature.maximum is None else feature.maximum
            outside = np.isfinite(numbers) & ((numbers < low) | (numbers > high))
            found += [(f"not_a_number:{feature.name}", bad), (f"out_of_range:{feature.name}", outside)]
            columns[feature.name] = np.where(bad | outside, np.nan, numbers)
        else:
            level = text.astype(str).str.strip().str.lower()
            bad = ~empty & ~level.isin(feature.levels).to_numpy()
            found.append((f"unknown_level:{feature.name}", bad))
            columns[feature.name] = level.where(~empty & ~bad, None).to_numpy(dtype=object)
        if feature.required:
            found.append((f"missing:{feature.name}", empty))
    rejected = np.logical_or.reduce([mask for _, mask in found]) if found else np.zeros(n, dtype=np.bool_)
    values = pd.DataFrame(columns, index=people.index)
    for feature in inputs:
        values[feature.name] = (
            values[feature.name].astype("float64")
            if feature.kind == "number"
            else pd.Categorical(values[feature.name], categories=list(feature.levels))
        )
    return Checked(values, join_codes(found, n), rejected)


def join_codes(found: Sequence[tuple[str, NDArray[np.bool_]]], n: int) -> NDArray[np.object_]:
    """Join the codes that apply to each row, in the order given, shape (n,)."""
    joined = np.full(n, "", dtype=object)
    for code, mask in found:
        if mask.any():
            separator = np.where(joined[mask] == "", "", SEPARATOR).astype(object)
            joined[mask] = joined[mask] + separator + code
    return joined


def _cells(column: pd.Series) -> tuple[pd.Series, NDArray[np.bool_]]:
    """Return a column ready for parsing and the mask of its empty cells."""
    if pd.api.types.is_numeric_dtype(column.dtype) and not pd.api.types.is_bool_dtype(column.dtype):
        return column, column.isna().to_numpy()
    text = column.astype(object).where(column.notna(), "").astype(str).str.strip()
    return text, text.isin(EMPTY).to_numpy()

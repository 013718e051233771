"""Convert tables in memory (pandas, polars, Arrow and others) to a pandas frame, without importing their libraries."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import pandas as pd
import pyarrow as pa
import pyarrow.interchange

from mgrisk.errors import MgRiskError, bad_input

NULLABLE: Final[dict[Any, Any]] = {
    pa.int8(): pd.Int8Dtype(),
    pa.int16(): pd.Int16Dtype(),
    pa.int32(): pd.Int32Dtype(),
    pa.int64(): pd.Int64Dtype(),
    pa.uint8(): pd.UInt8Dtype(),
    pa.uint16(): pd.UInt16Dtype(),
    pa.uint32(): pd.UInt32Dtype(),
    pa.uint64(): pd.UInt64Dtype(),
    pa.bool_(): pd.BooleanDtype(),
}
"""Nullable types, in which whole numbers keep all digits beside missing values."""


def as_frame(people: object) -> pd.DataFrame:
    """Convert a table of people to a pandas frame.

    Parameters
    ----------
    people
        A pandas frame, which is returned unchanged; a table with the Arrow PyCapsule interface (polars, pyarrow,
        DuckDB) or the dataframe interchange protocol; or a dict of one person.

    Raises
    ------
    MgRiskError
        `input.not_a_frame`; exit status 3.

    Examples
    --------
    >>> as_frame(pa.table({"person_id": [9007199254740993, None]}))["person_id"].tolist()
    [9007199254740993, <NA>]
    >>> as_frame({"age_years": 50, "sex": "male"}).shape
    (1, 2)
    """
    if isinstance(people, pd.DataFrame):
        return people
    # A dict of lists is refused: several people need a frame.
    if isinstance(people, Mapping) and all(pd.api.types.is_scalar(value) for value in people.values()):
        return pd.DataFrame([people])
    try:
        if hasattr(people, "__arrow_c_stream__") or hasattr(people, "__arrow_c_array__"):
            table = pa.table(people)
        elif hasattr(people, "__dataframe__"):
            table = pyarrow.interchange.from_dataframe(people)
        else:
            raise _no_frame(people)
    except (TypeError, ValueError, pa.ArrowException):
        raise _no_frame(people) from None
    frame: pd.DataFrame = table.to_pandas(types_mapper=NULLABLE.get)
    return frame


def _no_frame(people: object) -> MgRiskError:
    kind = type(people)
    return bad_input(
        "input.not_a_frame",
        f"this is not a table with named columns, but {kind.__module__}.{kind.__qualname__}",
        where="people",
        expected="a pandas or polars DataFrame, an Arrow table, or a dict of one person",
        hint="convert it to a frame with one row per person; collect a lazy frame first",
    )

"""Check the content of untrusted files against a schema with types and bounds.

A bundle may come from anybody. `Checked` is the base class of its schemas; `parse` reads the JSON. Numbers are finite
and bounded so that their sums, squares and cubes stay finite; code that uses them need not check again.
"""

from __future__ import annotations

from collections.abc import Sized
from itertools import pairwise
from typing import Annotated, Any, Final, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, FailFast, Field, ValidationError
from pydantic_core import from_json

LARGEST: Final = 1e15
"""Largest absolute value of a number, far above any in a model."""
SMALLEST: Final = 1e-15
"""Smallest absolute value of a divisor."""
APART: Final = 1e-9
"""Smallest distance of neighbouring knots, relative to that of the outer ones."""

Finite = Annotated[float, Field(ge=-LARGEST, le=LARGEST)]
NotNegative = Annotated[float, Field(ge=0, le=LARGEST)]
Positive = Annotated[float, Field(ge=SMALLEST, le=LARGEST)]
# Normalised weights sum to 1 only up to rounding.
Share = Annotated[float, Field(ge=-1e-9, le=1 + 1e-9)]
Count = Annotated[int, Field(ge=0, le=10**12)]
Text = Annotated[str, Field(max_length=10_000)]
# Stop at the first wrong value of a list, which may have millions.
Numbers = Annotated[list[Finite], FailFast()]
Table = Annotated[list[Numbers], FailFast()]


def _increasing(values: list[float]) -> list[float]:
    if not all(low < high for low, high in pairwise(values)):
        raise ValueError("its numbers do not increase")
    return values


def _knots(values: list[float]) -> list[float]:
    if len(values) > 1 and any(high - low < APART * (values[-1] - values[0]) for low, high in pairwise(values)):
        raise ValueError("its knots are too close together")
    return values


Increasing = Annotated[Numbers, AfterValidator(_increasing)]
Knots = Annotated[Increasing, Field(max_length=50), AfterValidator(_knots)]


class Checked(BaseModel):
    """Base class of file schemas: numbers are not texts, integers have no fraction, nothing is NaN or infinite.

    Examples
    --------
    >>> class Line(Checked):
    ...     slope: Finite
    >>> Line.of(parse(b'{"slope": 2}')).slope
    2.0
    >>> Line.of({"slope": "2"})
    Traceback (most recent call last):
    ...
    ValueError: slope: Input should be a valid number
    """

    model_config = ConfigDict(frozen=True, strict=True, allow_inf_nan=False)

    @classmethod
    def of(cls, content: object) -> Self:
        """Check the result of `parse`; raises ValueError with the first field that is wrong."""
        try:
            return cls.model_validate(content)
        except ValidationError as problem:
            raise ValueError(first_problem(problem)) from None


def parse(content: bytes) -> Any:
    """Read JSON; raises ValueError if it is invalid, nested deeper than 200 levels or has a NaN."""
    return from_json(content, allow_inf_nan=False)


def first_problem(problem: ValidationError) -> str:
    """Return the first field that is wrong, and why, in one line without the value."""
    first = problem.errors(include_url=False, include_input=False)[0]
    said = first["msg"].removeprefix("Value error, ")
    where = ".".join(brief(part) for part in first["loc"])
    return f"{where}: {said}" if where else said


def brief(part: object) -> str:
    """Return the beginning of a name from a file; `errors.shown` escapes its control characters when it is printed.

    Examples
    --------
    >>> brief("age_years"), len(brief("a" * 1000))
    ('age_years', 60)
    """
    return str(part)[:60]


def same_length(**lists: Sized) -> None:
    """Raise ValueError unless the lists have the same length.

    Examples
    --------
    >>> same_length(mean=[1.0, 2.0], centre=[1.0])
    Traceback (most recent call last):
    ...
    ValueError: mean and centre are of different lengths
    """
    if len({len(each) for each in lists.values()}) > 1:
        raise ValueError(f"{' and '.join(lists)} are of different lengths")

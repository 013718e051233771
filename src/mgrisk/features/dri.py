"""Reference intakes for magnesium by age, sex, pregnancy and lactation: `dri.toml`."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray
from pydantic import BaseModel, ConfigDict

from mgrisk.errors import MgRiskError, bad_input
from mgrisk.facts import rows

Stage = Literal["general", "pregnancy", "lactation"]


class ReferenceIntake(BaseModel):
    """One row of `dri.toml`; the comments at its top explain the fields."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    stage: Stage
    sex: Literal["female", "male"]
    first: int
    last: int
    ear: float
    rda: float
    ul: float
    source: str
    checked: str


def _load() -> tuple[ReferenceIntake, ...]:
    return tuple(ReferenceIntake.model_validate(row) for row in rows("mgrisk.features", "dri.toml", "row"))


MAGNESIUM: tuple[ReferenceIntake, ...] = _load()


def reference_intakes(
    age_years: ArrayLike,
    sex: ArrayLike,
    *,
    pregnant: ArrayLike | None = None,
    lactating: ArrayLike | None = None,
) -> pd.DataFrame:
    """Look up the magnesium reference intakes of people.

    Parameters
    ----------
    age_years
        Age in years, shape (n,); completed years count, so that 30.9 is 30.
    sex
        ``"female"``, ``"male"`` or missing, shape (n,).
    pregnant, lactating
        True, False or missing, shape (n,); missing counts as no. A woman who is both has the values of pregnancy.

    Returns
    -------
    pandas.DataFrame
        ``ear_mg``, ``rda_mg``, ``ul_mg`` (mg a day), a row for each person; NaN where there is no such value: under 1
        year, beyond 50 years in pregnancy and lactation, or with age or sex missing. The EAR is for usual intake from
        all sources; the UL is for supplements and medicines alone.

    Raises
    ------
    MgRiskError
        ``dri.bad_sex`` for another word; ``dri.bad_length`` where the lengths differ; ``dri.bad_age`` for ages that are
        negative or no numbers; ``dri.pregnant_man`` for a man who is pregnant or lactating.

    Notes
    -----
    Institute of Medicine (1997), Dietary Reference Intakes, chapter 6; each row of `dri.toml` says what was read where.

    Examples
    --------
    >>> reference_intakes([30, 31, 31], ["male", "male", "female"])["ear_mg"].tolist()
    [330.0, 350.0, 265.0]
    """
    age = _ages(age_years)
    word = _sexes(sex, age.size)
    expecting, nursing = _yes(pregnant, age.size, "pregnant"), _yes(lactating, age.size, "lactating")
    if ((word == "male") & (expecting | nursing)).any():
        raise _bad("pregnant_man", "a man is marked as pregnant or lactating", hint="check sex and pregnancy")
    stage = np.select([expecting, nursing], ["pregnancy", "lactation"], "general")
    found = np.full((age.size, 3), np.nan)
    for row in MAGNESIUM:
        here = (stage == row.stage) & (word == row.sex) & (age >= row.first) & (age < row.last + 1)
        found[here] = row.ear, row.rda, row.ul
    index = age_years.index if isinstance(age_years, pd.Series) else None
    return pd.DataFrame(found, columns=["ear_mg", "rda_mg", "ul_mg"], index=index)


def _ages(values: ArrayLike) -> NDArray[np.float64]:
    try:
        age = np.asarray(values, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise _bad("bad_age", "an age is not a number", hint="give ages in years, NaN where unknown") from error
    if age.ndim != 1 or (age < 0).any() or np.isinf(age).any():
        raise _bad("bad_age", "ages are negative, infinite or no column", hint="give ages in years, NaN where unknown")
    return age


def _sexes(values: ArrayLike, size: int) -> NDArray[Any]:
    series = pd.Series(values, dtype=object).reset_index(drop=True)
    _same_length("sex", len(series), size)
    odd = sorted({str(each) for each in series[series.notna()]} - {"female", "male"})
    if odd:
        raise _bad("bad_sex", "sex is not coded as agreed", hint="write female, male or nothing", got=odd[0])
    return np.asarray(series.where(series.notna(), ""), dtype=str)


def _yes(values: ArrayLike | None, size: int, name: str) -> NDArray[np.bool_]:
    if values is None:
        return np.zeros(size, dtype=np.bool_)
    series = pd.Series(values, dtype=object).reset_index(drop=True)
    _same_length(name, len(series), size)
    return np.asarray([each is not None and not pd.isna(each) and bool(each) for each in series], dtype=np.bool_)


def _same_length(name: str, got: int, size: int) -> None:
    if got != size:
        raise _bad("bad_length", f"{name} has another length than age", expected=str(size), got=str(got))


def _bad(code: str, message: str, *, hint: str = "give one value for each person", **found: str) -> MgRiskError:
    return bad_input(f"dri.{code}", message, where="reference intakes", hint=hint, **found)

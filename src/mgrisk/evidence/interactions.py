"""Whether the association differs between groups of people: their slopes, the ratio, p corrected for number."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from types import MappingProxyType
from typing import Final

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict

from mgrisk.errors import MgRiskError
from mgrisk.evidence.ladder import MAIN, Rung
from mgrisk.evidence.people import Panel
from mgrisk.evidence.record import FOOD, Record, failed, on_scale, record_of
from mgrisk.evidence.regression import CALIBRATED, PER, Coding, Fitted, fit_corrected
from mgrisk.facts import rows

Floats = NDArray[np.float64]

ANALYSIS: Final = "interaction"
COLUMN: Final = "modifier"


class Modifier(BaseModel):
    """By what an association may differ; the comments of modifiers.toml explain the fields."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    label: str
    source: str
    feature: str = ""
    at_least: float | None = None
    equals: str = ""
    nutrient: str = ""
    centre: float = 0.0
    per: float = 1.0
    adjusted: bool = False

    def holds(self, panel: Panel) -> Floats:
        """Return 1 for yes, 0 for no, NaN for unknown, shape (n,)."""
        values = panel.frame[self.feature]
        yes = values == self.equals if self.at_least is None else values >= self.at_least
        return np.where(values.isna(), np.nan, np.asarray(yes, dtype=np.float64))


MODIFIERS: Final[Mapping[str, Modifier]] = MappingProxyType(
    {row["name"]: Modifier.model_validate(row) for row in rows("mgrisk.evidence", "modifiers.toml", "modifier")}
)


def interactions(panel: Panel, outcomes: Sequence[str], *, rung: Rung = MAIN) -> list[Record]:
    """Estimate the association in the groups of each modifier, and how they differ.

    Parameters
    ----------
    panel
        People and outcomes.
    outcomes
        Those of the panel to look at.
    rung
        What to adjust for, beside the modifier itself.

    Returns
    -------
    list of Record
        Contrasts ``<label>: no``, ``yes`` and ``yes against no``; for a nutrient ``<label>`` alone. `p_adjusted` of the
        last is Holm's, over all modifiers and outcomes together.
    """
    found = [record for modifier in MODIFIERS.values() for record in by_modifier(panel, modifier, outcomes, rung=rung)]
    tests = [place for place, record in enumerate(found) if record.p is not None and _is_test(record)]
    adjusted = holm([float(found[place].p or 0.0) for place in tests])
    for place, p in zip(tests, adjusted, strict=True):
        found[place] = replace(found[place], p_adjusted=p)
    return found


def holm(p: Sequence[float]) -> list[float]:
    """Return p values corrected for their number.

    Notes
    -----
    Holm (1979), Scand. J. Stat. 6:65; ``p.adjust(p, "holm")`` in R.

    Examples
    --------
    >>> holm([0.01, 0.04, 0.03])
    [0.03, 0.06, 0.06]
    """
    order = np.argsort(p)
    stepped = np.asarray(p, dtype=np.float64)[order] * np.arange(len(p), 0, -1)
    corrected = np.empty(len(p))
    corrected[order] = np.minimum(np.maximum.accumulate(stepped), 1.0)
    return [float(each) for each in corrected]


def _is_test(record: Record) -> bool:
    return record.contrast.endswith("yes against no") or ":" not in record.contrast


def by_modifier(panel: Panel, modifier: Modifier, outcomes: Sequence[str], *, rung: Rung = MAIN) -> Iterator[Record]:
    """Yield the association in the groups of one modifier, and how they differ; p is not corrected for others."""
    try:
        if modifier.nutrient:
            yield from _by_nutrient(panel, modifier, outcomes, rung)
        else:
            yield from _by_group(panel, modifier, outcomes, rung)
    except MgRiskError as problem:
        yield from (failed(ANALYSIS, panel, rung.name, each, modifier.label, CALIBRATED, problem) for each in outcomes)


def _by_group(panel: Panel, modifier: Modifier, outcomes: Sequence[str], rung: Rung) -> Iterator[Record]:
    holds = modifier.holds(panel)
    some = replace(panel, columns={**panel.columns, COLUMN: holds[:, None]}).where(np.isfinite(holds))
    if not modifier.adjusted:
        rung = rung.model_copy(update={"all_terms": (*rung.all_terms, COLUMN)})
    here = holds[some.inside]
    names = (f"{modifier.label}: no", f"{modifier.label}: yes")
    coding = Coding(modifier.name, names, lambda intake: np.column_stack([1.0 - here, here]) * intake[:, :1] / PER)
    for fit in fit_corrected(some, rung, [coding], outcomes=outcomes):
        for at, name in enumerate(names):
            yield _record(some, fit, name, float(fit.coefficients[at]), float(fit.se[at]))
        apart = np.array([-1.0, 1.0])
        se = float(np.sqrt(apart @ fit.covariance[:2, :2] @ apart))
        yield _record(some, fit, f"{modifier.label}: yes against no", float(apart @ fit.coefficients[:2]), se)


def _by_nutrient(panel: Panel, modifier: Modifier, outcomes: Sequence[str], rung: Rung) -> Iterator[Record]:
    if modifier.nutrient not in rung.all_nutrients:
        rung = rung.model_copy(update={"all_nutrients": (*rung.all_nutrients, modifier.nutrient)})
    at = rung.all_nutrients.index(modifier.nutrient)

    def columns(intake: Floats) -> Floats:
        food = intake[:, 0] / PER
        return np.column_stack([food, food * (intake[:, at] - modifier.centre) / modifier.per])

    coding = Coding(modifier.name, (f"{modifier.label}: at {modifier.centre:g}", modifier.label), columns)
    for fit in fit_corrected(panel, rung, [coding], outcomes=outcomes):
        for place, name in enumerate(coding.contrasts):
            yield _record(panel, fit, name, float(fit.coefficients[place]), float(fit.se[place]))


def _record(panel: Panel, fit: Fitted, contrast: str, beta: float, se: float) -> Record:
    values = on_scale(beta, se, fit.df, panel.scale(fit.outcome))
    return record_of(panel, fit=fit, analysis=ANALYSIS, exposure=FOOD, contrast=contrast, values=values)

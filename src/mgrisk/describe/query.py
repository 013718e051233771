"""Design-based estimates of features, NHANES variables and conditions by domain, for `mgrisk describe`.

`describe` reads the tables that a question needs; `answer` uses tables already read. A `Description` holds the
estimates as records and formats them as a table.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, Final

import numpy as np
import pandas as pd

from mgrisk.describe.answers import Answer, digits, table
from mgrisk.describe.conditions import Truth, unknown
from mgrisk.describe.question import (
    AGE,
    AGE_ADJUSTED,
    KORN_GRAUBARD,
    RATIO,
    Asked,
    Question,
    ask,
    quotient,
    read,
    share,
    statistic_of,
)
from mgrisk.errors import usage
from mgrisk.nhanes.harmonise import Harmonised
from mgrisk.nhanes.store import Store
from mgrisk.survey.design import SurveyDesign
from mgrisk.survey.estimates import UNDEFINED, Estimate, mean, proportion, quantile, ratio, standardised_mean, total
from mgrisk.survey.presentation import PRESENT, korn_graubard, presentation_code
from mgrisk.survey.standard import age_group, standard_population
from mgrisk.types import Floats

TEXTS: Final = ("variable", "level", "by", "statistic")


@dataclass(frozen=True)
class Description(Answer):
    """Estimates: variable, level, by, statistic, estimate, se, low, high, n, df, missing, presentation, data.

    `missing` is the weighted share of the domain with a missing value; `presentation` states whether a proportion meets
    the NCHS presentation standards (`survey.presentation`), and is empty for other statistics.
    """

    def lines(self) -> list[str]:
        """Return the records as lines of an aligned table."""
        rows: list[tuple[str, ...]] = [
            ("variable", "level", "by", "statistic", "estimate", "se", "95 % interval", "n", "df", "missing", "NCHS")
        ]
        for record in self.records:
            estimate, se, low, high = (digits(record[key], record["se"]) for key in ("estimate", "se", "low", "high"))
            rows.append(
                (
                    *(str(record[key]) for key in TEXTS),
                    *(estimate, se, f"{low} to {high}", f"{record['n']:,}", str(record["df"])),
                    f"{100 * record['missing']:.1f} %",
                    "" if record["presentation"] == PRESENT else str(record["presentation"]),
                )
            )
        return table(rows, texts={*TEXTS, "NCHS"})


def describe(
    store: Store, question: Question, *, cycles: Sequence[str] = (), across_breaks: Iterable[str] = ()
) -> Description:
    """Read the tables that a question needs and answer it.

    Parameters and errors as for `question.read`, and errors as for `answer`.
    """
    return _described(read(store, question, cycles=cycles, across_breaks=across_breaks))


def answer(question: Question, harmonised: Harmonised, *, cycles: Sequence[str]) -> Description:
    """Answer a question using tables already read.

    Parameters as for `question.ask`.

    Raises
    ------
    MgRiskError
        ``describe.statistic`` for a statistic that is not defined for the variable; ``describe.too_many_groups``;
        ``weights.none``; the errors of the survey estimates.
    """
    return _described(ask(question, harmonised, cycles=cycles))


def _described(asked: Asked) -> Description:
    return asked.answered(
        Description,
        (
            {**record, "by": by}
            for text in asked.question.of
            for by, group in asked.groups(asked.question.by)
            for record in _records(text, asked, group)
        ),
    )


def _records(text: str, asked: Asked, group: SurveyDesign) -> list[dict[str, Any]]:
    question, statistic, values = asked.question, asked.question.statistic, asked.values(text)
    name, probability = statistic_of(statistic)
    if isinstance(values, Truth):
        numeric = False
        of_level: dict[str, Floats] = {"": values.true.astype(np.float64)}
    else:
        numeric = not isinstance(values.dtype, pd.CategoricalDtype)
        levels = [] if numeric else list(values.cat.categories)
        of_level = {"": values.to_numpy(dtype=np.float64)} if numeric else {}
        of_level |= {str(each): (values == each).to_numpy(dtype=np.float64) for each in levels}
    if (numeric and name == "proportion") or (not numeric and name == "quantile"):
        raise usage(
            "describe.statistic",
            f"{text} has no {name}",
            where="--statistic",
            hint=f"use --of '{text} >= …' for the share with a large value" if numeric else "omit --statistic",
        )
    missing_of = unknown(values)
    function: Callable[..., Estimate] = mean if numeric else partial(_proportion, interval=question.interval)
    if name == "quantile":
        function = partial(quantile, probability=probability)
    elif name == "total":
        function = total
    elif name == RATIO:
        top, bottom = (side.values(asked.columns) for side in quotient(text))
        # People with a denominator of 0 are included, because the ratio is of totals.
        missing_of, of_level = unknown(top) | unknown(bottom), {"": top.to_numpy()}
        function = partial(_ratio, denominator=bottom.to_numpy())
    elif name == AGE_ADJUSTED:
        function = _age_adjusted(asked.columns[AGE], group, question.standard)
    known, missing = group.where(~missing_of), share(missing_of, group)
    shares = not numeric and name in ("", "mean", "proportion")
    return [
        {
            "variable": text,
            "level": level,
            "by": "",
            "statistic": "proportion" if shares else statistic or "mean",
            **(found := function(each, known) if known.n else UNDEFINED).to_dict(),
            "missing": missing,
            "presentation": presentation_code(found, *korn_graubard(found)) if shares and known.n else "",
        }
        for level, each in of_level.items()
    ]


def _ratio(numerator: Floats, design: SurveyDesign, *, denominator: Floats) -> Estimate:
    return ratio(numerator, denominator, design)


def _proportion(values: Floats, design: SurveyDesign, *, interval: str) -> Estimate:
    found = proportion(values, design)
    if interval != KORN_GRAUBARD:
        return found
    low, high = korn_graubard(found)
    return replace(found, low=low, high=high)


def _age_adjusted(age: pd.Series, group: SurveyDesign, starts: tuple[int, ...]) -> Callable[..., Estimate]:
    ages, standard = age_group(age, starts), standard_population(starts)
    if (ages.isna().to_numpy() & (group.analysis_weight > 0)).any():
        raise usage(
            "describe.age_adjusted",
            f"the standard population begins at {starts[0]} years, and some people described are younger",
            where="--statistic",
            hint=f"add --where '{AGE} >= {starts[0]}'",
        )

    def adjusted(values: Floats, design: SurveyDesign) -> Estimate:
        return standardised_mean(values, ages, design, standard=standard)

    return adjusted

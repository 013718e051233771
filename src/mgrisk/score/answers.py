"""The answers of a bundle for a block of rows, as data frame columns or rows of a CSV file.

`WhatIf` has the what-if columns as arrays: usual magnesium and the risks of `evidence.what_if`.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, replace
from functools import cache, cached_property
from typing import Any, Final

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from mgrisk.evidence.what_if import ADVICE, ASSUMPTIONS, FEATURES, OPTIONS, STUDIES, what_if
from mgrisk.features.registry import Feature, features
from mgrisk.score.csv.decimals import LONGEST_FLOAT
from mgrisk.score.csv.read import StringTable
from mgrisk.score.csv.write import Reasons, write_reason_values, write_rows
from mgrisk.score.formulas import csv_line, escape_formula
from mgrisk.score.input_schema import REJECTED, SCORED, SEPARATOR, STATUSES, Problems, reason_columns
from mgrisk.types import Booleans, Floats, Integers

RISKS: Final = ("risk", "risk_low", "risk_high", "risk_low_inputs", "risk_high_inputs")
NEXT_QUESTION: Final = "next_question"
ADVICE_COLUMN: Final = "what_if_magnesium_supplement_advice"


@dataclass(frozen=True)
class WhatIf:
    """Risks under what-if options.

    Attributes
    ----------
    names, numbers
        Names of the numeric columns, and their values: shape (n_columns, n), NaN where there is none.
    advice
        Index into `ADVICE` of the note on a supplement, shape (n,).
    """

    names: tuple[str, ...]
    numbers: Floats
    advice: Integers

    @classmethod
    def of(cls, people: pd.DataFrame, risk: Floats, habit: pd.DataFrame | None = None) -> WhatIf:
        """Compute the what-if columns from typed features and calibrated risks; NaN where there is no risk.

        Parameters
        ----------
        people, risk
            As for `what_if`.
        habit
            Result of `usual_magnesium.habits`, whose columns come before the options; None to leave them out.
        """
        found = what_if(people, risk)
        notes = found.pop(ADVICE_COLUMN).to_numpy()
        found = found if habit is None else pd.concat([habit, found], axis=1)
        numbers = found.to_numpy(dtype=np.float64).T.copy()
        # A rejected row has neither amounts nor risks.
        numbers[:, np.isnan(risk)] = np.nan
        advice = np.select([notes == each for each in ADVICE], list(range(len(ADVICE)))).astype(np.int64)
        advice[np.isnan(risk)] = 0
        return cls(tuple(found.columns), numbers, advice)

    @property
    def columns(self) -> dict[str, NDArray[Any]]:
        """The columns by name, as in the scored file."""
        numbers: dict[str, NDArray[Any]] = dict(zip(self.names, self.numbers, strict=True))
        return numbers | {ADVICE_COLUMN: np.array(ADVICE, dtype=object)[self.advice]}


@cache
def option_features() -> tuple[Feature, ...]:
    """Return the features that the options read."""
    return features(FEATURES)


@cache
def option_columns() -> tuple[str, ...]:
    """Return the names of the columns."""
    no_people = pd.DataFrame({"age_years": np.empty(0), "sex": np.empty(0, dtype=object)})
    return tuple(what_if(no_people, np.empty(0)).columns)


def about_options() -> dict[str, Any]:
    """Return the summary file's record of the options: assumptions, and the study behind each option."""
    return {
        "what_it_is": "the calibrated risk times published relative risks; not a prediction of the model",
        "usual_magnesium": "with a bundle that has a model of usual intake: median and 80 % interval of a person's "
        "magnesium from food and drink, mg a day; the dose uses the mean of the same distribution, or the mean of the "
        "recalled days without such a model",
        "assumptions": list(ASSUMPTIONS),
        "options": [
            {
                "name": option.name,
                "label": option.label,
                "unit_of_dose": option.unit,
                "assumes": option.assumes,
                "study": STUDIES[option.study].citation if option.study else None,
            }
            for option in OPTIONS.values()
        ],
    }


SAYINGS = StringTable.of(ADVICE)
STATUS_WORDS = StringTable.of(STATUSES)


@dataclass(frozen=True)
class Answers:
    """Answers of a bundle, one per row.

    Attributes
    ----------
    label
        Text of the column `model`.
    features
        The model's features.
    status
        Index into `STATUSES` of each row, shape (n,).
    problems
        Problem codes of each row.
    risk
        Risk, bounds of its interval, and bounds over missing inputs (`RISKS`); shape (5, n), NaN unless scored.
    used
        Number of the model's features that are known, shape (n,).
    inside
        Whether the row is in the model's training distribution, shape (n,).
    values
        Completed features, a level by its index; NaN where missing; shape (n_features, n).
    feature, effect
        The largest contributions: index of the feature, -1 for none, and SHAP value (log-odds); shape (n, K).
    asked
        Missing feature that would reduce uncertainty most, -1 for none, shape (n,); None if not requested.
    options
        Risks under what-if options, if requested.
    """

    label: str
    features: tuple[Feature, ...]
    status: NDArray[np.uint8]
    problems: Problems
    risk: Floats
    used: Integers
    inside: Booleans
    values: Floats
    feature: Integers
    effect: Floats
    asked: Integers | None = None
    options: WhatIf | None = None

    def __len__(self) -> int:
        return len(self.status)

    @property
    def scored(self) -> Booleans:
        """Which rows have a risk, shape (n,)."""
        return np.equal(self.status, SCORED)

    @property
    def rejected(self) -> Booleans:
        """Which rows have values that are not usable, shape (n,)."""
        return np.equal(self.status, REJECTED)

    def where(self, mask: Booleans) -> Answers:
        """Return the answers of the rows in a mask, shape (n,), without reasons and options, for counting."""
        codes = self.problems.texts()[mask].tolist()
        table = StringTable.of(codes)
        counts = Counter(code for joined in codes if joined for code in joined.split(SEPARATOR))
        return replace(
            self,
            status=self.status[mask],
            problems=Problems(table.content, table.start[1:], counts),
            risk=np.compress(mask, self.risk, axis=1),
            used=self.used[mask],
            inside=self.inside[mask],
            values=np.compress(mask, self.values, axis=1),
            feature=self.feature[mask, :0],
            effect=self.effect[mask, :0],
            asked=None,
            options=None,
        )

    @property
    def columns(self) -> dict[str, pa.Array]:
        """The columns of the answer by name, as in the scored file; unknown numbers are null."""
        usable = self.scored
        columns = {
            "status": _one_of([*STATUSES], self.status),
            "problems": self.problems.joined.to_arrow(),
            **{name: _numbers(risk) for name, risk in zip(RISKS, self.risk, strict=True)},
            "inputs_used": pa.array(self.used, pa.int64(), mask=~usable),
            "in_domain": _one_of(["", "no", "yes"], usable * (1 + self.inside.astype(np.int64))),
            "model": _one_of([self.label], np.zeros(len(self), dtype=np.int64)),
        }
        names = ["", *(feature.name for feature in self.features)]
        for k in range(self.feature.shape[1]):
            name, value, effect = reason_columns(k + 1)[3 * k :]
            columns[name] = _one_of(names, 1 + np.where(usable, self.feature[:, k], -1))
            columns[value] = self._reason_values(k, usable)
            columns[effect] = _numbers(np.where(usable, self.effect[:, k], np.nan))
        if self.asked is not None:
            columns[NEXT_QUESTION] = _one_of(names, 1 + np.where(usable, self.asked, -1))
        options = self.options.columns if self.options else {}
        return columns | {
            name: _numbers(values) if values.dtype == np.float64 else pa.array(values, pa.string(), from_pandas=True)
            for name, values in options.items()
        }

    def frame(self, index: pd.Index) -> pd.DataFrame:
        """Return the columns of the answer as a frame: texts as objects, NaN for an unknown number."""
        columns = {name: column.to_numpy(zero_copy_only=False) for name, column in self.columns.items()}
        # Always float, so that the type does not depend on whether another row is rejected.
        columns["inputs_used"] = columns["inputs_used"].astype(np.float64)
        return pd.DataFrame(columns, index=index)

    def csv_rows(self, data: NDArray[np.uint8], start: Integers, end: Integers, digits: int) -> memoryview:
        """Return the rows of the scored file: each input row unchanged, then its answer.

        Parameters
        ----------
        data, start, end
            The bytes of row ``r`` without its line end are ``data[start[r]:end[r]]``.
        digits
            Significant digits of the numbers in the answer, as for `decimals.write_float`.
        """
        label = np.frombuffer(csv_line([escape_formula(self.label)]).rstrip(b"\n"), dtype=np.uint8)
        widest = max(
            (len(feature.name) + max([LONGEST_FLOAT, *map(len, feature.levels)]) for feature in self.features),
            default=0,
        )
        room = (
            64
            + len(label)
            + len(self.risk) * LONGEST_FLOAT
            + widest
            + self.feature.shape[1] * (3 + widest + LONGEST_FLOAT)
        )
        more, said = np.empty((0, len(self))), np.empty(0, dtype=np.int64)
        if self.options:
            more, said = self.options.numbers, self.options.advice
            room += len(more) * (1 + LONGEST_FLOAT) + 1 + max(map(len, ADVICE))
        out = np.empty(int((end - start).sum()) + len(self.problems.content) + len(self) * room, dtype=np.uint8)
        size = write_rows(
            data,
            start,
            end,
            self.status,
            STATUS_WORDS,
            self.problems.content,
            self.problems.end,
            self.risk,
            self.used,
            self.inside,
            label,
            self._reasons,
            np.empty(0, dtype=np.int64) if self.asked is None else self.asked,
            more,
            said,
            SAYINGS,
            digits,
            out,
        )
        return out[:size].data

    @cached_property
    def _reasons(self) -> Reasons:
        return Reasons(
            feature=self.feature,
            effect=self.effect,
            shown=self.values,
            number=np.array([feature.kind == "number" for feature in self.features], dtype=np.bool_),
            names=StringTable.of(feature.name for feature in self.features),
            levels=StringTable.of(level for feature in self.features for level in feature.levels),
            first_level=np.cumsum([0, *(len(feature.levels) for feature in self.features)], dtype=np.int64),
        )

    def _reason_values(self, k: int, usable: Booleans) -> pa.Array:
        widest = max(LONGEST_FLOAT, *(len(level) for feature in self.features for level in feature.levels), 0)
        # Numbers and texts are written by words, which may reach beyond the last of them.
        out, end = np.empty(len(self) * widest + 16, dtype=np.uint8), np.empty(len(self), dtype=np.int64)
        write_reason_values(self._reasons, k, out, end)
        values = StringTable(out, np.concatenate([[0], end])).to_arrow()
        return values if usable.all() else pc.if_else(pa.array(usable), values, "")


def _one_of(texts: list[str], place: NDArray[np.generic]) -> pa.Array:
    return pa.array(texts, pa.string()).take(pa.array(place.astype(np.int32)))


def _numbers(values: Floats) -> pa.Array:
    return pa.array(values, pa.float64(), from_pandas=True)

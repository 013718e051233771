"""What a bundle says of some people: numbers, made into columns of a frame or into the rows of a CSV file."""

from __future__ import annotations

import csv
import io
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from mgrisk.evidence.what_if import ADVICE
from mgrisk.features.registry import Feature
from mgrisk.score.contract import reason_columns
from mgrisk.score.csv_write import Reasons, write_reason_values, write_rows
from mgrisk.score.decimal_write import LONGEST_FLOAT
from mgrisk.score.options import WhatIf
from mgrisk.score.problems import Problems
from mgrisk.score.texts import Texts

SAYINGS = Texts.of(ADVICE)


@dataclass(frozen=True)
class Answers:
    """Answers of a bundle, one for each row.

    Attributes
    ----------
    label
        What the column `model` says.
    features
        The model's features.
    rejected
        Who could not be scored, shape (n,).
    problems
        Codes of each row.
    risk
        Risk, lower and upper end of its interval; NaN where rejected; shape (3, n).
    inside
        Who is like the people of the development set, shape (n,).
    values
        Completed features, a level by its place; NaN where missing; shape (n_features, n).
    feature, effect
        The largest contributions: which feature, -1 for none, and calibrated log-odds; shape (n, K).
    options
        What options would make of the risks, where that was asked for.
    """

    label: str
    features: tuple[Feature, ...]
    rejected: NDArray[np.bool_]
    problems: Problems
    risk: NDArray[np.float64]
    inside: NDArray[np.bool_]
    values: NDArray[np.float64]
    feature: NDArray[np.int64]
    effect: NDArray[np.float64]
    options: WhatIf | None = None

    def __len__(self) -> int:
        return len(self.rejected)

    @property
    def columns(self) -> dict[str, NDArray[Any]]:
        """The answer's columns by name, as in the scoring file."""
        usable = ~self.rejected
        columns: dict[str, NDArray[Any]] = {
            "status": _texts(np.where(usable, "scored", "rejected")),
            "problems": self.problems.texts(),
            "risk": self.risk[0],
            "risk_low": self.risk[1],
            "risk_high": self.risk[2],
            "in_domain": _texts(np.where(usable, np.where(self.inside, "yes", "no"), "")),
            "model": np.full(len(self), self.label, dtype=object),
        }
        names = np.array([*(feature.name for feature in self.features), ""], dtype=object)
        for k in range(self.feature.shape[1]):
            name, value, effect = reason_columns(k + 1)[3 * k :]
            chosen = np.where(usable, self.feature[:, k], -1)
            columns[name] = names[chosen]
            columns[value] = np.where(usable, self._reason_values(k), "").astype(object)
            columns[effect] = np.where(usable, self.effect[:, k], np.nan)
        return columns | (self.options.columns if self.options else {})

    def frame(self, index: pd.Index) -> pd.DataFrame:
        """Return the answer's columns as a frame."""
        return pd.DataFrame(self.columns, index=index)

    def csv_rows(self, data: NDArray[np.uint8], start: NDArray[np.int64], end: NDArray[np.int64]) -> memoryview:
        """Return the rows of the scored file: each row as it came, then its answer.

        Parameters
        ----------
        data, start, end
            The rows' own bytes without line ends are ``data[start[r]:end[r]]``.
        """
        label = np.frombuffer(csv_line([self.label]).rstrip(b"\n"), dtype=np.uint8)
        widest = max(
            (len(feature.name) + max([LONGEST_FLOAT, *map(len, feature.levels)]) for feature in self.features),
            default=0,
        )
        room = 32 + len(label) + 3 * LONGEST_FLOAT + self.feature.shape[1] * (3 + widest + LONGEST_FLOAT)
        more, said = np.empty((0, len(self))), np.empty(0, dtype=np.int64)
        if self.options:
            more, said = self.options.numbers, self.options.advice
            room += len(more) * (1 + LONGEST_FLOAT) + 1 + max(map(len, ADVICE))
        out = np.empty(int((end - start).sum()) + len(self.problems.content) + len(self) * room, dtype=np.uint8)
        size = write_rows(
            data,
            start,
            end,
            self.rejected,
            self.problems.content,
            self.problems.end,
            self.risk,
            self.inside,
            label,
            self._reasons,
            more,
            said,
            SAYINGS,
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
            names=Texts.of(feature.name for feature in self.features),
            levels=Texts.of(level for feature in self.features for level in feature.levels),
            first_level=np.cumsum([0, *(len(feature.levels) for feature in self.features)], dtype=np.int64),
        )

    def _reason_values(self, k: int) -> NDArray[np.object_]:
        widest = max(LONGEST_FLOAT, *(len(level) for feature in self.features for level in feature.levels), 0)
        out, end = np.empty(len(self) * widest, dtype=np.uint8), np.empty(len(self), dtype=np.int64)
        write_reason_values(self._reasons, k, out, end)
        return _texts(Texts(out, np.concatenate([[0], end])).to_list())


def csv_line(cells: list[str]) -> bytes:
    """Return a line of CSV, quoted where need be."""
    line = io.StringIO()
    # With "\n" alone as its line end, Python's writer would leave a "\r" unquoted, which readers take for a line end.
    csv.writer(line, lineterminator="\r\n").writerow(cells)
    return line.getvalue().removesuffix("\r\n").encode() + b"\n"


def _texts(values: Any) -> NDArray[np.object_]:
    return np.array(values, dtype=object)

"""The codes of what is wrong with a row or missing from it, such as ``out_of_range:age_years``."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Final

import numpy as np
from numpy.typing import NDArray

from mgrisk.features.registry import Feature
from mgrisk.score.cells import BAD, EMPTY, OUTSIDE, UNCLEAR
from mgrisk.score.csv_write import join_codes
from mgrisk.score.texts import Texts

SEPARATOR: Final = ";"
WRONG_FIELDS: Final = "wrong_field_count"


@dataclass(frozen=True)
class Problems:
    """The codes of some rows.

    Attributes
    ----------
    content, end
        The codes of all rows in UTF-8, those of a row joined by semicolons; where those of each row end, shape (n,).
    counts
        How often each code stood.
    """

    content: NDArray[np.uint8]
    end: NDArray[np.int64]
    counts: Counter[str]

    @property
    def joined(self) -> Texts:
        """The codes of each row, empty where there are none."""
        return Texts(self.content, np.concatenate([[0], self.end]))

    def texts(self) -> NDArray[np.object_]:
        """Return the codes of each row, shape (n,)."""
        return np.array(self.joined.to_list(), dtype=object)


@dataclass(frozen=True)
class Codes:
    """All codes that rows can have.

    Attributes
    ----------
    inputs
        The contract's features.
    features
        The model's features, noted where they are missing from a scored row: the risk stands, with less behind it.
    """

    inputs: tuple[Feature, ...]
    features: tuple[Feature, ...]

    @cached_property
    def _contract(self) -> list[tuple[int, int, str]]:
        """The codes of the contract: input, state, code."""
        found = []
        for i, feature in enumerate(self.inputs):
            if feature.kind == "number":
                found += [(i, BAD, f"not_a_number:{feature.name}"), (i, OUTSIDE, f"out_of_range:{feature.name}")]
            else:
                found.append((i, BAD, f"unknown_level:{feature.name}"))
            if feature.required:
                found.append((i, EMPTY, f"missing:{feature.name}"))
        return found

    @cached_property
    def _names(self) -> list[str]:
        return [*(code for _, _, code in self._contract), *(f"missing:{feature.name}" for feature in self.features)]

    @cached_property
    def _tables(self) -> tuple[NDArray[np.int64], NDArray[np.int64], Texts]:
        code = np.full((len(self.inputs), UNCLEAR), -1, dtype=np.int64)
        for k, (i, state, _) in enumerate(self._contract):
            code[i, state] = k
        note = np.arange(len(self._contract), len(self._names), dtype=np.int64)
        return code, note, Texts.of(self._names)

    def join(
        self,
        state: NDArray[np.uint8],
        rejected: NDArray[np.bool_],
        wrong_fields: Mapping[int, int],
        absent: NDArray[np.bool_] | None = None,
    ) -> Problems:
        """Return the codes of each row: of the contract in the order of its inputs, then what is missing.

        Parameters
        ----------
        state
            State of each input, shape (n_inputs, n).
        rejected
            Who cannot be scored, shape (n,).
        wrong_fields
            Number of cells of rows with too many or too few, by position.
        absent
            Whether a feature of the model is missing, shape (n_features, n).
        """
        code, note, texts = self._tables
        n = state.shape[1]
        if absent is None:
            note, absent = note[:0], np.empty((0, n), dtype=np.bool_)
        counts = [int((state[i] == s).sum()) for i, s, _ in self._contract]
        counts += (absent & ~rejected).sum(axis=1).tolist()
        end = np.empty(n, dtype=np.int64)
        size = sum(count * (len(name) + 1) for name, count in zip(self._names, counts, strict=False))
        content = np.empty(size, dtype=np.uint8)
        # Of most inputs nothing is to be said in a block: they are not looked at row by row.
        noted = counts[len(self._contract) :]
        inputs = np.unique([i for (i, _, _), count in zip(self._contract, counts, strict=False) if count])
        features = np.flatnonzero(noted)
        join_codes(code, state, inputs.astype(np.int64), note, absent, features, rejected, texts, content, end)
        content = content[: end[-1] if n else 0]
        counted = Counter({name: count for name, count in zip(self._names, counts, strict=False) if count})
        return _with_wrong_fields(Problems(content, end, counted), wrong_fields)


def _with_wrong_fields(problems: Problems, wrong_fields: Mapping[int, int]) -> Problems:
    if not wrong_fields:
        return problems
    texts = [f"{WRONG_FIELDS}:{count}" for count in wrong_fields.values()]
    places = np.fromiter(wrong_fields, dtype=np.int64)
    lengths = np.zeros(len(problems.end), dtype=np.int64)
    lengths[places] = [len(text) for text in texts]
    added = np.frombuffer("".join(texts).encode(), dtype=np.uint8)
    content = np.insert(problems.content, np.repeat(problems.end[places], lengths[places]), added)
    return Problems(content, problems.end + np.cumsum(lengths), problems.counts + Counter(texts))


def first_rejected(rejected: NDArray[np.bool_], problems: Problems) -> tuple[int, str] | None:
    """Return position and codes of the first rejected row, or None."""
    found: Sequence[int] = np.flatnonzero(rejected)[:1].tolist()
    return (found[0], str(problems.texts()[found[0]])) if found else None

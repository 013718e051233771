"""The input schema of a bundle, and checks of files and rows against it.

`column_names` matches columns to features. A bad value never stops a batch: its row is rejected with the code of the
problem, such as ``out_of_range:age_years``. A file that cannot be read as a whole (a required column is missing, or a
column is there twice) is refused before anything is written.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Final

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from mgrisk.errors import bad_input, few
from mgrisk.features.compute import Columns, to_frame
from mgrisk.features.registry import Feature
from mgrisk.score.cells import BOOLEANS, MISSING, NUMBER, Missing
from mgrisk.score.column_names import Given, check_names, given_columns, unit_or_levels, unused_columns
from mgrisk.score.csv.decimals import BAD, CONTRADICTED, EMPTY, EXCLUDED, GOOD, IMPROBABLE, OUTSIDE, UNCLEAR
from mgrisk.score.csv.read import CompiledSchema, StringTable, read_cells
from mgrisk.score.csv.write import join_codes
from mgrisk.types import Booleans, Floats, Integers

SEPARATOR: Final = ";"
WRONG_FIELDS: Final = "wrong_field_count"
IMPROBABLE_VALUE: Final = "improbable"
OUTSIDE_DOMAIN: Final = "outside"
"""Codes of scored rows: a value that is improbable beside another, and one that is out of distribution."""
STATUSES: Final = ("scored", "rejected", "not_eligible")
"""The values of the column `status`; a row has an index into this list."""
SCORED, REJECTED, NOT_ELIGIBLE = range(3)


@dataclass(frozen=True)
class Problems:
    """The problem codes of a block of rows.

    Attributes
    ----------
    content, end
        The codes of all rows in UTF-8, those of a row joined by semicolons; end offset of each row, shape (n,).
    counts
        How often each code occurs.
    """

    content: NDArray[np.uint8]
    end: Integers
    counts: Counter[str]

    @property
    def joined(self) -> StringTable:
        """The codes of each row, or an empty text."""
        return StringTable(self.content, np.concatenate([[0], self.end]))

    def texts(self) -> NDArray[np.object_]:
        """Return the codes of each row, shape (n,)."""
        return self._texts

    @cached_property
    def _texts(self) -> NDArray[np.object_]:
        return np.array(self.joined.to_list(), dtype=object)


@dataclass(frozen=True)
class Codes:
    """All codes that rows can have.

    Attributes
    ----------
    inputs
        The features of the input schema.
    features
        The features of the model, by which a row may be out of distribution.
    """

    inputs: tuple[Feature, ...]
    features: tuple[Feature, ...] = ()

    @cached_property
    def _codes(self) -> list[tuple[int, int, str]]:
        """The codes of the input schema, then those of the model: input, state, code."""
        found = []
        for i, feature in enumerate(self.inputs):
            if feature.kind == "number":
                found += [(i, BAD, f"not_a_number:{feature.name}"), (i, OUTSIDE, f"out_of_range:{feature.name}")]
            else:
                found.append((i, BAD, f"unknown_level:{feature.name}"))
            if feature.required:
                found.append((i, EMPTY, f"missing:{feature.name}"))
            found.append((i, IMPROBABLE, f"{IMPROBABLE_VALUE}:{feature.name}"))
            found.append((i, CONTRADICTED, f"contradiction:{feature.name}"))
            found.append((i, EXCLUDED, f"{STATUSES[NOT_ELIGIBLE]}:{feature.name}"))
        first = len(self.inputs)
        return [*found, *((first + j, 1, f"{OUTSIDE_DOMAIN}:{each.name}") for j, each in enumerate(self.features))]

    @cached_property
    def _names(self) -> list[str]:
        return [code for _, _, code in self._codes]

    @cached_property
    def _tables(self) -> tuple[Integers, StringTable]:
        code = np.full((len(self.inputs) + len(self.features), CONTRADICTED + 1), -1, dtype=np.int64)
        for k, (i, state, _) in enumerate(self._codes):
            code[i, state] = k
        return code, StringTable.of(self._names)

    def join(
        self, state: NDArray[np.uint8], wrong_fields: Mapping[int, int], outside: Booleans | None = None
    ) -> Problems:
        """Return the codes of each row, in the order of the inputs and then of the model's features.

        Parameters
        ----------
        state
            State of each input, shape (n_inputs, n).
        wrong_fields
            Number of cells of rows with too many or too few, by row index.
        outside
            Whether a row is out of distribution in each feature of the model, shape (n_features, n).
        """
        code, texts = self._tables
        n = state.shape[1]
        if outside is not None:
            state = np.concatenate([state, outside.view(np.uint8)])
        counts = [int(np.count_nonzero(state[i] == s)) for i, s, _ in self._codes]
        end = np.empty(n, dtype=np.int64)
        size = sum(count * (len(name) + 1) for name, count in zip(self._names, counts, strict=True))
        content = np.empty(size, dtype=np.uint8)
        # Most inputs have no problem in a block; these are skipped.
        inputs = np.unique([i for (i, _, _), count in zip(self._codes, counts, strict=True) if count])
        join_codes(code, state, inputs.astype(np.int64), texts, content, end)
        content = content[: end[-1] if n else 0]
        counted = Counter({name: count for name, count in zip(self._names, counts, strict=True) if count})
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


RESULTS: Final = (
    "status",
    "problems",
    "risk",
    "risk_low",
    "risk_high",
    "risk_low_inputs",
    "risk_high_inputs",
    "inputs_used",
    "in_domain",
    "model",
)


@dataclass(frozen=True)
class Checked:
    """People whose values have been checked.

    Attributes
    ----------
    inputs
        The features of the input schema.
    numbers
        Value of each input, a level by its index; NaN where empty, absent or not usable; shape (n_inputs, n).
    state
        `GOOD`, `IMPROBABLE`, `EMPTY`, `BAD`, `OUTSIDE`, `EXCLUDED` or `CONTRADICTED`; shape (n_inputs, n).
    wrong_fields
        Number of cells of rows that have too many or too few, by row index; none of their values are used.
    """

    inputs: tuple[Feature, ...]
    numbers: Floats
    state: NDArray[np.uint8]
    wrong_fields: Mapping[int, int] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.state.T)

    @classmethod
    def joined(cls, parts: Sequence[Checked]) -> Checked:
        """Join one or more blocks."""
        before = np.cumsum([0, *map(len, parts)]).tolist()
        wrong = {
            at + place: count
            for at, part in zip(before, parts, strict=False)
            for place, count in part.wrong_fields.items()
        }
        numbers = np.concatenate([part.numbers for part in parts], axis=1)
        state = np.concatenate([part.state for part in parts], axis=1)
        return cls(parts[0].inputs, numbers, state, wrong)

    @cached_property
    def values(self) -> pd.DataFrame:
        """Typed features, one column per input."""
        return to_frame(self.columns, self.inputs, index=pd.RangeIndex(len(self)))

    @property
    def columns(self) -> Columns:
        """Each input as a plain array."""
        return {feature.name: numbers for feature, numbers in zip(self.inputs, self.numbers, strict=True)}

    @cached_property
    def status(self) -> NDArray[np.uint8]:
        """Index into `STATUSES` of each row, shape (n,)."""
        unusable, excluded = np.zeros((2, len(self)), dtype=np.bool_)
        for feature, state in zip(self.inputs, self.state, strict=True):
            unusable |= state >= (EMPTY if feature.required else BAD)
            excluded |= state == EXCLUDED
        unusable[list(self.wrong_fields)] = True
        return np.where(excluded, NOT_ELIGIBLE, unusable).astype(np.uint8)

    @property
    def scored(self) -> Booleans:
        """Which rows have a risk, shape (n,)."""
        return np.equal(self.status, SCORED)

    @property
    def rejected(self) -> Booleans:
        """Which rows have values that are not usable, shape (n,)."""
        return np.equal(self.status, REJECTED)

    @property
    def not_eligible(self) -> Booleans:
        """Which rows are of people to whom the model does not apply, shape (n,)."""
        return np.equal(self.status, NOT_ELIGIBLE)

    @property
    def problems(self) -> NDArray[np.object_]:
        """Codes such as ``out_of_range:age_years``, joined by semicolons, empty where there are none, shape (n,)."""
        return Codes(self.inputs).join(self.state, self.wrong_fields).texts()


def schema(inputs: Sequence[Feature]) -> list[dict[str, Any]]:
    """Return the schema: {name, type, unit, required, minimum, maximum, levels, description} of each column."""
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


def refuse_absent(names: Iterable[str], there: list[str], source: str) -> None:
    """Refuse a file without a column that was requested by name."""
    for name in names:
        if name not in there:
            raise bad_input(
                "input.missing_column",
                f"the column {name} is missing",
                where=source,
                got=few(there),
                hint="give the column names as in the header",
            )


def check_columns(
    columns: Sequence[str], inputs: Sequence[Feature], *, where: str, added: Sequence[str] = RESULTS
) -> None:
    """Refuse a file whose columns cannot be matched, or that has a column that the answer adds.

    Raises
    ------
    MgRiskError
        `input.no_header`, `input.duplicate_column`, `input.unknown_unit`, `input.unclear_name`, `input.missing_column`
        or `input.column_taken`; exit status 3.
    """
    # Checked first, so that no error quotes the cells of a person as column names.
    if any(name[:1].isdigit() for name in columns) and {feature.name for feature in inputs}.isdisjoint(columns):
        raise bad_input(
            "input.no_header",
            "the first line has values instead of column names",
            where=where,
            hint="add a header line; `mgrisk schema --template FILE` writes an example",
        )
    refuse_twice(columns, where=where)
    check_names(columns, inputs, where=where)
    given = given_columns(columns, inputs)
    for feature in inputs:
        if feature.required and feature.name not in given:
            near = [name for name, meant in unused_columns(columns, [feature]).items() if meant]
            raise bad_input(
                "input.missing_column",
                f"the required column {feature.name} is missing",
                where=where,
                got=few(columns),
                hint=(f"rename {near[0]} if it is meant, or " if near else "")
                + f"add {feature.name} ({unit_or_levels(feature)}); see `mgrisk schema`",
            )
    taken = [name for name in added if name in columns]
    if taken:
        raise bad_input(
            "input.column_taken",
            f"the input has a column {taken[0]}, which the answer would overwrite",
            where=where,
            hint="rename it; is this file already scored?",
        )


def refuse_twice(columns: Sequence[str], *, where: str) -> None:
    """Refuse a header with the same name twice.

    Raises
    ------
    MgRiskError
        `input.duplicate_column`; exit status 3.
    """
    twice = sorted(name for name, count in Counter(columns).items() if count > 1)
    if twice:
        raise bad_input(
            "input.duplicate_column",
            f"the column {twice[0]} is there twice" if twice[0] else "several columns have no name",
            where=where,
            hint="rename or remove one",
        )


def reason_columns(reasons: int) -> list[str]:
    """Return the names of the reason columns for K reasons."""
    return [f"reason_{k}{part}" for k in range(1, reasons + 1) for part in ("", "_value", "_effect")]


def check(people: pd.DataFrame, inputs: Sequence[Feature], missing: Missing = MISSING) -> Checked:
    """Check every value, vectorised.

    Parameters
    ----------
    people
        A frame with unique column names; cells may be text or numbers. Columns that are not in the schema are ignored.
    inputs
        The features of the input schema.
    missing
        What means missing.
    """
    n = len(people)
    given = given_columns(people.columns, inputs)
    wanted = compile_schema((), inputs, given, missing)
    numbers = np.full((len(inputs), n), np.nan)
    state = np.full((len(inputs), n), EMPTY, dtype=np.uint8)
    for i, feature in enumerate(inputs):
        if feature.name not in given:
            continue
        column, factor = people[given[feature.name].column], given[feature.name].factor
        if feature.kind == "number" and _is_number(column):
            _check_numbers(column, feature, factor, missing, numbers[i], state[i])
        else:
            _check_texts(column, feature, factor, missing, wanted, i, numbers[i], state[i])
    return Checked(tuple(inputs), numbers, state)


def compile_schema(
    columns: Sequence[str], inputs: Sequence[Feature], given: Mapping[str, Given], missing: Missing = MISSING
) -> CompiledSchema:
    """Return the schema in the form that compiled code uses.

    Parameters
    ----------
    columns
        The columns of a file, in order.
    inputs
        The features of the input schema.
    given
        The column that gives each feature.
    missing
        Words and codes that mean missing.
    """
    places = {given[feature.name].column: i for i, feature in enumerate(inputs) if feature.name in given}
    words = [level_words(feature) for feature in inputs]
    empty = sorted(word.encode() for word in missing.words if word)
    return CompiledSchema(
        slot=np.array([places.get(name, -1) for name in columns], dtype=np.int64),
        number=np.array([feature.kind == "number" for feature in inputs], dtype=np.bool_),
        factor=np.array([given[feature.name].factor if feature.name in given else 1.0 for feature in inputs]),
        low=np.array([_range(feature)[0] for feature in inputs]),
        high=np.array([_range(feature)[1] for feature in inputs]),
        levels=StringTable.of(word for each in words for word in each),
        first_level=np.cumsum([0, *map(len, words)], dtype=np.int64),
        level=np.array([level for each in words for level in each.values()], dtype=np.int64),
        empty=StringTable.of(word.decode() for word in empty),
        first_empty=np.searchsorted([word[0] for word in empty], range(257)).astype(np.int64),
        missing_numbers=np.array(missing.numbers),
    )


def _range(feature: Feature) -> tuple[float, float]:
    return (
        -np.inf if feature.minimum is None else feature.minimum,
        np.inf if feature.maximum is None else feature.maximum,
    )


def level_words(feature: Feature) -> dict[str, int]:
    """Return the words for the levels of a feature, in lower case, each with the index of its level.

    Examples
    --------
    >>> from mgrisk.features.registry import features
    >>> [level_words(feature) for feature in features(["sex", "hypertension_told"])]
    [{'female': 0, 'male': 1}, {'no': 0, 'yes': 1, 'true': 1, 'false': 0}]
    """
    words = {level: place for place, level in enumerate(feature.levels)}
    if set(words) == set(BOOLEANS.values()):
        words |= {word: words[level] for word, level in BOOLEANS.items()}
    return words


def read_text(text: str, feature: Feature, *, factor: float = 1.0, missing: Missing = MISSING) -> tuple[int, float]:
    """Return state and value of one cell; the Python version of the compiled loop, for all of Unicode."""
    text = text.strip()
    if missing.holds(text):
        return EMPTY, np.nan
    if feature.kind != "number":
        level = level_words(feature).get(text.lower())
        return (BAD, np.nan) if level is None else (GOOD, float(level))
    if not NUMBER.fullmatch(text) or not np.isfinite(value := float(text)):
        return BAD, np.nan
    low, high = _range(feature)
    value *= factor
    return (GOOD, value) if low <= value <= high else (OUTSIDE, np.nan)


def _check_numbers(
    column: pd.Series, feature: Feature, factor: float, missing: Missing, numbers: Floats, state: NDArray[np.uint8]
) -> None:
    cells = column.to_numpy(dtype=np.float64, na_value=np.nan)
    given = np.where(np.isin(cells, missing.numbers), np.nan, cells) * factor if missing.numbers else cells * factor
    low, high = _range(feature)
    inside = (given >= low) & (given <= high) & np.isfinite(given)
    state[:] = np.select([inside, np.isnan(given), np.isinf(given)], [GOOD, EMPTY, BAD], default=OUTSIDE)
    numbers[inside] = given[inside]


def _check_texts(
    column: pd.Series,
    feature: Feature,
    factor: float,
    missing: Missing,
    wanted: CompiledSchema,
    i: int,
    numbers: Floats,
    state: NDArray[np.uint8],
) -> None:
    row, distinct = _distinct(column)
    # A lone surrogate has no UTF-8; its replacement is not a number or a level either.
    cells = StringTable.of(text.encode("utf-8", "replace").decode() for text in distinct)
    values, states = np.full(len(distinct), np.nan), np.full(len(distinct), EMPTY, dtype=np.uint8)
    read_cells(cells.content, cells.start, wanted, i, values, states)
    for place in np.flatnonzero(states == UNCLEAR):
        states[place], values[place] = read_text(distinct[place], feature, factor=factor, missing=missing)
    state[:], numbers[:] = states[row], values[row]


def _distinct(column: pd.Series) -> tuple[NDArray[np.intp], list[str]]:
    """Return the distinct texts of a column, empty for none, and the index of the text in each row.

    Each distinct text is read once. In object columns, 1 and True would be equal, so that each row gets its own text.
    """
    if isinstance(column.dtype, pd.StringDtype):
        row, distinct = pd.factorize(column)
        return row % (len(distinct) + 1), [*map(str, distinct), ""]
    texts = column.astype(object).where(column.notna(), "").astype(str).tolist()
    return np.arange(len(texts)), texts


def _is_number(column: pd.Series) -> bool:
    return pd.api.types.is_numeric_dtype(column.dtype) and not pd.api.types.is_bool_dtype(column.dtype)

"""The logged model in MLflow: it takes the columns of the scoring file and returns those of the answer.

Its signature has no input. With an input signature, MLflow would drop every unnamed column before the input schema is
checked (a misspelt unit would become a missing value), refuse a whole batch for one cell that is not a number, and
refuse whole numbers in a CSV for floats. The columns are in the model's metadata and input example.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from mgrisk.errors import MgRiskError, bad_input
from mgrisk.features.registry import Feature
from mgrisk.score.answers import RISKS
from mgrisk.score.column_names import given_columns
from mgrisk.score.frames import as_frame
from mgrisk.score.input_schema import refuse_twice
from mgrisk.score.scorer import DEFAULT_REASONS, Scorer, load_scorer

if TYPE_CHECKING:
    from mlflow.models import ModelSignature


class _Pyfunc:
    """The model object for `mlflow.pyfunc`."""

    def __init__(self, scorer: Scorer) -> None:
        self.scorer = scorer

    def predict(self, people: object, params: Mapping[str, Any] | None = None) -> pd.DataFrame:
        """Score people, and return the columns of the answer only. `params` may set `reasons`, the number of reasons.

        Raises
        ------
        RefusedRequest
            For every error of `Scorer.score`.
        """
        try:
            frame = _frame(people)
            _refuse_repeated([*map(str, frame.columns)], self.scorer.schema_features)
            asked = (params or {}).get("reasons")
            answer = self.scorer.results(frame, reasons=DEFAULT_REASONS if asked is None else int(asked))
        except MgRiskError as problem:
            # Imported here, since MLflow takes a second to import.
            from mgrisk.track.refused_request import RefusedRequest

            raise RefusedRequest(problem) from None
        # MLflow would write NaN, which is not valid JSON; None becomes null.
        for name in answer.columns[answer.isna().any()]:
            answer[name] = answer[name].astype(object).where(answer[name].notna(), None)
        return answer


def _frame(people: object) -> pd.DataFrame:
    """Return a request as a frame; MLflow passes `instances` and `inputs` as arrays by column."""
    if isinstance(people, list) and all(isinstance(person, dict) for person in people):
        people = pd.DataFrame([{name: _cell(value) for name, value in person.items()} for person in people])
    elif isinstance(people, dict):
        columns = {name: np.atleast_1d(np.asarray(value)) for name, value in people.items()}
        if len({values.shape for values in columns.values()}) > 1 or any(each.ndim > 1 for each in columns.values()):
            raise bad_input(
                "input.uneven_columns",
                "the people of the request do not all have the same columns",
                where="instances or inputs",
                hint="give null where a person lacks a value, or send dataframe_records",
            )
        people = pd.DataFrame({name: [*map(_cell, values.tolist())] for name, values in columns.items()})
    return as_frame(people)


def _cell(value: Any) -> Any:
    return value.item() if isinstance(value, np.ndarray) and value.ndim == 0 else value


def _refuse_repeated(columns: list[str], inputs: Sequence[Feature]) -> None:
    """Refuse a duplicate header in a CSV, whose second column pandas has renamed, for example to ``sex.1``."""
    used = {way.column for way in given_columns(columns, inputs).values()}
    for name in columns:
        heading, dot, number = name.rpartition(".")
        if dot and number.isdigit() and heading in used:
            refuse_twice([heading, heading], where="the columns given")


def _load_pyfunc(path: str) -> _Pyfunc:
    """Load the bundle for `mlflow.pyfunc`, which calls a function of this name."""
    return _Pyfunc(load_scorer(path))


def signature(scorer: Scorer) -> ModelSignature:
    """Return the signature: the columns of the answer, and the parameter `reasons`."""
    from mlflow.models import ModelSignature
    from mlflow.types import ColSpec, DataType, ParamSchema, ParamSpec, Schema

    numbers = {*RISKS, "inputs_used"}
    outputs = [
        ColSpec(DataType.double if name in numbers or name.endswith("_effect") else DataType.string, name=name)
        for name in scorer.columns(reasons=DEFAULT_REASONS)
    ]
    params = ParamSchema([ParamSpec("reasons", DataType.long, DEFAULT_REASONS)])
    return ModelSignature(outputs=Schema([*outputs]), params=params)


def example_people(scorer: Scorer) -> pd.DataFrame:
    """Return two made-up people as a scoring file: one with the reference medians, one with required inputs only."""
    medians: dict[str, Any] = {}
    for feature in scorer.bundle.inputs:
        row = scorer.bundle.reference.get(feature.name)
        if row is None:
            medians[feature.name] = None
        elif feature.kind == "number":
            medians[feature.name] = row["quantiles"]["0.5"]
        else:
            medians[feature.name] = max(row["shares"], key=row["shares"].get)
    least = {feature.name: medians[feature.name] if feature.required else None for feature in scorer.bundle.inputs}
    frame = pd.DataFrame([medians, least])
    for feature in scorer.bundle.inputs:
        if feature.kind == "number":
            frame[feature.name] = frame[feature.name].astype("float64")
    return frame

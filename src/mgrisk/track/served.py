"""The logged model: the columns of the scoring file in, those of its answer out, wherever MLflow runs it.

Its signature leaves the input out. With one MLflow takes away each column that it does not name before the contract
sees it (a misspelt unit would be a missing value), stops a whole batch for one cell that is no number, and refuses the
whole numbers of a CSV where a float is meant. The columns stand in the model's metadata, and in its input example.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import pandas as pd

from mgrisk.score.answers import RISKS
from mgrisk.score.input_schema import check_columns
from mgrisk.score.scorer import DEFAULT_REASONS, Scorer, load_scorer

if TYPE_CHECKING:
    from mlflow.models import ModelSignature


class _Pyfunc:
    """What `mlflow.pyfunc` calls."""

    def __init__(self, scorer: Scorer) -> None:
        self.scorer = scorer

    def predict(self, people: pd.DataFrame, params: Mapping[str, Any] | None = None) -> pd.DataFrame:
        """Score people; the answer's columns alone. `params` may give `reasons`, how many reasons."""
        reasons = int((params or {}).get("reasons", DEFAULT_REASONS))
        check_columns(list(people.columns), self.scorer.inputs, where="the columns given", added=())
        answer = self.scorer.results(people, reasons=reasons)
        # MLflow writes a NaN as it stands, which no JSON parser but Python's reads; None becomes null.
        for name in answer.columns[answer.isna().any()]:
            answer[name] = answer[name].astype(object).where(answer[name].notna(), None)
        return answer


def _load_pyfunc(path: str) -> _Pyfunc:
    """Load the bundle for `mlflow.pyfunc`; MLflow asks for a function of this name."""
    return _Pyfunc(load_scorer(path))


def signature(scorer: Scorer) -> ModelSignature:
    """Return the answer's columns and the parameter `reasons`."""
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
    """Return two made-up people in the shape of the scoring file: the reference medians, and only what is required."""
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

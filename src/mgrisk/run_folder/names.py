"""The files of a run folder, by what they hold."""

from __future__ import annotations

from typing import Final

PEOPLE: Final = ("features.parquet", "fitted_features.json", "cohort.parquet", "cohort.json")
EVALUATED: Final = (
    "evaluation.json", "differences.json", "thresholds.json", "curves.json", "table_one.json", "scores.json",
    "predictions.parquet",
)  # fmt: skip
EXPLAINED: Final = ("explanations.parquet", "explanation_summary.json")
TEMPORAL: Final = ("temporal.json", "temporal.parquet")
STABILITY: Final = ("stability.json", "stability.parquet")
SEEN: Final = ("attrition.json", "tables.json", "known_answers.json", "tuning.json", "trained")
AUDITED: Final = ("leaks.json", "calibration.json", "added_value.json")
TOLD: Final = (*PEOPLE, *EVALUATED, *EXPLAINED, *STABILITY, *TEMPORAL, *SEEN)
# Files of steps that a pipeline file asks for.
OPTIONAL: Final = ("evidence.json", "what_if.json", "imputation.json")

"""Names of the files in a run folder, and groups of files that steps read and write together."""

from __future__ import annotations

from typing import Final

from mgrisk.features import compute
from mgrisk.model import bundle_files

# The run: settings, manifest and results.
RESOLVED: Final = "resolved.toml"
MANIFEST: Final = "manifest.json"
SYNTHETIC_TABLES: Final = "synthetic"
TRACKING: Final = "tracking.json"
# People.
FEATURES: Final = "features.parquet"
FITTED_FEATURES: Final = compute.FITTED_FEATURES
COHORT_PEOPLE: Final = "cohort.parquet"
COHORT: Final = "cohort.json"
TARGETS: Final = "targets.parquet"
FOLDS: Final = "folds.parquet"
ATTRITION: Final = "attrition.json"
TABLES: Final = "tables.json"
KNOWN_ANSWERS: Final = "known_answers.json"
# Models.
TRAINED: Final = "trained"
OUT_OF_FOLD: Final = "oof.parquet"
TUNING: Final = "tuning.json"
CANDIDATES: Final = "candidates.json"
RISKS_OF_CANDIDATES: Final = "candidates.parquet"
BUNDLE: Final = "bundle"
# The chosen model.
LEAKS: Final = "leaks.json"
CALIBRATION: Final = "calibration.json"
EVALUATION: Final = "evaluation.json"
DIFFERENCES: Final = "differences.json"
THRESHOLDS: Final = "thresholds.json"
CURVES: Final = "curves.json"
TABLE_ONE: Final = "table_one.json"
SCORES: Final = "scores.json"
PREDICTIONS: Final = "predictions.parquet"
EXPLANATIONS: Final = "explanations.parquet"
EXPLANATION_SUMMARY: Final = "explanation_summary.json"
STABILITY: Final = "stability.json"
FIRMNESS: Final = "stability.parquet"
TEMPORAL: Final = "temporal.json"
ADDED_VALUE: Final = "added_value.json"
EVIDENCE: Final = "evidence.json"
WHAT_IF: Final = "what_if.json"
IMPUTATION: Final = "imputation.json"
CHECKS: Final = "checks.json"
TRIPOD: Final = "tripod.json"
PROBAST: Final = "probast.json"
# Documents.
REPORT: Final = "report.html"
CARD: Final = bundle_files.CARD
FIGURES: Final = "figures"
# `mgrisk evaluate` writes these two beside its own evaluation.
PEOPLE_OF_FILE: Final = "people.json"
SUMMARY: Final = "summary.md"

PEOPLE: Final = (FEATURES, FITTED_FEATURES, COHORT_PEOPLE, COHORT)
OF_COHORT: Final = (*PEOPLE, TARGETS, ATTRITION, TABLES)
EVALUATED: Final = (EVALUATION, DIFFERENCES, THRESHOLDS, CURVES, TABLE_ONE, SCORES, PREDICTIONS)
EXPLAINED: Final = (EXPLANATIONS, EXPLANATION_SUMMARY)
REFITTED: Final = (STABILITY, FIRMNESS)
SEEN: Final = (ATTRITION, TABLES, KNOWN_ANSWERS, TUNING, TRAINED)
AUDITED: Final = (LEAKS, CALIBRATION, ADDED_VALUE)
TOLD: Final = (*PEOPLE, *EVALUATED, *EXPLAINED, *REFITTED, TEMPORAL, *SEEN)
# Files of steps that not every run has.
OPTIONAL: Final = (EVIDENCE, WHAT_IF, IMPUTATION, CANDIDATES)

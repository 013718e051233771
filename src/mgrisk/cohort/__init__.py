"""The cohort: eligibility, outcomes, leakage checks, survey weights and folds."""

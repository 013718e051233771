"""Design-based estimates, tests and regressions from the NHANES tables."""

"""Learners, tuning on design-based folds, calibration of one margin, and the bundle."""

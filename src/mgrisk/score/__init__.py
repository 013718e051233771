"""Scoring: people in, calibrated risk with reasons out, one row for each row."""

"""Evaluate, recalibrate and explain a model on a file of the user's people."""

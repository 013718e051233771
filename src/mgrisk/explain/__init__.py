"""Explanations of risks: SHAP values on the calibrated log-odds, their summaries and their stability."""

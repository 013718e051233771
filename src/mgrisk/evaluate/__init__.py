"""Evaluation of predicted risks: survey-weighted metrics and curves, with intervals from the survey design.

`metrics` has each measure as a pure function of outcome, risk and weight; `intervals` adds design-based intervals and
paired differences between models; `curves` computes calibration, ROC and decision curves, `thresholds` classification
at a risk threshold. `assess` combines them for a run. `checks`, `leak_audit`, `added_value` and `reporting` evaluate a
run as a whole.
"""

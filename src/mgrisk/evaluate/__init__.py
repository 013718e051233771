"""How good risks are, in the population: weighted metrics and curves, with intervals from the survey design.

`metrics` has every measure as a pure function of outcome, risk and weight; `intervals` adds design-based uncertainty
and paired differences between models; `curves` computes what gets drawn, `thresholds` the classification at a risk
threshold. `assess` puts them together for a run. `checks`, `leak_audit`, `added_value` and `reporting` judge a run as a
whole.
"""

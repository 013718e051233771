"""How good risks are, in the population: weighted metrics and curves, with intervals from the survey design.

`metrics` names every measure as a pure function of outcome, risk and weight; `ranked` and `splines` hold what
they share; `intervals` adds design-based uncertainty and paired differences between models; `curves` is what
gets drawn.
"""

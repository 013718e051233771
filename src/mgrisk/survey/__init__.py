"""Design-based statistics: weights, strata and PSUs bound into one object that every estimate asks for.

`design` holds the object, `variance` the two ways to a standard error (Taylor linearisation and JKn
replicates), `estimates` totals, means, shares and ratios, `quantiles` medians and the like, `logistic` the
weighted regression.
"""

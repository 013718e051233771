"""Design-based statistics: weights, strata and PSUs bound into one object that every estimate asks for.

`design` holds the object with its rule for single PSUs. `variance` has Taylor linearisation, replicate weights of the
jackknife (JKn) and the Rao-Wu bootstrap, and `replicated`, which takes any statistic through either. `estimates` has
totals, means, shares, ratios, quantiles and directly standardised means; `linear_models` linear and logistic
regression with Wald tests; `folds` cross-validation by PSUs; `presentation` whether a share is precise enough to be
shown.
"""

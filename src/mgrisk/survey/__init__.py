"""Design-based statistics: weights, strata and PSUs bound into one object that every estimate asks for.

`design` holds the object with its rule for single PSUs. Standard errors come from `variance` (Taylor linearisation and
JKn replicates) and `bootstrap` (Rao-Wu replicates); `replicated` takes any statistic through either kind of replicate.
`estimates` has totals, means, shares and ratios, `quantiles` medians and the like, `standardise` means in a standard
population; `linear` and `logistic` are regressions, `regression` their fit and its Wald tests.
"""

"""Tree ensembles: read strictly, packed for look-up, learned by xgboost."""

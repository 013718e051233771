"""Features of the models: each is a row in `registry/` and a short pure function."""

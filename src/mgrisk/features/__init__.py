"""Features: a row of `registry/` and a short pure function each."""

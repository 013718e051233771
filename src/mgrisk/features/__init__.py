"""Features: a row of `registry.toml` and a short pure function each."""

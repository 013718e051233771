"""Published risk scores, each defined in a TOML file with its source."""

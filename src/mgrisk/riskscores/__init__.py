"""Published risk scores as tables: a TOML file each, with source and golden vectors in the tests."""

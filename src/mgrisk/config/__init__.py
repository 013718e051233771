"""Pipeline files as frozen, closed models; facts of the field as rows of TOML files."""

"""Read and check pipeline files and other TOML and JSON files."""

"""Read and write CSV with compiled loops."""

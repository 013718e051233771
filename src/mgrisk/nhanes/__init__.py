"""NHANES data: survey cycles, reading of tables, cache, codebook, harmonised frame, and a synthetic cohort."""

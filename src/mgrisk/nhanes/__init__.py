"""NHANES: cycles, exact reading, the cache, the codebook, one harmonised frame, and a synthetic cohort."""

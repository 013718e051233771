"""The steps of a run in order, each with what it reads and writes; a rerun does only what changed."""

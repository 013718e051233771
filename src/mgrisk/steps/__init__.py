"""The pipeline: stations in order, each with what it reads and writes; a rerun does only what changed.

`pipeline` runs a pipeline file, `stations` and `finish` say what each step does, `engine` which steps must run again,
`workspace` what the run folder holds.
"""

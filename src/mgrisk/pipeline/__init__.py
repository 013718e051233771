"""Run the steps of a pipeline in order; a rerun repeats only steps whose inputs changed."""

"""A file of people brought by the user: with an outcome to validate on, or to be explained."""

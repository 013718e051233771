"""Commands whose options and words would crowd `cli.py`: each module adds its own and says what is to be printed."""

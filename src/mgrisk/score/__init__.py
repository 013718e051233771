"""Score people: calibrated risks with reasons, one output row for each input row."""

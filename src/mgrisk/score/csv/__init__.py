"""CSV in and out by compiled loops: numbers, cells, rows."""

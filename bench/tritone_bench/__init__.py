"""Load generator, capacity search, reports over the wire; and engines measured alone (engine*.py, roof*.py)."""

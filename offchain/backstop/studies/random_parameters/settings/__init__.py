"""Random settings: the verdicts of the rules, and whether accepted settings keep every property."""

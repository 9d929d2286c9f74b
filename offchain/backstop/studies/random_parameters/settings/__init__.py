"""Random settings: what the rules make of them, and whether those that pass keep every property."""

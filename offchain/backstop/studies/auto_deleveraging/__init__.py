"""Deleveraging: a crash of a margin market, and what each policy takes in it."""

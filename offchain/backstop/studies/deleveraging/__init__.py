"""Deleveraging: what each policy takes of whom, and a crash in which one does."""

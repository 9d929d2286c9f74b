"""Gain of a self-made pair, long against short, in the margin market."""

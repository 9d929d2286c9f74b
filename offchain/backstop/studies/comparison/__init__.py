"""Comparisons: the same crash under several terms, side by side."""

"""Lockstep: contracts against a Python model, for any project."""

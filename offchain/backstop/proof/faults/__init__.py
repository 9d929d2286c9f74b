"""Faults: one component of the protocol is broken, and the calls that must still work are made."""

"""Faults: one part of the protocol is broken, and what must still work is called."""

"""Promises that today's rules do not keep, as properties: a campaign asserts them with --promises.

Each becomes an ordinary property, under its number, with the rule that keeps it. None is left of the core's;
those of the margin market are attacks so far.
"""

"""Mutation testing: one small fault at a time in the contracts, and the tests that have to find it."""

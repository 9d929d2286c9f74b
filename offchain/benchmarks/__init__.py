"""Benchmarks: what `make gas` and `make bench` measure. Not part of the wheel."""

"""Benchmarks of `make gas` and `make bench`. Not part of the wheel."""

"""Speed, against what people would write otherwise."""

from benchmarks.cli.bench import cli

__all__ = ["cli"]

"""Speed, compared with the usual alternatives."""

from benchmarks.cli.bench import cli

__all__ = ["cli"]

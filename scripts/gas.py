"""Gas of every job on Anvil, against Maker's dss and against the committed snapshot."""

from benchmarks.cli.gas import cli

__all__ = ["cli"]

"""Put small faults into the contracts and see whether the tests find them."""

from backstop.cli.mutants import cli

__all__ = ["cli"]

"""Drive a scenario against a devnet."""

from backstop.cli.crash import cli

__all__ = ["cli"]

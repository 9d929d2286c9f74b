"""A long campaign of random steps, model against chain."""

from backstop.cli.fuzz import cli

__all__ = ["cli"]

"""A hunt for what a few accounts can take from all others."""

from backstop.cli.hunt import cli

__all__ = ["cli"]

"""A hunt for extraction: a few accounts that take value from all others."""

from backstop.cli.hunt import cli

__all__ = ["cli"]

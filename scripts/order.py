"""Sign an order of the margin market."""

from backstop.cli.order import cli

__all__ = ["cli"]

"""Profit of a self-made pair in the margin market, by its terms."""

from backstop.cli.self_hedge import cli

__all__ = ["cli"]

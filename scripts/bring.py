"""Positions and prices of your own, as a scenario."""

from backstop.cli.bring import cli

__all__ = ["cli"]

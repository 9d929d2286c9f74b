"""Positions and prices of your own, as a scenario."""

from backstop.cli.import_book import cli

__all__ = ["cli"]

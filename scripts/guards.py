"""Crashes without guards, with each guard alone, with all of them."""

from backstop.cli.guards import cli

__all__ = ["cli"]

"""A grid of settings, each against the same paths."""

from backstop.cli.sweep import cli

__all__ = ["cli"]

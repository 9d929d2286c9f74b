"""Keepers and a mirror under disturbances."""

from backstop.cli.chaos import cli

__all__ = ["cli"]

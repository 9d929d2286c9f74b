"""Keepers on a chain that stays."""

from backstop.cli.keeper import cli

__all__ = ["cli"]

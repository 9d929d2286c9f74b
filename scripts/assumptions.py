"""Assumptions of studies."""

from backstop.cli.assumptions import cli

__all__ = ["cli"]

"""Many paths of a scenario."""

from backstop.cli.stress import cli

__all__ = ["cli"]

"""A recorded trace, run again on the model and on a chain."""

from backstop.cli.replay import cli

__all__ = ["cli"]

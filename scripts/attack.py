"""The adversary: the worst outcome of a scenario within a budget."""

from backstop.cli.attack import cli

__all__ = ["cli"]

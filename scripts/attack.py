"""The adversary: what is the worst that can happen to a scenario within a budget."""

from backstop.cli.attack import cli

__all__ = ["cli"]

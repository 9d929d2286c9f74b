"""Whether the parameters of a deployment fit each other."""

from backstop.cli.settings import cli

__all__ = ["cli"]

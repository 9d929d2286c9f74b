"""Published results, played again: their figures beside ours."""

from backstop.cli.reproduce import cli

__all__ = ["cli"]

"""A failing trace, made small."""

from backstop.cli.shrink import cli

__all__ = ["cli"]

"""The vault index of a deployment: brought up to date, saved, checked against the chain."""

from backstop.cli.index import cli

__all__ = ["cli"]

"""The files of a tutorial, copied into a folder."""

from backstop.cli.samples import cli

__all__ = ["cli"]

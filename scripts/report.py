"""The page of a run, a study, a sweep or a search, from its tables."""

from backstop.cli.report import cli

__all__ = ["cli"]

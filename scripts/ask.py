"""Questions about a book: proposals, ceilings, owners, payers, falls."""

from backstop.cli.ask import cli

__all__ = ["cli"]

"""How owners of vaults react, measured from files of events of one's own."""

from backstop.cli.fit_owners import cli

__all__ = ["cli"]

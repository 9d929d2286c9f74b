"""Black Thursday on Anvil, its report, and a planted bug caught."""

from backstop.cli.demo import cli

__all__ = ["cli"]

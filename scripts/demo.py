"""Black Thursday on Anvil, its report, and a bug caught on purpose."""

from backstop.cli.demo import cli

__all__ = ["cli"]

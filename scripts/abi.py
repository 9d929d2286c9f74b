"""The ABIs of all contracts, as JSON files."""

from backstop.cli.abi import cli

__all__ = ["cli"]

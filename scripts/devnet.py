"""An Anvil or a Hardhat that stays, for `deploy`, `keeper` and `crash`."""

from backstop.cli.devnet import cli

__all__ = ["cli"]

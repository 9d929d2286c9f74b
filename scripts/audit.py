"""A statement of debts and of the assets behind them, at one block, with proofs."""

from backstop.cli.audit import cli

__all__ = ["cli"]

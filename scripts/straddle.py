"""What a self-made pair earns in the margin market, by its terms."""

from backstop.cli.straddle import cli

__all__ = ["cli"]

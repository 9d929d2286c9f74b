"""What a self-made pair earns in the margin market by cycles, by its terms."""

from backstop.cli.straddle import cli

__all__ = ["cli"]

"""One crash under several presets, side by side."""

from backstop.cli.compare import cli

__all__ = ["cli"]

"""What studies assume."""

from backstop.cli.assumptions import cli

__all__ = ["cli"]

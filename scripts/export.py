"""A live deployment as a scenario."""

from backstop.cli.export import cli

__all__ = ["cli"]

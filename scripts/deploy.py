"""Put a deployment on a chain that stays."""

from backstop.cli.deploy import cli

__all__ = ["cli"]

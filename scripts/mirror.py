"""The model beside a live deployment."""

from backstop.cli.mirror import cli

__all__ = ["cli"]

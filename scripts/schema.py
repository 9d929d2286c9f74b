"""The JSON Schema of a file that people write, for editors that complete and check it."""

from backstop.cli.schema import cli

__all__ = ["cli"]

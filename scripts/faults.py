"""Break one part at a time, and call what must still work."""

from backstop.cli.faults import cli

__all__ = ["cli"]

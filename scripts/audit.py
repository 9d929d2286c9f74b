"""A statement of what is owed and what stands behind it, at one block, with proofs."""

from backstop.cli.audit import cli

__all__ = ["cli"]

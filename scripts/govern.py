"""Propose what a timelock waits for, carry it out, cancel it; or list what is proposed."""

from backstop.cli.govern import cli

__all__ = ["cli"]

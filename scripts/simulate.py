"""Run a scenario and write its run directory."""

from backstop.cli.simulate import cli

__all__ = ["cli"]

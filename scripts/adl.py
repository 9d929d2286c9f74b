"""The deleveraging queue of a deployment's perpetual markets, before a cycle ends."""

from backstop.cli.adl import cli

__all__ = ["cli"]

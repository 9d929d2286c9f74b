"""A crash of a perpetual market: the cost of deleveraging, by each policy, and the calls it needs."""

from backstop.cli.deleverage import cli

__all__ = ["cli"]
